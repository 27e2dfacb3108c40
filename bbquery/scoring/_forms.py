"""The four forms of the soft score, from the target's share of an answer.

With p the share of the target and q that of everything else (1 - p, where shares add up to 1):

probability     p
log_odds        ln p - ln q, the logit of p: moves evenly where p is near 0 or 1
cross_entropy   -ln p, the loss of a classifier; lower is nearer
margin          the highest number in the target less the highest outside it (Carlini & Wagner 2017, eq. 6, without its
                bound): above 0 exactly where the target is on top, and that of "everything else" is its negative

In the logarithms no share counts as less than `FLOOR`, so every value is finite: log-odds lie within ± 27.63, and a
cross-entropy within 0 and 27.63.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np

from bbquery.scoring.base import About

if TYPE_CHECKING:
    from numpy.typing import NDArray

Form: TypeAlias = Literal["probability", "log_odds", "cross_entropy", "margin"]

FLOOR: Final = 1e-12  # below what a softmax in 32 bits, or a list of twenty alternatives, can tell from nothing
LIMIT: Final = -math.log(FLOOR)
UNITS: Final = {"log_odds": "log-odds", "cross_entropy": "cross-entropy", "margin": "margin"}
CRITERION: Final = "the target is on top"


@dataclass(frozen=True, eq=False)
class Shares:
    """Shares of the target and of everything else in answers: float64 (n,) each, NaN where an answer cannot be read.

    target, rest: the share of each, all that belongs to it taken together. best, best_other: the highest single number
    in the target and outside it. met: bool (n,), whether the target is on top.
    """

    target: NDArray[np.float64]
    rest: NDArray[np.float64]
    best: NDArray[np.float64]
    best_other: NDArray[np.float64]
    met: NDArray[np.bool_]

    @classmethod
    def single(cls, target: float, rest: float, best: float, best_other: float) -> Shares:
        """Return the shares of one answer."""
        one = np.array([[target], [rest], [best], [best_other]])
        return cls(one[0], one[1], one[2], one[3], np.array([best > best_other]))


def value(form: Form, shares: Shares) -> NDArray[np.float64]:
    """Return the values of answers, float64 (n,)."""
    if form == "margin":
        return shares.best - shares.best_other
    if form == "probability":
        return shares.target
    if form == "log_odds":
        return _log(shares.target) - _log(shares.rest)
    return np.abs(_log(shares.target))  # of a share of 1 the entropy is 0, not -0


def _log(share: NDArray[np.float64]) -> NDArray[np.float64]:
    logarithm: NDArray[np.float64] = np.log(np.clip(share, FLOOR, 1.0))
    return logarithm


def about(form: Form, unit: str, *, bounded: bool, nothing: Shares) -> About:
    """Return what values mean.

    unit: what the oracle's own number is. bounded: whether it is 0 to 1. nothing: the shares of an answer that says
    nothing of the target, NaN where there is no such answer.
    """
    low, high = {
        "probability": (0.0, 1.0) if bounded else (-math.inf, math.inf),
        "log_odds": (-LIMIT, LIMIT),
        "cross_entropy": (0.0, LIMIT),
        "margin": (-1.0, 1.0) if bounded else (-math.inf, math.inf),
    }[form]
    return About(
        unit=UNITS.get(form, unit),
        direction="lower" if form == "cross_entropy" else "higher",
        low=low,
        high=high,
        criterion=CRITERION,
        no_information=float(value(form, nothing)[0]),
    )


def explained(form: Form, shares: Shares) -> str:
    """Return how the value of one answer comes about, for people."""
    p, q, best, other = (float(v[0]) for v in (shares.target, shares.rest, shares.best, shares.best_other))
    result = f"{float(value(form, shares)[0]):.6g}"
    return {
        "probability": f"the value is the target's own number: {result}",
        "log_odds": f"log-odds: ln({_shown(p)}) - ln({_shown(q)}) = {result}",
        "cross_entropy": f"cross-entropy: -ln({_shown(p)}) = {result}",
        "margin": f"margin: {best:.6g} - {other:.6g} = {result}, the best in the target less the best outside it",
    }[form]


def _shown(share: float) -> str:
    return f"{share:.6g}" if share >= FLOOR else f"{share:.6g}, taken as {FLOOR:g}"
