"""Advice of a probe, with reasons: a score, a method, repeats, and a number of queries, or none at all.

The score. First those whose reliability (`bbquery.jobs.probe.reliability`) cannot be told from the best one's: the
upper end of their interval reaches it. Of these those of which a coarse linear map explains most (`explained`), within
0.1, which is its own standard error from 50 masks; answers that a score cannot read count as not explained. A
deterministic oracle makes every score reliable, but not every score tells where the evidence lies. Of what is left, the
score with most different values, then the default score of such answers.

The share of visible cells. Where a query tells most: variance between masks times the share of answers. For a decision
that is where half of the labels flip.

The method. `designed` hides half of the cells, and reaches the correlation of centred RISE with a quarter of the
queries (30 complete games, docs/league.md). It is taken where half of the cells tell at least half of what the best
share does, or where the masks do not rule out that they tell most; else RISE with that share.

The queries. None where the score hardly moves behind masks for what more masks would not mend: it reads nothing,
always says the same, or nothing of the target, or is noise. Else a centred map of k cells from N rows has in each cell
a signal of R² V / (k p q) (mean square) and noise of V / (N p q), with V the variance of the score, p q that of a cell,
and R² the share that a linear map explains. Hence its squared correlation with the map of unlimited queries is
1 / (1 + k / (N R²)), and

    N = k / R² · c² / (1 - c²)    for a correlation of c.

R² is taken from `explained`, a map of 3 × 3 blocks: a finer map explains more, so N errs on the side of too many. Below
0.1, which cannot be told from 0, no number is justified: then it is the default number at most, and `designed` stops by
itself once its map is stable.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bbquery.jobs.probe import repeats
from bbquery.jobs.probe.design import MIDDLE, RISE, SHARES
from bbquery.jobs.probe.reliability import TOLD_APART
from bbquery.saliency.designed import Designed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.jobs.intervals import Estimate
    from bbquery.jobs.probe.answers import AnswerFigures, CleanFigures
    from bbquery.jobs.probe.statistics import ConditionFigures, ScoreFigures

CORRELATION = 0.95  # with the map of unlimited queries
HARDLY, NEARLY_NONE = 0.2, 0.05  # a reliability, and an end of its interval, below which a score hardly moves
AS_NOISY = 0.5  # of the variance behind masks: so much on the photo itself, and no map seen, is noise
SELDOM = 0.8  # a share of answers that say nothing, above which likewise
HALF_TELLS = 0.5  # of what the best share of visible cells tells: from there on half of them is good enough
PERHAPS = 0.05  # of resamples in which half of the cells tell most: too many to rule it out
DESIGNED_SAVES = 4  # RISE's queries over those of `designed`, for the same correlation with exact main effects
USUAL = Designed().queries
NO_MORE = "do not spend more here"
OFTEN = 0.1  # a share of flips, refusals or unread answers that is worth a warning

Figures = Mapping[str, Sequence["ScoreFigures"]]
"""A score's figures for each target, by its specification."""


@dataclass(frozen=True, kw_only=True)
class Advice:
    """What to run next, why, and what to beware of.

    method: as `bbquery explain` takes it. queries: 0 where no more should be spent on this photo and target. worth: of
    r repeats, as a share of as many new masks.
    """

    score: str
    method: str
    visible: float
    repeats: int
    queries: int
    worth: Mapping[int, float]
    votes: int | None
    trusted: int | None
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]


def advise(figures: Figures, clean: CleanFigures, came: Sequence[AnswerFigures]) -> Advice:
    """Recommend. came: whether each condition is answered."""
    score, why = _score(figures)
    chosen = figures[score]
    place, where = _share(chosen)
    reliability, flips = _least_reliability(chosen), max(f.flips.value for f in chosen)
    designs = _half_will_do(chosen, place)
    queries, enough = _queries(chosen, designs=designs)
    method = _method(place, designs=designs, until_stable=_hidden_from_a_line(chosen))
    return Advice(
        score=score,
        method=method,
        visible=SHARES[MIDDLE if designs else place],
        repeats=repeats.BEST,
        queries=queries,
        worth={r: repeats.worth(reliability, r) for r in repeats.SHOWN},
        votes=repeats.votes(flips),
        trusted=repeats.trusted(reliability),
        reasons=(why, where, _why_method(method, designs=designs), _one_answer(reliability), enough),
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
    shares = [f.explained.share * (1 - (f.use.unread.value if f.use.unread.known else 0.0)) for f in figures]
    return float(np.mean(shares))


def _score(figures: Figures) -> tuple[str, str]:
    """Return the specification of the score to take, and why."""
    best = max(map(_least_reliability, figures.values()))
    if not best > 0:
        usual = next(iter(figures))
        return (
            usual,
            f"score {usual}, the default, since no score is seen to change by more than chance",
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


def _tells(figures: Sequence[ScoreFigures]) -> NDArray[np.float64]:
    """Return how much each of `SHARES` tells, as a share of what all do, the mean over targets."""
    information = np.array([[c.information for c in f.usual] for f in figures])
    total = information.sum(axis=1, keepdims=True)
    shares = np.divide(information, total, out=np.zeros_like(information), where=total > 0)
    return np.asarray(shares.mean(axis=0))


def _share(figures: Sequence[ScoreFigures]) -> tuple[int, str]:
    """Return which of `SHARES` tells most, the mean over targets, and why."""
    tells = _tells(figures)
    if not tells.any():
        return MIDDLE, f"{SHARES[MIDDLE]:.0%} visible, since no share is better: the score moves behind no mask"
    place = int(np.argmax(tells))
    each: list[ConditionFigures] = [f.usual[place] for f in figures]
    sure = float(np.mean([c.best for c in each]))
    met = ", ".join(f"{c.met.value:.0%}" for c in each)
    why = f"{SHARES[place]:.0%} visible: the score differs most between such masks, in {sure:.0%} of resamples"
    return place, f"{why}; {met} of them meet the criterion"


# --- the method ---


def _half_will_do(figures: Sequence[ScoreFigures], best: int) -> bool:
    """Whether half of the cells tell enough, or may tell most. best: the place of the share that tells most.

    What no such mask was seen to move tells nothing: in resamples where no share does, it only ties with the others.
    """
    if math.isnan(_least_explained(figures)):  # too few masks to tell shares apart
        return True
    tells = _tells(figures)
    if tells.any() and not tells[MIDDLE]:
        return False
    perhaps = float(np.mean([f.usual[MIDDLE].best for f in figures]))
    return bool(tells[MIDDLE] >= HALF_TELLS * tells[best]) or perhaps > PERHAPS


def _method(place: int, *, designs: bool, until_stable: bool) -> str:
    if designs:
        return f"designed:cells={RISE.cells}" + ",until=stable" * until_stable
    return "rise" if SHARES[place] == RISE.p else f"rise:p={SHARES[place]:g}"


def _why_method(method: str, *, designs: bool) -> str:
    if designs:
        return f"method {method}: it hides half of the cells, and needs a quarter of the queries that rise does"
    return f"method {method}: with half of the cells hidden, as by designed, the score tells less than half as much"


# --- repeats and queries ---


def _one_answer(reliability: float) -> str:
    two = repeats.worth(reliability, 2)
    return (
        f"{repeats.BEST} answer a mask: two answers to one mask are worth {two:.0%} of answers to two masks, "
        "so noise is met with more masks"
    )


def _queries(figures: Sequence[ScoreFigures], *, designs: bool) -> tuple[int, str]:
    """Return how many queries to allow, and why. designs: whether `designed` asks them."""
    needless = [_why_needless(f) for f in figures]
    if all(needless):
        return 0, f"{NO_MORE}: {needless[0]}, and more masks do not mend that"
    explained = _least_explained(figures)
    if _hidden_from_a_line(figures):
        stops = ", and it stops once its map is stable" if designs else ""
        few = math.isnan(explained)
        why = (
            "so few masks do not tell how many" if few else f"a coarse map explains {explained:.0%}, so perhaps nothing"
        )
        return USUAL, f"{USUAL:,} queries at most, the default number: {why}{stops}"
    cells = RISE.cells**2
    needed = cells / explained * CORRELATION**2 / (1 - CORRELATION**2)
    queries = _rounded(max(needed / DESIGNED_SAVES, 2 * cells) if designs else needed)
    sure = f"a coarse map explains {explained:.0%} of the score"
    return queries, f"{queries:,} queries: {sure}, the map correlates {CORRELATION} with that of unlimited queries"


def _least_explained(figures: Sequence[ScoreFigures]) -> float:
    return min((f.explained.share for f in figures if not math.isnan(f.explained.share)), default=math.nan)


def _hidden_from_a_line(figures: Sequence[ScoreFigures]) -> bool:
    """Whether the share that a coarse map explains is unknown, or cannot be told from 0."""
    return not any(f.explained.seen for f in figures) or not _least_explained(figures) >= TOLD_APART


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
    found = figures.reliability
    if why := _why_needless(figures):
        return why
    if found.value < HARDLY or found.low < NEARLY_NONE:
        return f"its reliability is {found.value:.2f} ({found.low:.2f} to {found.high:.2f}): what changes may be noise"
    return ""


def _why_needless(figures: ScoreFigures) -> str:
    """Return why more masks would not move the score either; nothing where they might."""
    use = figures.use
    if not use.values:
        return "it read none of the answers"
    if use.distinct == 1:
        return f"all {use.values} answers behind masks score {use.quantiles[0]:.4g}"
    if use.nothing.known and use.nothing.value > SELDOM:
        return f"{_share_of(use.nothing)} answers say nothing of the target"
    found = figures.reliability
    if found.value < NEARLY_NONE or found.high < HARDLY:
        return f"its reliability is {found.value:.2f} ({found.low:.2f} to {found.high:.2f}): what changes is noise"
    total = figures.between + figures.within
    if not figures.explained.seen and total > 0 and figures.noise.value**2 >= AS_NOISY * total:
        return (
            f"it differs on the photo itself (standard deviation {figures.noise.value:.2g}) about as much as behind "
            f"masks ({math.sqrt(total):.2g}), of which a coarse map explains nothing"
        )
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
