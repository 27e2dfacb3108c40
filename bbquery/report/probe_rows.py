"""Figures of a probe as rows of tables, with their intervals of 95 %: for the terminal and for its page."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bbquery.money import dollars

if TYPE_CHECKING:
    from bbquery.jobs.intervals import Estimate
    from bbquery.jobs.probe.answers import AnswerFigures, CleanFigures
    from bbquery.jobs.probe.result import Probe
    from bbquery.jobs.probe.statistics import ConditionFigures, ScoreFigures

UNKNOWN = "–"
OF_CONDITIONS = (
    "images", "masks", "no answer", "criterion met", "mean", "sd of masks", "sd of noise", "reliability",
)  # fmt: skip
OF_SCORES = (
    "score", "target", "noise (sd)", "5 % to 95 %", "distinct", "says nothing", "unread", "reliability", "map",
)  # fmt: skip
SCORES_SAID = "every score, of the same answers (noise: of the photo itself; map: what a map of 3 × 3 blocks explains)"


def clean(found: CleanFigures) -> str:
    """Return what is said of the photo itself."""
    said = f"the photo itself: {found.answered} of {found.asked} answered"
    kinds = ", ".join(f"{count} {kind}" for kind, count in found.kinds.most_common())
    flips = f"label flips {_rate(found.flips)}" if found.flips.known else "no label"
    most = ", ".join(f"{label[:40]!r} {count}" for label, count in found.labels.most_common(3))
    return f"{said}{f' ({kinds})' if kinds else ''}; {flips}: {most}"


def of_conditions(found: Probe, figures: ScoreFigures) -> list[tuple[str, ...]]:
    """Return a row for each kind of image: `OF_CONDITIONS`."""
    return [_condition(*pair) for pair in zip(found.came, figures.conditions, strict=True)]


def conditions_said(figures: ScoreFigures) -> str:
    """Return what the table of conditions is of."""
    return f"{figures.specification} of {figures.target!r} ({figures.about.unit}), by what was visible"


def _condition(came: AnswerFigures, figures: ConditionFigures) -> tuple[str, ...]:
    return (
        figures.condition.name,
        str(figures.masks),
        _rate(came.refused),
        _rate(figures.met),
        _interval(figures.mean),
        _number(math.sqrt(figures.between)),
        _number(math.sqrt(figures.within)),
        _interval(figures.reliability),
    )


def of_scores(found: Probe) -> list[tuple[str, ...]]:
    """Return a row for each score of each target: `OF_SCORES`."""
    return [_score(figures) for of_targets in found.scores.values() for figures in of_targets]


def _score(figures: ScoreFigures) -> tuple[str, ...]:
    use = figures.use
    return (
        figures.specification,
        figures.target[:30],
        _interval(figures.noise),
        f"{_number(use.quantiles[1])} to {_number(use.quantiles[-2])}",
        f"{use.distinct} of {use.values}",
        _rate(use.nothing) if not math.isnan(figures.about.no_information) else UNKNOWN,
        _rate(use.unread),
        _interval(figures.reliability),
        UNKNOWN if math.isnan(figures.explained.share) else f"{figures.explained.share:.0%}",
    )


def further(found: Probe) -> list[str]:
    """Return what repeats are worth, what one image needs, and what the next run costs."""
    advice = found.advice
    worth = ", ".join(f"{r} {share:.0%}" for r, share in advice.worth.items() if r > 1)
    said = [f"repeats are worth, as a share of as many new masks: {worth}"]
    trusted = {None: "no number of answers", 1: "one answer"}.get(advice.trusted, f"the mean of {advice.trusted}")
    votes = {None: "no vote of up to 99", 1: "one answer"}.get(advice.votes, f"a vote of {advice.votes}")
    said.append(
        f"to trust one image by itself: {trusted} for its score (reliability 0.8), {votes} for its decision (95 %)"
    )
    each = found.budget.picodollars_a_query
    if each and advice.queries:
        said.append(f"the next run costs about ${dollars(round(each * advice.queries, -8))}")
    return said


def _rate(estimate: Estimate) -> str:
    """Return a rate with its interval: "3 of 10 (11–60 %)"."""
    if not estimate.known:
        return UNKNOWN
    return (
        f"{round(estimate.value * estimate.n)} of {estimate.n} ({100 * estimate.low:.0f}–{100 * estimate.high:.0f} %)"
    )


def _interval(estimate: Estimate) -> str:
    """Return a number with its interval: "0.52 (0.41 to 0.63)"."""
    if not estimate.known:
        return UNKNOWN
    if math.isnan(estimate.low):
        return _number(estimate.value)
    return f"{_number(estimate.value)} ({_number(estimate.low)} to {_number(estimate.high)})"


def _number(value: float) -> str:
    return UNKNOWN if math.isnan(value) else f"{value:.3g}"
