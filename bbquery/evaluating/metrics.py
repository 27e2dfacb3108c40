"""The metrics that can be asked for by name, the plans that answer them, and the figures that come of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from bbquery.errors import UnknownName, UsageError
from bbquery.metrics.aopc import aopc
from bbquery.metrics.deletion_insertion import DeletionInsertion
from bbquery.metrics.infidelity import Infidelity
from bbquery.metrics.mu_fidelity import MuFidelity
from bbquery.metrics.pointing import TOLERANCE, hits
from bbquery.metrics.r_sal import r_sal
from bbquery.perturb.baselines import LEVELS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from bbquery.metrics.boxes import Box
    from bbquery.metrics.deletion_insertion import Curves
    from bbquery.metrics.fills import AnyFill
    from bbquery.metrics.infidelity import Infidelities
    from bbquery.metrics.mu_fidelity import Faithfulness

METRICS = {
    "srg": "deletion, insertion and their difference",
    "aopc": "the share of the score that is lost, on average, while pixels are hidden",
    "infidelity": "how far the losses that the map foretells are from the score's",
    "mu_fidelity": "how the losses that the map foretells go along with the score's",
    "r_sal": "the share of the map's positive side inside the boxes",
    "pointing": "whether the map's peak is at most 15 pixels from a box",
}
"""What can be measured, by name."""

OF_BOXES = ("r_sal", "pointing")
Question = DeletionInsertion | Infidelity | MuFidelity
CURVES, INFIDELITY, MU_FIDELITY = "curves", "infidelity", "mu_fidelity"
QUESTIONS_OF = {"srg": CURVES, "aopc": CURVES, "infidelity": INFIDELITY, "mu_fidelity": MU_FIDELITY}


@dataclass(frozen=True)
class Figure:
    """One number, and what it rests on.

    metric: its name. value: NaN where there is none. better: which way. fill: what hid pixels, empty where nothing was
    hidden. steps: in how many shares or copies, 0 where nothing was asked; queries: how many rows that took, those that
    metrics share counted in each; unanswered: how many of them had no answer.
    """

    metric: str
    value: float
    better: Literal["higher", "lower"]
    fill: str = ""
    steps: int = 0
    queries: int = 0
    unanswered: int = 0


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which metrics, and how.

    names: of `METRICS`; none means all that can be had. steps: of the curves. copies: with a part hidden, of each of
    the fidelities. fill: what hides, insertion_fill: what insertion begins with; a named filling or a grey level
    (0 to 255). boxes: in pixels of the photo, around what the map should find.

    Raises:
        UnknownName: no such metric or fill. UsageError: a bad number, or a metric of boxes without a box.
    """

    names: tuple[str, ...] = ()
    steps: int = 56
    copies: int = 128
    fill: AnyFill = "grey"
    insertion_fill: AnyFill = "blur"
    boxes: tuple[Box, ...] = ()

    def __post_init__(self) -> None:
        for name in self.names:
            if name not in METRICS:
                raise UnknownName("metric", name, METRICS)
            if name in OF_BOXES and not self.boxes:
                raise UsageError(f"{name} needs the box of what the map should find: give --box X,Y,WIDTH,HEIGHT")
        self.questions()  # sees that all numbers are good

    @property
    def chosen(self) -> tuple[str, ...]:
        """The metrics, in the order of `METRICS`."""
        wanted = self.names or tuple(name for name in METRICS if self.boxes or name not in OF_BOXES)
        return tuple(name for name in METRICS if name in wanted)

    def questions(self) -> dict[str, Question]:
        """Return the plans that answer what is chosen; metrics of the same curves share one."""
        made: dict[str, Question] = {
            CURVES: DeletionInsertion(steps=self.steps, deletion_fill=self.fill, insertion_fill=self.insertion_fill),
            INFIDELITY: Infidelity(copies=self.copies, fill=self.fill),
            MU_FIDELITY: MuFidelity(copies=self.copies, fill=self.fill),
        }
        wanted = {QUESTIONS_OF.get(name) for name in self.chosen}
        return {name: question for name, question in made.items() if name in wanted}

    @property
    def queries(self) -> int:
        """How many queries it sends at most: the unperturbed photo, which all share, and what each plan adds to it."""
        return 1 + sum(question.queries - 1 for question in self.questions().values())

    @property
    def asked(self) -> int:
        """How many queries it asks: the photo once by itself, and again in each plan, from the store."""
        return 1 + sum(question.queries for question in self.questions().values())


def figures(choice: Choice, results: Mapping[str, Any], values: NDArray[np.float64], seed: int) -> list[Figure]:
    """Return the figures of what is chosen.

    results: of the plans of `Choice.questions`, by name. values: the map in the photo's coordinates. seed: of ties.
    """
    found: list[Figure] = []
    for name in choice.chosen:
        if name in OF_BOXES:
            found.append(Figure(name, _of_boxes(name, values, choice.boxes, seed), "higher"))
        else:
            found += _asked(name, results[QUESTIONS_OF[name]], choice)
    return found


def _of_boxes(name: str, values: NDArray[np.float64], boxes: tuple[Box, ...], seed: int) -> float:
    if name == "r_sal":
        return r_sal(values, boxes)
    return float(hits(values, boxes, tolerance=TOLERANCE, seed=seed))


def _asked(name: str, result: Any, choice: Choice) -> list[Figure]:
    if name == "infidelity":
        return _infidelity(result, choice)
    if name == "mu_fidelity":
        return _mu_fidelity(result, choice)
    return _aopc(result, choice) if name == "aopc" else _srg(result, choice)


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


def same_fill(one: AnyFill, other: AnyFill) -> bool:
    """Return whether two fills are the same, by name or by level: grey is 127."""
    return _level(one) == _level(other)


def _level(fill: AnyFill) -> AnyFill:
    return LEVELS.get(fill, fill) if isinstance(fill, str) else float(fill)
