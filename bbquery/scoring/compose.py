r"""Weighted sum of several scores, brought to one scale and clipped.

    compose:of=hard|text,weights=.7|.3
    compose:of=soft:form=log_odds|hard,scale=none,low=-5,high=5
    compose:of=soft:form=margin\,softmax=true

On the command line `|` separates scores and weights, and a comma within a score's own options is written `\,`; so a
composition of compositions is for Python only. Repeats of one question are not its matter: `score_rows` gives the mean
and spread of them for every score.

For one answer, with v_i the values of the scores:

1. Each is brought to one scale. scale=unit maps its declared range to 0 to 1, so that 1 is nearest to the target:
   u_i = (v_i - low_i) / (high_i - low_i), and 1 - u_i where lower is nearer. scale=none takes it as it is, with its
   sign turned where lower is nearer.
2. s = sum_i w_i u_i.
3. s is clipped to `low` and `high`, where they are given; stretch=true maps what is between them to 0 to 1.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from bbquery.errors import UsageError
from bbquery.scoring.base import About, BoundScore, Score
from bbquery.types import Answer, Classes, Decision

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.oracle import Capabilities

Scale = Literal["unit", "none"]
Meeting = Literal["first", "all", "any"]


@dataclass(frozen=True, kw_only=True)
class Compose:
    """A weighted sum of scores of the same target, higher being nearer; where one cannot read an answer, nor can it.

    Args:
        of: the scores.
        weights: of each score, not all 0; without any they count alike and add up to 1; at least 0.
        scale: unit maps each score's range to 0 to 1, so that 1 is nearest to the target; none takes it as it
            is, with its sign turned where lower is nearer.
        low: what the sum is clipped to from below; any number.
        high: what it is clipped to from above; any number above low.
        stretch: whether what is between low and high is mapped to 0 to 1.
        met: whose criterion decides: that of the first score, of all or of any.

    Raises:
        UsageError: weights, bounds and scores do not fit each other.
    """

    of: tuple[Score, ...]
    weights: tuple[float, ...] = ()
    scale: Scale = "unit"
    low: float | None = None
    high: float | None = None
    stretch: bool = False
    met: Meeting = "first"

    def __post_init__(self) -> None:
        if not self.of:
            raise UsageError("a composition needs a score: of=hard|text")
        if not self.weights:
            object.__setattr__(self, "weights", (1 / len(self.of),) * len(self.of))
        if len(self.weights) != len(self.of):
            raise UsageError(f"{len(self.weights)} weights for {len(self.of)} scores: give each one, or none")
        if not all(0 <= weight < math.inf for weight in self.weights) or not sum(self.weights):
            raise UsageError(f"weights must be numbers from 0, not all 0, not {self.weights}")
        low, high = self._bounds
        if not low < high:
            raise UsageError(f"low must be below high, and low={self.low} is not below high={self.high}")
        if self.stretch and not math.isfinite(high - low):
            raise UsageError("stretch=true maps low and high to 0 and 1: give both")

    @property
    def _bounds(self) -> tuple[float, float]:
        return (-math.inf if self.low is None else self.low), (math.inf if self.high is None else self.high)

    def check(self, capabilities: Capabilities, targets: Sequence[str]) -> None:
        """Check that each of the scores can score such answers and targets.

        Raises:
            UsageError: one cannot.
        """
        for score in self.of:
            score.check(capabilities, targets)

    def bind(self, clean: Answer, target: str | None, classes: Classes | None) -> BoundScore:
        """Fix the target; None lets each score take the clean answer's own, of which the first one's is shown.

        Raises:
            UsageError: a score cannot use such answers, a target is not known, or a range to be scaled has no end.
        """
        bound = tuple(score.bind(clean, target, classes) for score in self.of)
        for score in bound:
            about = score.about
            if self.scale == "unit" and not math.isfinite(about.high - about.low):
                raise UsageError(
                    f"the {about.unit} has no bounds that could be mapped to 0 and 1: say scale=none, and clip the sum "
                    "with low and high if need be"
                )
        low, high = self._bounds
        return BoundComposition(bound, self.weights, self.scale, low, high, stretch=self.stretch, met=self.met)


@dataclass(frozen=True)
class BoundComposition:
    """`Compose` of scores that know their target."""

    of: tuple[BoundScore, ...]
    weights: tuple[float, ...]
    scale: Scale
    low: float
    high: float
    stretch: bool
    met: Meeting

    @property
    def target(self) -> str:
        """The target, for people."""
        return self.of[0].target

    @property
    def about(self) -> About:
        """Meaning of a value."""
        abouts = [score.about for score in self.of]
        ends = np.array([sorted((about.low, about.high), reverse=about.direction == "lower") for about in abouts])
        nothing = np.array([[about.no_information] for about in abouts])
        low, high = self._sum(ends)
        terms = " + ".join(f"{w:.4g} × {about.unit}" for w, about in zip(self.weights, abouts, strict=True))
        return About(
            unit=f"{terms}{', to one scale' if self.scale == 'unit' else ''}",
            direction="higher",
            low=float(low),
            high=float(high),
            criterion=self._criterion([about.criterion for about in abouts]),
            no_information=float(self._sum(nothing)[0]),
            object=next((about.object for about in abouts if about.object is not None), None),
            of_first=abouts[0].of_first if self.met == "first" else all(about.of_first for about in abouts),
        )

    def _criterion(self, each: Sequence[str]) -> str:
        if self.met == "first":
            return each[0]
        return (" and " if self.met == "all" else " or ").join(each)

    def __call__(self, answers: Sequence[Answer]) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
        """Return decisions, as `met` says, and the sums."""
        decisions, values = zip(*(score(answers) for score in self.of), strict=True)
        return self._decide(np.array(decisions)), self._sum(np.array(values))

    def _decide(self, decisions: NDArray[np.int8]) -> NDArray[np.int8]:
        """Join decisions (scores, n): what one side settles is settled, whatever is undecided elsewhere."""
        if self.met == "first":
            return np.asarray(decisions[0])
        settles, otherwise = Decision.NOT_MET, Decision.MET
        if self.met == "any":
            settles, otherwise = otherwise, settles
        settled, open_ = (decisions == settles).any(axis=0), (decisions == Decision.UNDECIDED).any(axis=0)
        joined = np.where(settled, settles, np.where(open_, Decision.UNDECIDED, otherwise))
        return np.asarray(joined, dtype=np.int8)

    def _sum(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the outcome (n,) of the scores' values (scores, n)."""
        weights = np.array(self.weights)
        used = weights > 0  # or 0 × infinity would make a sum unknown
        clipped = np.clip(weights[used] @ self._scaled(values)[used], self.low, self.high)
        return np.asarray((clipped - self.low) / (self.high - self.low) if self.stretch else clipped)

    def _scaled(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Bring values (scores, n) to one scale, on which higher is nearer."""
        abouts = [score.about for score in self.of]
        turned = np.array([[-1.0 if about.direction == "lower" else 1.0] for about in abouts])
        if self.scale == "none":
            return turned * values
        low, high = np.array([[about.low, about.high] for about in abouts]).T[:, :, None]
        return np.asarray(np.where(turned > 0, values - low, high - values) / (high - low))

    def unread(self, answers: Sequence[Answer]) -> Counter[str]:
        """Return what any of the scores could not read."""
        found: Counter[str] = Counter()
        for score in self.of:
            found |= score.unread(answers)
        return found

    def steps(self, answer: Answer) -> list[str]:
        """Return each score's steps, then how their values are brought together."""
        values = np.array([score([answer])[1] for score in self.of])
        scaled, lines = self._scaled(values), []
        for score, value, unit in zip(self.of, values[:, 0], scaled[:, 0], strict=True):
            about = score.about
            lines += [f"{about.unit}: {step}" for step in score.steps(answer)]
            lines.append(f"{about.unit}: {value:.6g} ({about.direction} is nearer), on the common scale {unit:.6g}")
        terms = " + ".join(f"{w:.4g} × {u:.6g}" for w, u in zip(self.weights, scaled[:, 0], strict=True))
        lines.append(f"sum: {terms} = {float(np.array(self.weights) @ scaled[:, 0]):.6g}")
        if math.isfinite(self.low) or math.isfinite(self.high):
            stretched = f", of which {self.low:g} counts 0 and {self.high:g} counts 1" if self.stretch else ""
            lines.append(f"clipped to {self.low:g} to {self.high:g}{stretched}: {self._sum(values)[0]:.6g}")
        return lines


SCORE = Compose
