"""Whether a map could be chance: it is compared with maps of the same answers, shuffled, without another query.

If answers do not depend on what was changed, they could as well have come in another order, and the map of a random
order is as likely to be the stronger one: a permutation test (Pitman). The method is run again on its own questions
with its scores shuffled, up to 39 times; a map that is stronger than all of these is chance in one case of 40.

1. The strength of a map is the standard deviation of its means in 7 × 7 parts. Speckle counts little there, and a map
   that is the same everywhere has none, however far from 0 it is.
2. Rows 2i and 2i + 1 stay neighbours, in either order: a method that asks in mirrored pairs compares the two, and what
   they have in common cancels in shuffled maps as well. What was not answered stays where it is.
3. It ends as soon as the outcome is known: at the first map that is as strong, after 4 maps on average where it is
   chance; and from the fifth on where the map lies 6 standard deviations beyond all, less than 1 % likely by chance.
4. Of many rows of many pixels the first are taken, for both sides: time is bounded by their number, never by a clock.

It holds of every method that does not adapt, whatever it makes of scores. One that compares places or times with each
other, as `vargrad` does, may have stronger maps of shuffled answers for that, and then counts as chance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbquery.plan import Stopped, Yielded, concatenate, step
from bbquery.types import Scores

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bbquery.plan import Plan
    from bbquery.recording import Recorded
    from bbquery.saliency import Method
    from bbquery.types import Domain, Image, SaliencyMap

SHUFFLES = 39  # a map of noise is stronger than all in one case of 40, and by (3) of the theory in hardly more
PARTS = 7  # along each side
ENOUGH = 5  # shuffled maps whose spread is taken to be known
FAR = 6.0  # of their standard deviations: Student's t of 5.5 with 4 degrees of freedom, p = 0.003
EQUAL = 1e-9  # as a share: strengths that differ by less are equal but for the order of summing
MOST_PIXELS = (
    200_000_000  # rows times pixels of a map: 4,000 rows of 224 × 224, some 7 s with `lr`, far less with `rise`
)


def could_be_chance(
    method: Method, x: Image, domain: Domain, seed: int, *, found: SaliencyMap, recorded: Recorded
) -> bool | None:
    """Return whether a map of shuffled scores is as strong as the one found from the scores that were recorded.

    x: the image that was asked about, (H, W, 3). None where this is not worked out: the map has a standard error, or
    the method adapts, so that other scores would have made it ask other questions.
    """
    if found.standard_error is not None or method.adaptive:
        return None
    scores = concatenate([recorded[ask] for ask in range(len(recorded))]) if len(recorded) else Scores.blank(0)
    rows = max(1, MOST_PIXELS // (x.shape[0] * x.shape[1]))
    whole, scores = len(scores) <= rows, scores.rows(0, rows)

    def strength_of(given: Scores) -> float:
        return strength(_replayed(method.plan(x, domain, seed), given).values)

    real = strength(found.values) if whole else strength_of(scores)
    orders = shuffled(~np.isnan(scores.value), seed)
    return as_strong(real, (strength_of(_in_order(scores, order)) for order in orders))


def strength(values: NDArray[np.float64]) -> float:
    """Return the standard deviation of a map's means (H, W) in 7 × 7 parts, or as many as it has pixels."""
    down, across = (np.linspace(0, size, min(PARTS, size) + 1).astype(np.int64) for size in values.shape)
    sums = np.add.reduceat(np.add.reduceat(values, down[:-1], axis=0), across[:-1], axis=1)
    return float((sums / np.outer(np.diff(down), np.diff(across))).std())


def as_strong(real: float, others: Iterator[float]) -> bool:
    """Return whether any of the others is as strong; it is taken for none once `real` lies far beyond the first."""
    seen: list[float] = []
    for other in others:
        if other >= real * (1 - EQUAL):
            return True
        seen.append(other)
        if len(seen) >= ENOUGH and real > np.mean(seen) + FAR * np.std(seen, ddof=1):
            return False
    return False


def shuffled(answered: NDArray[np.bool_], seed: int) -> Iterator[NDArray[np.int64]]:
    """Give random orders of rows (n,), in which those without an answer stay, and pairs of rows stay together."""
    rng = np.random.default_rng((seed, SHUFFLES))
    even = len(answered) // 2 * 2
    pairs = 2 * np.flatnonzero(answered[0:even:2] & answered[1:even:2])
    alone = np.setdiff1d(np.flatnonzero(answered), [pairs, pairs + 1])
    for _ in range(SHUFFLES):
        order = np.arange(len(answered))
        taken, second = rng.permutation(pairs), rng.integers(0, 2, len(pairs))
        order[pairs], order[pairs + 1] = taken + second, taken + 1 - second
        order[alone] = rng.permutation(alone)
        yield order


def _in_order(scores: Scores, order: NDArray[np.int64]) -> Scores:
    return Scores(scores.decision[order], scores.value[order], scores.spread[order], scores.answers[order])


def _replayed(plan: Plan[SaliencyMap], scores: Scores) -> SaliencyMap:
    """Return the map of these scores, one row after another; the plan is stopped where they end."""
    state, start = step(plan, None), 0
    while isinstance(state, Yielded):
        rows = len(state.ask.images)
        sent, start = scores.rows(start, start + rows), start + rows
        if len(sent) == rows:
            state = step(plan, sent)
        else:
            blank = Scores.blank(rows - len(sent))
            state = step(plan, Stopped("no more was recorded", concatenate([sent, blank])))
    return state.result
