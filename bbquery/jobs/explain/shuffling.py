"""Whether a map could be chance: do its answers go with what was changed? No further query is needed to know.

If answers do not depend on what was changed, they could as well have come in another order. So they are compared with
what was changed as they came, and in 199 random orders: a permutation test (Pitman).

1. What was changed is the sketch of each copy (`sketches`), every sum taken as a column and scaled to the same spread.
   How well answers go with it is the sum of their squared covariances with the columns: with the changes or with their
   magnitudes, whichever stands out more from its values in all orders, lest one drown the other. For `rise` that is
   about how strong the map is in 7 × 7 parts. It does not depend on what a method makes of its answers, nor on whether
   its standard errors are right, and asks for no second run of the method, which may take longer than the queries.
2. Chance is what is not among the best two of the 200 orders: answers that say nothing are taken for an effect in one
   case of 100, at most, for their numbers may repeat. A run of several maps has as many cases, so each probability is
   raised for their number (Holm 1979): of a run whose maps all say nothing, any is taken for an effect in one case of
   100. A smaller probability takes more orders to be seen, so each map is compared in 199 for each map of the run.
3. Rows are shuffled within blocks, and compared within them. A method that does not adapt is one block: its questions
   were known before any answer. Of one that adapts, asks in a row are joined until they have 32 rows; its questions
   are kept. Of several plans that ask together, as at the points of a path, the rows of each point in each ask are a
   block: what differs from point to point is no evidence for a place.
4. Rows 2i and 2i + 1 of a block stay neighbours, in either order: a method that asks in mirrored pairs compares the
   two, and what they have in common cancels in other orders as well. What was not answered stays where it is.
5. Where several plans mostly ask for one row each, nothing is left to shuffle, and the map is not judged.

Why 32. Within one ask all rows were chosen before any was answered, so there (2) is exact; but `bayes` asks for 8
windows that lie alike, which leaves little to compare. Over several asks (2) is nearly true, as later rows lie near
what seemed to matter; over many, what drifts with time while the questions move on looks like an effect. Maps of
`bayes` that were stamped, by how many rows a block has at least:

                                                    one ask      32          128         all
    answers are noise, 24 × 32, 200 queries         200 of 200   197 of 200  195 of 200  194 of 200
    likewise, one question at a time                not judged   20 of 20    20 of 20    19 of 20
    noise drifts by twice its range, 200 queries    30 of 30     30 of 30    12 of 30    12 of 30
    a bright place matters, beside noise, likewise  0 of 10      0 of 10     0 of 10     0 of 10
    EfficientNet-Lite0, 20 photos, 200 queries      4 of 20      1 of 20     0 of 20     0 of 20
    likewise, 300 queries                           1 of 20      0 of 20     0 of 20     0 of 20
    likewise, 400 queries                           0 of 20      0 of 20     0 of 20     0 of 20
    likewise, 1,000 queries                         1 of 3       0 of 3      0 of 3      0 of 3
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from bbquery.jobs.chance import holm
from bbquery.system.blas_threads import one_blas_thread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SHUFFLES = 199
BEST = 2  # of 200 orders: one case in 100; real effects of a few hundred answers lie far beyond all
EQUAL = 1e-9  # what differs by less is equal but for the order of summing
JOINED = 32  # rows
SHUFFLED_AT_LEAST = 0.5  # of the answered rows


def blocks(asks: Sequence[tuple[int, ...]], *, adaptive: bool) -> list[int]:
    """Return how many rows each block has, within which rows may be shuffled; see (3) of the theory.

    asks: as `Sketches.asks`. adaptive: whether what was asked depends on answers.
    """
    each = [rows for ask in asks for rows in ask]
    if any(len(ask) > 1 for ask in asks):
        return each
    return _joined(each) if adaptive else [sum(each)]


def _joined(asks: Sequence[int]) -> list[int]:
    """Return how many rows each block of asks has, which are joined in order until they have enough."""
    found: list[int] = []
    for rows in asks:
        if found and found[-1] < JOINED:
            found[-1] += rows
        else:
            found.append(rows)
    return found


@one_blas_thread
def probability_of_chance(
    changes: Sequence[NDArray[np.float32]],
    values: NDArray[np.float64],
    sizes: Sequence[int],
    seed: int,
    maps: int = 1,
) -> float | None:
    """Return in which share of orders values (n,) go at least as well with what was changed as in their own order.

    changes: (n, k), of each kind. values: NaN where there is no answer. sizes: rows of each block, in order; those
    beyond n do not count. maps: how many the run has, 1 or more: there are 199 random orders for each, or fewer once
    this map is chance whatever the others are. None where it is not worked out, as too few rows may be shuffled.
    """
    answered = ~np.isnan(values)
    bounds = np.minimum(np.cumsum([0, *sizes]), len(values))
    parts = [slice(start, stop) for start, stop in pairwise(bounds.tolist()) if answered[start:stop].sum() > 1]
    if sum(answered[part].sum() for part in parts) < SHUFFLED_AT_LEAST * answered.sum():
        return None
    centred = _centred(values[:, None], answered, parts)
    columns = [_scaled(_centred(kind, answered, parts)) for kind in changes]
    rng = np.random.default_rng((seed, SHUFFLES))
    strengths = np.empty((len(columns), 0))
    for turn in range(maps):
        ordered = centred.repeat(1 + SHUFFLES, axis=1)
        for part in parts:
            ordered[part] = ordered[part, 0][orders(answered[part], rng)]
        of_turn = np.stack([np.square(kind.T @ ordered).sum(axis=0) for kind in columns])
        strengths = np.hstack([strengths, of_turn[:, min(turn, 1) :]])  # the first order is their own, and counts once
        best = np.max([_standing_out(kind) for kind in strengths], axis=0)
        as_strong = 1 + np.count_nonzero(best[1:] >= best[0] - EQUAL)
        if as_strong > BEST * maps:
            break
    return float(as_strong / len(best))


def chances(probabilities: Sequence[float | None]) -> list[bool | None]:
    """Return which maps of a run could be chance, their probabilities raised for how many there are; None: not known.

    probabilities: as of `probability_of_chance`.
    """
    raised = iter(holm([each for each in probabilities if each is not None]))
    return [None if each is None else next(raised) > BEST / (1 + SHUFFLES) for each in probabilities]


def orders(answered: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return orders of rows (n, 200), the first as they are: unanswered rows stay, and pairs stay together."""
    found = np.tile(np.arange(len(answered))[:, None], 1 + SHUFFLES)
    even = len(answered) // 2 * 2
    pairs = 2 * np.flatnonzero(answered[0:even:2] & answered[1:even:2])
    alone = np.setdiff1d(np.flatnonzero(answered), [pairs, pairs + 1])
    taken = _permuted(pairs, rng)
    second = rng.integers(0, 2, taken.shape)
    found[pairs, 1:], found[pairs + 1, 1:] = taken + second, taken + 1 - second
    found[alone, 1:] = _permuted(alone, rng)
    return found


def _permuted(rows: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the rows (n,) in random orders (n, 199)."""
    return rows[rng.random((len(rows), SHUFFLES)).argsort(axis=0)]


def _centred(
    columns: NDArray[np.floating[Any]], answered: NDArray[np.bool_], parts: Sequence[slice]
) -> NDArray[np.float64]:
    """Return columns (n, k) less their mean over the answered rows of each block; 0 in all other rows."""
    centred = np.zeros(columns.shape)
    for part in parts:
        known = answered[part]
        centred[part][known] = columns[part][known] - columns[part][known].mean(axis=0, dtype=np.float64)
    return centred


def _scaled(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return columns (n, k) of mean 0 scaled to the same spread; those that never change are 0."""
    spread = np.sqrt(np.square(columns).sum(axis=0))
    changing = spread > EQUAL * spread.max(initial=0.0)
    return np.where(changing, columns / np.where(changing, spread, 1.0), 0.0)


def _standing_out(strength: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far the strength of each order, (orders,), lies above their mean, in standard deviations."""
    deviation = float(strength.std())
    found: NDArray[np.float64] = (strength - strength.mean()) / (deviation or 1.0)
    return found
