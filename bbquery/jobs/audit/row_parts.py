"""Parts of a row from results: what is kept of a map, of an attack and of a first answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bbquery.jobs.attack.first_labels import first_label
from bbquery.jobs.audit.row import GRID, AttackRow, MapRow
from bbquery.jobs.explain.verified import brief
from bbquery.specification import constructor
from bbquery.types import Labels, NoAnswer, Text, Vector

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.jobs.attack.result import Stress
    from bbquery.jobs.audit.keeping import KeptAttack, KeptMap
    from bbquery.jobs.evaluate.result import Evaluation
    from bbquery.jobs.explain.result import Explanation, TargetMap
    from bbquery.jobs.intervals import Bounds
    from bbquery.oracle import Capabilities
    from bbquery.types import Answer, Reply

NAMES_NOTHING = "names nothing"


def map_row(found: Explanation, m: TargetMap, kept: KeptMap, measured: Evaluation | None) -> MapRow:
    """Return what is kept of a map. measured: how good it is, None where that was not measured in full."""
    enough = m.verified.enough if m.verified is not None else None
    breaks = m.verified.breaks if m.verified is not None else None
    curves = None if measured is None else measured.curves
    return MapRow(
        target=m.target, method=constructor(found.method), unit=m.sent.unit, stamp=kept.stamp, verdict=kept.verdict,
        facts=() if m.verified is None else tuple(m.verified.says),
        enough=None if enough is None else enough.share, breaks=None if breaks is None else breaks.share,
        becomes="" if breaks is None else brief(breaks.answers[-1], found.oracle),
        insertion=None if curves is None else _known(curves.insertion_auc),
        deletion=None if curves is None else _known(curves.deletion_auc),
        fidelity=None if curves is None else _known(curves.srg), bounds=_bounds(m.score.about.low, m.score.about.high),
        grid=grid(m.values), picture=kept.picture, report=kept.report,
    )  # fmt: skip


def _bounds(low: float, high: float) -> Bounds | None:
    """Return the least and the most that a fidelity can be, of a score between low and high; None without bounds."""
    return (low - high, high - low) if np.isfinite(high - low) else None


def attack_row(found: Stress, kept: KeptAttack) -> AttackRow:
    """Return what is kept of an attack."""
    again = found.verification
    return AttackRow(
        attack=constructor(found.attack), outcome=found.outcome, rmse=_known(found.rmse), linf=_known(found.linf),
        became=next(iter(found.labels), ""), votes=0 if again is None else again.left,
        asked=0 if again is None else again.asked, queries=found.queries.asked, verdict=kept.verdict,
        image=kept.image, report=kept.report,
    )  # fmt: skip


def _known(value: float) -> float | None:
    """Return a number that JSON can hold; None for one that is not finite."""
    return float(value) if np.isfinite(value) else None


def grid(values: NDArray[np.float64]) -> tuple[tuple[float | None, ...], ...]:
    """Return means of a map (H, W) over 14 × 14 cells, NaN left out; None where there is nothing else."""
    rows, columns = (np.array_split(np.arange(side), min(GRID, side)) for side in values.shape)
    return tuple(tuple(_mean(values[np.ix_(row, column)]) for column in columns) for row in rows)


def _mean(cell: NDArray[np.float64]) -> float | None:
    known = cell[np.isfinite(cell)]
    return float(f"{known.mean():.6g}") if known.size else None  # digits beyond are no news, and take half of a row


def first(answer: Answer, oracle: Capabilities) -> str:
    """Return what an answer names first, in words; empty where it names nothing."""
    return first_label(answer, oracle.classes) or ""


def first_value(answer: Answer) -> float | None:
    """Return the number of what an answer names first; None where it has none."""
    match answer:
        case Vector(values) if values.size:
            return float(values.max())
        case Labels((label, *_)):
            return label.score
    return None


def first_bounds(answer: Answer, oracle: Capabilities) -> Bounds | None:
    """Return the least and the most that `first_value` can be; None where that is not known.

    What a service calls a score of a label has no stated range: it is 0 to 1 where all of an answer are.
    """
    match answer:
        case Vector() if oracle.answers == "probabilities":
            return 0.0, 1.0
        case Labels(labels) if all(each.score is not None and 0 <= each.score <= 1 for each in labels):
            return 0.0, 1.0
    return None


def nothing(answer: Answer) -> str:
    """Return why an answer names nothing; empty where it names something."""
    if isinstance(answer, NoAnswer):
        return f"{answer.kind}: {answer.reason}"
    return NAMES_NOTHING if answer == Labels(()) else ""


def right(answer: Answer, label: str | None, oracle: Capabilities) -> bool | None:
    """Return whether an answer names a label first, by any name of its class; None without a label or an answer.

    A text names what it contains.
    """
    if label is None or isinstance(answer, NoAnswer):
        return None
    wanted = label.strip().casefold()
    if isinstance(answer, Text):
        return wanted in answer.spoken.text.casefold()
    if isinstance(answer, Vector) and oracle.classes is not None:
        best = int(answer.values.argmax())
        names = [*oracle.classes.names[best], *oracle.classes.keys[best : best + 1], oracle.classes.show(best)]
        return wanted in {name.casefold() for name in names}
    return first(answer, oracle).casefold() == wanted


def flips(replies: Sequence[Reply | None], oracle: Capabilities) -> tuple[int, int]:
    """Return how often a photo was asked again, and how many of these answers name something else first.

    Answers that never came, or hold none, count as neither.
    """
    named = [first(r.answer, oracle) for r in replies if r is not None and not isinstance(r.answer, NoAnswer)]
    return max(len(named) - 1, 0), sum(name.casefold() != named[0].casefold() for name in named[1:])
