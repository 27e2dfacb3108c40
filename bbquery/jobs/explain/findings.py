"""Findings on a map that a person must know before believing it, each with what to do.

NOT MOVED        every answer scored the same.
HARDLY MOVED     the answers moved, but too little for a map to say much: see `bbquery.jobs.explain.movement`.
COULD BE CHANCE  the map does not stand out from chance. The answers go with what was changed no better than the same
                 answers, shuffled (`bbquery.jobs.explain.shuffling`). Or, with a standard error: no more than a tenth
                 of it, which is what chance gives a 90 % interval, excludes 0, and nowhere does it lie twice the
                 interval's half width from 0. Or, without one: the scores vary no more than those of the unperturbed
                 image asked again.
REFUSED          copies of which a certain share was visible were refused clearly more often than the others.
NO ANSWER        copies got no answer: they were refused, filtered, cut off, empty or stayed unreadable.
NOT STABLE       the map was to be asked for until it is stable, and the queries ended first.
NOTE             what the method itself says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from bbquery.jobs.explain.movement import how_little
from bbquery.shown import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bbquery.jobs.explain.result import Explanation, TargetMap
    from bbquery.types import SaliencyMap, Stability, Visibility

Kind: TypeAlias = Literal["NOT MOVED", "HARDLY MOVED", "COULD BE CHANCE", "REFUSED", "NO ANSWER", "NOT STABLE", "NOTE"]

BY_CHANCE = 0.1  # of what has no effect, outside a 90 % interval
STANDS_OUT = 2.0  # half widths of the interval
DEVIATIONS = 3.3  # one in a thousand: each of ten ranges is compared with the others
MOST_WHY = 200  # characters of a reason
MORE_REFUSED = 0.1  # as a share: a smaller difference moves no map

NOT_MOVED = (
    "every answer scored the same, so the map says nothing: hide more (--method rise:p=0.3), take a denser score "
    "(--score), or ask 'bbquery probe' which would move"
)
HARDLY_MOVED = (
    "{how}, so the map says little: hide or change more at a time (options of --method), take a denser score "
    "(--score), or ask 'bbquery probe' which would move"
)
COULD_BE_CHANCE = (
    "the map may be chance: {why}; ask more (--max-queries), hide or change more at a time (options of --method), "
    "take a denser score (--score), or ask 'bbquery probe' which would move"
)
SHUFFLED = "the answers go with what was changed no better than the same answers, shuffled"
REFUSED = (
    "with about {visible:.0%} of the photo visible {unanswered} of {asked} copies got no answer, of the others {rest}: "
    "the map rests on what was answered; hide less, or with another filling (options of --method)"
)

NO_ANSWER = "{count} of {asked} copies got no answer ({kinds}), the first because of {why}; the map rests on the others"
NOT_STABLE = (
    "the map was not stable within {asked:,} queries: it is expected to correlate {agreement:.2f} with that of "
    "unlimited queries, and a stable one {wanted:g}: ask more (--max-queries)"
)


@dataclass(frozen=True)
class Finding:
    """One thing to know. target: of which map."""

    kind: Kind
    target: str
    text: str


def findings(explanation: Explanation) -> list[Finding]:
    """Return what must be known of an explanation's maps, the worst of each map first."""
    noises = [explanation.drift.noise, *[math.nan] * len(explanation.maps)]  # of the first target's score
    return [each for m, noise in zip(explanation.maps, noises, strict=False) for each in of_map(m, noise)]


def of_map(m: TargetMap, noise: float = math.nan) -> Iterator[Finding]:
    """Give what must be known of a map. noise: standard deviation of the score of one image asked again, or NaN."""
    if m.constant:
        yield Finding("NOT MOVED", m.target, NOT_MOVED)
    elif how := how_little(m):
        yield Finding("HARDLY MOVED", m.target, HARDLY_MOVED.format(how=how))
    elif why := _why_chance(m, noise):
        yield Finding("COULD BE CHANCE", m.target, COULD_BE_CHANCE.format(why=why))
    if text := refused(m.sent.visibility):
        yield Finding("REFUSED", m.target, text)
    elif m.unanswered.kinds:
        yield Finding("NO ANSWER", m.target, _no_answer(m))
    if m.sent.stability is not None and not m.sent.stability.stable:
        yield Finding("NOT STABLE", m.target, _not_stable(m, m.sent.stability))
    yield from (Finding("NOTE", m.target, note) for note in m.sent.notes)


def _no_answer(m: TargetMap) -> str:
    counts = m.unanswered.kinds
    kinds = ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
    return NO_ANSWER.format(count=counts.total(), asked=m.asked, kinds=kinds, why=shown(m.unanswered.why, MOST_WHY))


def _not_stable(m: TargetMap, stability: Stability) -> str:
    return NOT_STABLE.format(asked=m.asked, agreement=rounded_down(stability.agreement), wanted=stability.wanted)


def rounded_down(agreement: float) -> float:
    """Return a correlation in hundredths, rounded down: what is not stable does not look so."""
    return math.floor(100 * agreement) / 100


def decided(m: SaliencyMap) -> float:
    """Return the share of a map, 0 to 1, whose 90 % interval excludes 0; NaN without a standard error."""
    distance = _distance(m)
    return float((distance > 1).mean()) if distance.size else math.nan


def _why_chance(m: TargetMap, noise: float) -> str:
    """Return why a map does not stand out from chance; nothing where it does."""
    distance = _distance(m.sent)
    if distance.size and decided(m.sent) <= BY_CHANCE and distance.max() <= STANDS_OUT:
        return "it lies within its 90 % interval of 0 nearly everywhere"
    values = m.recorded.values[np.isfinite(m.recorded.values)]
    if not distance.size and noise > 0 and values.size > 1 and values.std(ddof=1) <= noise:
        return f"changed copies score no more differently (±{values.std(ddof=1):.2g}) than one image asked again"
    return SHUFFLED if m.chance else ""


def _distance(m: SaliencyMap) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return how far each value is from 0, in half widths of its interval; empty without a standard error."""
    if m.standard_error is None:
        return np.empty(0)
    known = np.isfinite(m.values) & np.isfinite(m.standard_error)
    half = m.interval * m.standard_error[known]
    value = np.abs(m.values[known])
    certain = np.where(value > 0, np.inf, 0.0)  # no error at all: whatever is not 0 is decided
    return np.divide(value, half, out=certain, where=half > 0)


def refused(visibility: Sequence[Visibility]) -> str:
    """Return that copies of one range of visible shares were clearly more often refused; nothing where none were.

    A range is compared with all others together by the difference of two proportions, in standard deviations.
    """
    asked, none = (sum(getattr(each, what) for each in visibility) for what in ("asked", "unanswered"))
    worst, most = None, DEVIATIONS
    for each in visibility:
        others = asked - each.asked
        deviations = _difference(each.unanswered, each.asked, none - each.unanswered, others)
        if deviations >= most:
            worst, most = each, deviations
    if worst is None:
        return ""
    rest = f"{none - worst.unanswered} of {asked - worst.asked}"
    return REFUSED.format(visible=worst.visible, unanswered=worst.unanswered, asked=worst.asked, rest=rest)


def _difference(hits: int, n: int, other_hits: int, others: int) -> float:
    """Return by how many standard deviations hits of n exceed the others' share; 0 where they hardly do."""
    if not (n and others) or hits / n - other_hits / others < MORE_REFUSED:
        return 0.0
    pooled = (hits + other_hits) / (n + others)
    return (hits / n - other_hits / others) / math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / others))
