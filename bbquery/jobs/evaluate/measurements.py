"""The figures that come of what a metric's question brought, each with what it rests on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from bbquery.jobs.evaluate.montage import CELL
from bbquery.jobs.evaluate.names import GRADIENT, IN_MONTAGE, MOVED, OF_BOXES, QUESTIONS_OF, REPEATS
from bbquery.metrics.aopc import aopc
from bbquery.metrics.grid_pointing import cell_share
from bbquery.metrics.pointing import TOLERANCE, hits
from bbquery.metrics.r_sal import r_sal
from bbquery.metrics.repeatability import agreement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from bbquery.jobs.evaluate.choice import Choice
    from bbquery.metrics._boxes import Box
    from bbquery.metrics.infidelity import Infidelities
    from bbquery.metrics.max_sensitivity import Sensitivity
    from bbquery.metrics.mu_fidelity import Faithfulness
    from bbquery.metrics.srg import Curves
    from bbquery.types import SaliencyMap


@dataclass(frozen=True)
class Figure:
    """One number, and what it rests on.

    metric: its name. value: NaN where there is none. better: which way. fill: what hid pixels, empty where nothing was
    hidden by the metric itself. steps: in how many shares, copies or maps, 0 where nothing was asked; queries: how many
    rows that took, those that metrics share counted in each; unanswered: how many of them had no answer. used: what
    else it rests on, such as seeds, a radius, cells or a reference.
    """

    metric: str
    value: float
    better: Literal["higher", "lower"]
    fill: str = ""
    steps: int = 0
    queries: int = 0
    unanswered: int = 0
    used: str = ""


@dataclass(frozen=True, eq=False)
class Repeated:
    """The maps of other seeds, beside the one that is judged, which is the first. values: (H, W), all of one photo.

    unanswered: how many rows of the other maps had no answer.
    """

    values: tuple[NDArray[np.float64], ...]
    unanswered: int

    @classmethod
    def of(
        cls, judged: NDArray[np.float64], others: Sequence[SaliencyMap],
        to_photo: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    ) -> Repeated:  # fmt: skip
        """Bring the other maps to the photo's coordinates, in which the judged one is kept."""
        values = (judged, *(to_photo(m.values) for m in others))
        return cls(values, sum(m.rows - m.answered for m in others))


@dataclass(frozen=True)
class Angle:
    """The cosine of the angle with a reference from `source`.

    chance: its standard deviation for unrelated directions. unanswered: how many rows of the estimate had no answer.
    """

    source: str
    cosine: float
    chance: float
    unanswered: int = 0


def figures(choice: Choice, results: Mapping[str, Any], values: NDArray[np.float64], seed: int) -> list[Figure]:
    """Return the figures of what is chosen.

    results: of the plans of `Choice.questions`, by name, and the `Repeated` and `Angle` that became of theirs. values:
    the map in the photo's coordinates. seed: of ties.
    """
    found: list[Figure] = []
    for name in choice.chosen:
        if name in OF_BOXES:
            found.append(Figure(name, _of_boxes(name, values, choice.boxes, seed), "higher"))
        else:
            found += ASKED[name](results[QUESTIONS_OF[name]], choice)
    return found


def _of_boxes(name: str, values: NDArray[np.float64], boxes: tuple[Box, ...], seed: int) -> float:
    if name == "r_sal":
        return r_sal(values, boxes)
    return float(hits(values, boxes, tolerance=TOLERANCE, seed=seed))


def _srg(curves: Curves, choice: Choice) -> list[Figure]:
    fills = {"deletion": f"{choice.fill}", "insertion": f"{choice.insertion_fill}"}
    fills["srg"] = f"{fills['deletion']}, {fills['insertion']}"
    numbers = {"deletion": curves.deletion_auc, "insertion": curves.insertion_auc, "srg": curves.srg}
    queries = {"deletion": choice.steps + 1, "insertion": choice.steps + 1, "srg": 2 * choice.steps + 1}
    return [
        Figure(
            name, value, "lower" if name == "deletion" else "higher", fills[name], choice.steps, queries[name],
            curves.unanswered,
        )
        for name, value in numbers.items()
    ]  # fmt: skip


def _aopc(curves: Curves, choice: Choice) -> list[Figure]:
    value = aopc(curves.deletion)
    return [Figure("aopc", value, "higher", f"{choice.fill}", choice.steps, choice.steps + 1, curves.unanswered)]


def _infidelity(found: Infidelities, choice: Choice) -> list[Figure]:
    rests_on = (f"{choice.fill}", found.copies, found.copies + 1, found.copies - found.answered)
    return [
        Figure("infidelity", found.infidelity, "lower", *rests_on),
        Figure("explained", found.explained, "higher", *rests_on),
    ]


def _mu_fidelity(found: Faithfulness, choice: Choice) -> list[Figure]:
    unanswered = found.copies - found.answered
    return [
        Figure("mu_fidelity", found.correlation, "higher", f"{choice.fill}", found.copies, found.copies + 1, unanswered)
    ]


def _repeatability(found: Repeated, choice: Choice) -> list[Figure]:
    alike, question = agreement(found.values), _question(choice, REPEATS)
    made, others = question.made, ", ".join(map(str, question.metric.seeds(question.made.seed)))
    used = f"seed {made.seed} against {others}; {made.method.queries} queries a map"
    rests_on = ("", choice.repeats, question.queries, found.unanswered, used)
    return [
        Figure("repeatability", alike.mean, "higher", *rests_on),
        Figure("repeatability_spread", alike.spread, "lower", *rests_on),
    ]


def _max_sensitivity(found: Sensitivity, choice: Choice) -> list[Figure]:
    question = _question(choice, MOVED)
    used = f"radius {found.radius:g} grey levels; {question.made.method.queries} queries a map"
    rests_on = ("", found.copies, question.queries, found.unanswered, used)
    return [
        Figure("max_sensitivity", found.largest, "lower", *rests_on),
        Figure("mean_sensitivity", found.mean, "lower", *rests_on),
    ]


def _grid_pointing(found: SaliencyMap, choice: Choice) -> list[Figure]:
    question = _question(choice, IN_MONTAGE)
    share, unanswered = cell_share(found.values, CELL, question.cells), found.rows - found.answered
    used = f"cell {CELL + 1} of {question.cells}; {1 / question.cells:.2g} by chance"
    return [Figure("grid_pointing", share, "higher", "", 1, question.queries, unanswered, used)]


def _gradient_cosine(found: Angle, choice: Choice) -> list[Figure]:
    question, used = choice.questions().get(GRADIENT), f"against {found.source}; 0 ± {found.chance:.2g} by chance"
    if question is None:
        return [Figure("gradient_cosine", found.cosine, "higher", used=used)]
    return [Figure("gradient_cosine", found.cosine, "higher", "", 1, question.queries, found.unanswered, used)]


def _question(choice: Choice, name: str) -> Any:
    """Return the question of a metric, whose own type the caller knows."""
    return choice.questions()[name]


ASKED: dict[str, Callable[[Any, Any], list[Figure]]] = {
    "srg": _srg,
    "aopc": _aopc,
    "infidelity": _infidelity,
    "mu_fidelity": _mu_fidelity,
    "repeatability": _repeatability,
    "max_sensitivity": _max_sensitivity,
    "grid_pointing": _grid_pointing,
    "gradient_cosine": _gradient_cosine,
}
