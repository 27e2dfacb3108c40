"""Statistics of a score over a probe's answers: spread, noise, and the visibility where it tells most.

Pure: the same answers serve every score, and are asked once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bbquery.jobs import intervals
from bbquery.jobs.probe.design import BLOCKS
from bbquery.jobs.probe.reliability import ROUNDING, Explained, Looks, components, explained, interval
from bbquery.scoring.base import answered
from bbquery.types import Decision, NoAnswer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.jobs.intervals import Estimate
    from bbquery.jobs.probe.answers import AnswerFigures, Answers, Row
    from bbquery.jobs.probe.design import Condition
    from bbquery.scoring.base import About, BoundScore

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
FEWEST_REPEATED = 3  # masks with a second answer, for a condition's own reliability to be named


@dataclass(frozen=True, eq=False)
class ConditionFigures:
    """What a score makes of a condition's images.

    masks: those that were scored. met: of their first answers, those that meet the criterion. mean: of the masks.
    between, within: variances. information: the variance between masks times the share of answers, which is what a
    query behind such a mask tells; for decisions it is largest where half of them meet the criterion. best: the share
    of resamples in which no other share of visible cells tells more; 0 where it is none of them.
    """

    condition: Condition
    masks: int
    met: Estimate
    mean: Estimate
    between: float
    within: float
    reliability: Estimate
    information: float
    best: float


@dataclass(frozen=True, eq=False)
class Use:
    """What a score makes of its range behind masks.

    values: how many there are. quantiles: at `QUANTILES`. distinct: how many are different. nothing: those that say
    nothing of the target, as the score declares it. unread: answers that it could not read, and `words`, what in them.
    """

    values: int
    quantiles: tuple[float, ...]
    distinct: int
    nothing: Estimate
    unread: Estimate
    words: Counter[str]


@dataclass(frozen=True, eq=False)
class ScoreFigures:
    """What a score, made by `specification` and bound to a target, makes of the answers.

    noise: standard deviation of its values of the photo itself. flips: decisions on the photo that are not the
    commonest. reliability: of one answer, between and within variances, over all shares of visible cells. explained:
    see `bbquery.jobs.probe.reliability.explained`. clean, values, decisions: the raw numbers, (looks,), (rows,
    repeats).
    """

    specification: str
    target: str
    about: About
    noise: Estimate
    flips: Estimate
    use: Use
    conditions: tuple[ConditionFigures, ...]
    between: float
    within: float
    reliability: Estimate
    explained: Explained
    clean: NDArray[np.float64]
    values: NDArray[np.float64]
    decisions: NDArray[np.int8]

    @property
    def usual(self) -> tuple[ConditionFigures, ...]:
        """Its figures for the shares of visible cells alone."""
        return tuple(figures for figures in self.conditions if figures.condition.usual)


def of_score(
    specification: str, score: BoundScore, answers: Answers, came: Sequence[AnswerFigures], seed: int
) -> ScoreFigures:
    """Return a score's figures. came: whether each condition is answered. seed: of the resamples for intervals."""
    clean_decisions, clean = (part[0] for part in scored(score, [answers.clean]))
    decisions, values = scored(score, answers.rows)
    usual = _rows_where(answers, [c.usual for c in answers.design.conditions])
    looks = Looks.of_values(values[usual], answers.design.condition_of[usual])
    found, varied = components(looks), components(looks.resampled(np.random.default_rng((seed, 1))))
    return ScoreFigures(
        specification=specification,
        target=score.target,
        about=score.about,
        noise=intervals.deviation(clean),
        flips=_flips(clean_decisions),
        use=_use(score, answers, values),
        conditions=_conditions(answers, came, decisions, values, seed),
        between=float(found.between),
        within=float(found.within),
        reliability=interval(float(found.reliability), varied.reliability, len(looks.of)),
        explained=_explained(values, answers, usual),
        clean=clean,
        values=values,
        decisions=decisions,
    )


def scored(score: BoundScore, rows: Sequence[Row]) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    """Return decisions and values of every answer, (rows, most repeats), UNDECIDED and NaN where there is none."""
    width = max(map(len, rows), default=0)
    decisions = np.full((len(rows), width), Decision.UNDECIDED, dtype=np.int8)
    values = np.full((len(rows), width), np.nan)
    there = np.zeros((len(rows), width), dtype=np.bool_)
    for row, answers in enumerate(rows):
        there[row, : len(answers)] = [not (answer is None or isinstance(answer, NoAnswer)) for answer in answers]
    if there.any():
        decisions[there], values[there] = score(answered(answer for row in rows for answer in row))
    return decisions, values


def _rows_where(answers: Answers, chosen: Sequence[bool]) -> NDArray[np.bool_]:
    """Return which rows belong to the chosen conditions."""
    return np.array(chosen, dtype=np.bool_)[answers.design.condition_of]


def _flips(decisions: NDArray[np.int8]) -> Estimate:
    decided = decisions[decisions != Decision.UNDECIDED]
    met = int((decided == Decision.MET).sum())
    return intervals.rate(min(met, len(decided) - met), len(decided))


# --- the range ---


def _use(score: BoundScore, answers: Answers, values: NDArray[np.float64]) -> Use:
    given = answered(answer for row in answers.rows for answer in row)
    masked = values[_rows_where(answers, [c.visible is not None for c in answers.design.conditions])]
    known = masked[~np.isnan(masked)]
    nothing = np.isclose(known, score.about.no_information, rtol=1e-6, atol=1e-9)
    return Use(
        values=len(known),
        quantiles=tuple(map(float, np.quantile(known, QUANTILES))) if len(known) else (math.nan,) * len(QUANTILES),
        distinct=_distinct(known),
        nothing=intervals.rate(int(nothing.sum()), len(known)),
        unread=intervals.rate(len(given) - int((~np.isnan(values)).sum()), len(given)),
        words=score.unread(given) if given else Counter(),
    )


def _distinct(values: NDArray[np.float64]) -> int:
    """Return how many different values there are, rounding aside."""
    if not len(values):
        return 0
    return int((np.diff(np.sort(values)) > ROUNDING * np.abs(values).max()).sum()) + 1


def _explained(values: NDArray[np.float64], answers: Answers, usual: NDArray[np.bool_]) -> Explained:
    rows = usual & ~np.isnan(values).all(axis=1)
    looks = Looks.of_values(values[rows], answers.design.condition_of[rows])
    return explained(looks.means, answers.blocks.reshape(len(rows), BLOCKS**2)[rows], looks.of)


# --- condition by condition ---


def _conditions(
    answers: Answers,
    came: Sequence[AnswerFigures],
    decisions: NDArray[np.int8],
    values: NDArray[np.float64],
    seed: int,
) -> tuple[ConditionFigures, ...]:
    found, varied = [], []
    for place, each in enumerate(came):
        rows = answers.rows_of(place)
        figures, between = _condition(each, decisions[rows], values[rows], np.random.default_rng((seed, 2, place)))
        found.append(figures)
        varied.append(between)
    return _compared(found, np.array(varied))


def _condition(
    came: AnswerFigures, decisions: NDArray[np.int8], values: NDArray[np.float64], rng: np.random.Generator
) -> tuple[ConditionFigures, NDArray[np.float64]]:
    """Return a condition's figures, not yet compared, and its information in each resample."""
    looks = Looks.of_values(values, np.zeros(len(values), dtype=np.int64))
    found, varied = components(looks), components(looks.resampled(rng))
    decided = decisions[:, 0][decisions[:, 0] != Decision.UNDECIDED]
    figures = ConditionFigures(
        condition=came.condition,
        masks=len(looks.of),
        met=intervals.rate(int((decided == Decision.MET).sum()), len(decided)),
        mean=intervals.mean(looks.means),
        between=float(found.between),
        within=float(found.within),
        reliability=_if_repeated(looks, interval(float(found.reliability), varied.reliability, len(looks.of))),
        information=float(np.nan_to_num(found.between)) * came.share_answered,
        best=0.0,
    )
    return figures, np.nan_to_num(varied.between) * came.share_answered


def _if_repeated(looks: Looks, reliability: Estimate) -> Estimate:
    """Return a condition's reliability, unknown where too few second answers say what its noise is."""
    return reliability if (looks.counts > 1).sum() >= FEWEST_REPEATED else intervals.unknown(reliability.n)


def _compared(found: Sequence[ConditionFigures], varied: NDArray[np.float64]) -> tuple[ConditionFigures, ...]:
    """Say how often each share of visible cells tells most; equal ones share the resample."""
    usual = np.array([figures.condition.usual for figures in found])
    most = varied == varied[usual].max(axis=0)
    shares = np.where(usual, (most / (most & usual[:, None]).sum(axis=0)).mean(axis=1), 0.0)
    return tuple(
        ConditionFigures(**{**vars(figures), "best": float(share)})
        for figures, share in zip(found, shares, strict=True)
    )
