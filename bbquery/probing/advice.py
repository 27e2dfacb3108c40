"""What a probe recommends, each with its reason: a score, a share of visible cells, repeats, and a number of queries.

The score. First those whose reliability (`bbquery.probing.reliability`) cannot be told from the best one's: the upper
end of their interval reaches it. Of these those of which a coarse linear map explains most (`explained`), within 0.1,
which is its own standard error from 50 masks; answers that a score cannot read count as not explained. A deterministic
oracle makes every score reliable, but not every score tells where the evidence lies. Of what is left, the score with
most different values, then the usual score of such answers.

The share of visible cells. Where a query tells most: variance between masks times the share of answers. For a decision
that is where half of the labels flip.

The queries. A centred map of k cells from N rows has in each cell a signal of R² V / (k p q) (mean square) and noise
of V / (N p q), with V the variance of the score, p q that of a cell, and R² the share that a linear map explains.
Hence its squared correlation with the map of endless queries is 1 / (1 + k / (N R²)), and

    N = k / R² · c² / (1 - c²)    for a correlation of c.

R² is taken from `explained`, a map of 3 × 3 blocks, and not below 0.1: a finer map explains more, so N errs on the side
of too many.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bbquery.probing import repeats
from bbquery.probing.design import MIDDLE, RISE, SHARES

if TYPE_CHECKING:
    from bbquery.probing.answers import AnswerFigures, CleanFigures
    from bbquery.probing.figures import ConditionFigures, ScoreFigures
    from bbquery.probing.intervals import Estimate

CORRELATION = 0.95  # with the map of endless queries
TOLD_APART = 0.1  # of shares that a coarse map explains: the standard error of 0 from 50 masks and 9 blocks
HARDLY, NEARLY_NONE = 0.2, 0.05  # a reliability, and an end of its interval, below which a score hardly moves
SELDOM = 0.8  # a share of answers that say nothing, above which likewise
OFTEN = 0.1  # a share of flips, refusals or unread answers that is worth a warning

Figures = Mapping[str, Sequence["ScoreFigures"]]
"""A score's figures for each target, by its specification."""


@dataclass(frozen=True, kw_only=True)
class Advice:
    """What to run next, why, and what to beware of. worth: of r repeats, as a share of as many new masks."""

    score: str
    visible: float
    repeats: int
    queries: int
    worth: Mapping[int, float]
    votes: int | None
    trusted: int | None
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def method(self) -> str:
        """The method that asks so, as `bbquery explain` takes it."""
        return "rise" if self.visible == RISE.p else f"rise:p={self.visible:g}"


def advise(figures: Figures, clean: CleanFigures, came: Sequence[AnswerFigures]) -> Advice:
    """Recommend. came: whether each condition is answered."""
    score, why = _score(figures)
    chosen = figures[score]
    place, where = _share(chosen)
    reliability, flips = _least_reliability(chosen), max(f.flips.value for f in chosen)
    queries, enough = _queries(chosen)
    return Advice(
        score=score,
        visible=SHARES[place],
        repeats=repeats.BEST,
        queries=queries,
        worth={r: repeats.worth(reliability, r) for r in repeats.SHOWN},
        votes=repeats.votes(flips),
        trusted=repeats.trusted(reliability),
        reasons=(why, where, _one_answer(reliability), enough),
        warnings=(*_of_score(chosen, figures), *_of_photo(chosen, clean), *_of_masks(came, place)),
    )


# --- the score ---


def _least_reliability(figures: Sequence[ScoreFigures]) -> float:
    """Return the least reliability over targets; 0 where nothing varies."""
    return min(0.0 if math.isnan(f.reliability.value) else f.reliability.value for f in figures)


def _reach(figures: Sequence[ScoreFigures]) -> float:
    """Return the upper end of the interval of the least reliability."""
    ends = [f.reliability.value if math.isnan(f.reliability.high) else f.reliability.high for f in figures]
    return min(0.0 if math.isnan(end) else end for end in ends)


def _explained(figures: Sequence[ScoreFigures]) -> float:
    """Return the share that a coarse map explains, the mean over targets; NaN where masks are too few."""
    shares = [f.explained * (1 - (f.use.unread.value if f.use.unread.known else 0.0)) for f in figures]
    return float(np.mean(shares))


def _score(figures: Figures) -> tuple[str, str]:
    """Return the specification of the score to take, and why."""
    best = max(map(_least_reliability, figures.values()))
    if not best > 0:
        usual = next(iter(figures))
        return (
            usual,
            f"score {usual}, the usual one, for want of better: of no score more than chance is seen to change",
        )
    rivals = [name for name, of in figures.items() if _least_reliability(of) == best or _reach(of) >= best]
    shares = {name: float(np.nan_to_num(_explained(figures[name]))) for name in rivals}
    left = [name for name in rivals if shares[name] >= max(shares.values()) - TOLD_APART]
    chosen = max(left, key=lambda name: min(f.use.distinct for f in figures[name]))  # of equal ones the first
    found = _least_reliability(figures[chosen])
    why = f"score {chosen}: reliability {found:.2f} ({found:.0%} of the differences between answers are no noise)"
    if len(rivals) > 1:
        by = f"a coarse map explains {shares[chosen]:.0%}" if any(shares.values()) else "it has most different values"
        why += f"; of {len(rivals)} scores that this cannot tell apart, {by}"
    return chosen, why


# --- the share of visible cells ---


def _share(figures: Sequence[ScoreFigures]) -> tuple[int, str]:
    """Return which of `SHARES` tells most, the mean over targets, and why."""
    information = np.array([[c.information for c in f.usual] for f in figures])
    total = information.sum(axis=1, keepdims=True)
    told = np.divide(information, total, out=np.zeros_like(information), where=total > 0).mean(axis=0)
    if not told.any():
        return MIDDLE, f"{SHARES[MIDDLE]:.0%} visible, for want of better: the score moves behind no mask"
    place = int(np.argmax(told))
    each: list[ConditionFigures] = [f.usual[place] for f in figures]
    sure = float(np.mean([c.best for c in each]))
    met = ", ".join(f"{c.met.value:.0%}" for c in each)
    why = f"{SHARES[place]:.0%} visible: the score differs most between such masks, in {sure:.0%} of resamples"
    return place, f"{why}; {met} of them meet the criterion"


# --- repeats and queries ---


def _one_answer(reliability: float) -> str:
    two = repeats.worth(reliability, 2)
    return (
        f"{repeats.BEST} answer a mask: two answers to one mask are worth {two:.0%} of answers to two masks, "
        "so noise is met with more masks"
    )


def _queries(figures: Sequence[ScoreFigures]) -> tuple[int, str]:
    """Return how many queries to allow, and why."""
    explained = min((f.explained for f in figures if not math.isnan(f.explained)), default=math.nan)
    if math.isnan(explained):
        return RISE.queries, f"{RISE.queries:,} queries: the usual number, since so few masks do not tell how many"
    cells, taken = RISE.cells**2, max(explained, TOLD_APART)
    queries = _rounded(cells / taken * CORRELATION**2 / (1 - CORRELATION**2))
    sure = f"a coarse map explains {explained:.0%} of the score" if taken == explained else (
        f"a coarse map explains {explained:.0%} of the score; if a finer one explains {taken:.0%}"
    )  # fmt: skip
    return queries, f"{queries:,} queries: {sure}, the map's correlation with that of endless ones is {CORRELATION}"


def _rounded(number: float) -> int:
    """Return a number rounded up to two digits."""
    unit = int(10 ** max(math.floor(math.log10(number)) - 1, 0))
    return math.ceil(number / unit) * unit


# --- warnings ---


def _of_score(chosen: Sequence[ScoreFigures], figures: Figures) -> list[str]:
    return [warning for each in chosen for warning in _of_one_score(each, len(figures))]


def _of_one_score(figures: ScoreFigures, tried: int) -> list[str]:
    said = []
    why = _why_hardly(figures)
    if why:
        others = "no score that was tried is better; " if tried > 1 else ""
        said.append(
            f"the score {figures.specification} of {figures.target!r} hardly moves: {why}; {others}try another "
            "--target, a question whose answers come with numbers (a list of labels, or log-probabilities: a prompt "
            "that is answered by one word), larger cells (--method rise:cells=4) or another fill"
        )
    if figures.use.unread.known and figures.use.unread.value > OFTEN:
        words = ", ".join(f"{word!r} ({count})" for word, count in figures.use.words.most_common(3))
        said.append(
            f"{_share_of(figures.use.unread)} answers could not be read by {figures.specification}: {words or 'empty'}"
        )
    return said


def _why_hardly(figures: ScoreFigures) -> str:
    use = figures.use
    if not use.values:
        return "it read none of the answers"
    if use.distinct == 1:
        return f"all {use.values} answers behind masks score {use.quantiles[0]:.4g}"
    if use.nothing.known and use.nothing.value > SELDOM:
        return f"{_share_of(use.nothing)} answers say nothing of the target"
    found = figures.reliability
    if found.value < HARDLY or found.low < NEARLY_NONE:
        return f"its reliability is {found.value:.2f} ({found.low:.2f} to {found.high:.2f}): what changes may be noise"
    return ""


def _of_photo(chosen: Sequence[ScoreFigures], clean: CleanFigures) -> list[str]:
    said = []
    if clean.answered < clean.asked and clean.kinds:
        said.append(f"the photo itself got no answer {clean.kinds.total()} of {clean.asked} times")
    if clean.flips.known and clean.flips.value > OFTEN:
        first, second = (name for name, _ in clean.labels.most_common(2))
        said.append(
            f"the label of the photo itself flips, {_share_of(clean.flips)} times: {first[:60]!r} or {second[:60]!r}; "
            "unless a --target is named, what is explained is chance"
        )
    return said + [
        f"the decision on {f.target!r} flips on the photo itself, {_share_of(f.flips)} times"
        for f in chosen
        if f.flips.known and f.flips.value > OFTEN
    ]


def _of_masks(came: Sequence[AnswerFigures], place: int) -> list[str]:
    """Warn of refusals: where less is visible than recommended they do no harm."""
    refusing = [c for c in came if c.condition.usual and c.refused.known and c.refused.value > OFTEN]
    said = [
        f"{_share_of(c.refused)} images with {c.condition.name} got no answer "
        f"({', '.join(f'{count} {kind}' for kind, count in c.kinds.most_common())})"
        for c in refusing
    ]
    if any(c.condition.visible == SHARES[place] for c in refusing):
        said.append("refusals count as no answer, never as 0; another fill or more to see may get more answers")
    return said


def _share_of(estimate: Estimate) -> str:
    """Return a rate as "3 of 10"."""
    return f"{round(estimate.value * estimate.n)} of {estimate.n}"
