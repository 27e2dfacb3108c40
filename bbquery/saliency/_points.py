"""Gradients at several points in one plan: how queries are split over points, and how points are weighted.

Points are asked in waves: several in one barrier, so that a client is kept busy with few rows at each, but not all, as
an estimator at work holds images. Of a point only what is taken from its gradient is kept.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from bbquery.errors import UsageError
from bbquery.perturb.checks import at_least_one
from bbquery.plan import Stopped, Yielded, step, together

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bbquery.estimators import GradientEstimator
    from bbquery.plan import Plan
    from bbquery.types import Domain, Images

    Take = Callable[[NDArray[np.float64], float], None]

ROWS_AT_ONCE = 512  # a barrier of so many wastes a few per cent of the time at a concurrency of 32
POINTS_AT_ONCE = 64  # each holds some 3 MiB at 224 × 224
ENOUGH_ROWS = 10  # of the correlation with the truth at 40 rows, 10 leave 93 % or more, 4 some 70 %, 2 less than half
FEWEST_ANSWERS = 4  # with three, an estimate that is divided by its own sample variance has none: outliers rule


def check_split(queries: int, rows: int, estimator: GradientEstimator) -> None:
    """Check what every method over several points is made of.

    Raises:
        UsageError: queries or rows below 1, or an estimator that takes no share of them.
    """
    at_least_one("queries", queries)
    at_least_one("rows", rows)
    with_queries(estimator, queries)


def shares(queries: int, points: int, rows: int) -> list[int]:
    """Split `queries` over at most `points` points with at least `rows` rows each, as evenly as can be; at least one.

    The shares add up to `queries`.
    """
    count = max(1, min(points, queries // rows))
    whole, rest = divmod(queries, count)
    return [whole + (place < rest) for place in range(count)]


def advice(rows: list[int], domain: Domain) -> tuple[str, ...]:
    """Return what to say of so few rows at a point: most estimators divide by a variance that is drawn with them."""
    if domain.dtype == "float64" or min(rows) >= ENOUGH_ROWS:
        return ()
    return (
        f"each gradient rests on {min(rows)} rows, and below {ENOUGH_ROWS} chance rules most estimators on "
        "rounded pixels: allow more queries, give rows=20, or take estimator=spsa, for which two rows are enough",
    )


def with_queries(estimator: GradientEstimator, queries: int) -> GradientEstimator:
    """Return the estimator with so many queries in place of its own.

    Raises:
        UsageError: it is no dataclass with an option `queries`, or so many are not to its liking.
    """
    given = cast("Any", estimator)
    options = dataclasses.fields(given) if dataclasses.is_dataclass(given) and not isinstance(given, type) else ()
    if "queries" not in [option.name for option in options]:
        raise UsageError(
            f"the estimator {estimator!r} must be a dataclass with the option queries, to be given a share"
        )
    return cast("GradientEstimator", dataclasses.replace(given, queries=queries))


def gradients(
    estimator: GradientEstimator, points: Images, rows: list[int], *, domain: Domain, seed: int, take: Take
) -> Plan[int]:
    """Estimate the gradient at each point with its number of rows; return how many rows were answered in all.

    points: one (H, W, 3) for each number of rows. take: is called with each gradient (H, W, 3) and its weight, the
    share of its rows that was answered: so a run that is stopped rests on the points it got to. A point of fewer than
    four answers is left out, unless it wanted no more.
    """
    seeds = np.random.SeedSequence((seed, len(rows))).generate_state(len(rows), np.uint64)
    answered: list[int] = []

    def at(place: int) -> Plan[None]:
        given = with_queries(estimator, rows[place])
        gradient = yield from given.plan(points[place], domain, int(seeds[place]))
        if gradient.answered >= min(gradient.rows, FEWEST_ANSWERS):
            take(gradient.values, gradient.answered / gradient.rows)
        answered.append(gradient.answered)

    size = min(-(-ROWS_AT_ONCE // rows[0]), POINTS_AT_ONCE)
    for start in range(0, len(rows), size):
        stopped = yield from _until_stopped(together([at(place) for place in range(len(rows))[start : start + size]]))
        if stopped:
            break
    return sum(answered)


def _until_stopped(plan: Plan[Any]) -> Plan[bool]:
    """Run a plan for what it does by the way; return whether it was stopped."""
    state = step(plan, None)
    while isinstance(state, Yielded):
        try:
            scores = yield state.ask
        except Stopped as stop:
            step(plan, stop)
            return True
        state = step(plan, scores)
    return False


class Spread:
    """Weighted mean and variance of arrays of one shape, as they come (West, "Updating mean and variance estimates").

    Each array stands for one point. Nothing is kept of it, so that any number of them takes the room of two.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._count, self._weight, self._squared_weight = 0, 0.0, 0.0
        self.mean: NDArray[np.float64] = np.zeros(shape)
        self._squares: NDArray[np.float64] = np.zeros(shape)

    def add(self, values: NDArray[np.float64], weight: float) -> None:
        """Add the values of one point; weight above 0."""
        self._count += 1
        self._weight += weight
        self._squared_weight += weight**2
        change = values - self.mean
        self.mean += change * (weight / self._weight)
        self._squares += weight * change * (values - self.mean)

    def variance(self) -> NDArray[np.float64]:
        """Return the sample variance from point to point (divisor n - 1 for equal weights); 0 below two points."""
        if self._count < 2:
            return np.zeros_like(self.mean)
        return self._squares / self._weight * (self._points / (self._points - 1))

    def standard_error(self) -> NDArray[np.float64] | None:
        """Return how far the mean may be off, were the points drawn by chance; None below two points."""
        return np.sqrt(self.variance() / self._points) if self._count > 1 else None

    @property
    def _points(self) -> float:
        """Effective number of points: (Σ w)² / Σ w²."""
        return self._weight**2 / self._squared_weight
