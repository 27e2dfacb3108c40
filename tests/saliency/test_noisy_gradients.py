"""SmoothGrad and VarGrad: mean and variance of gradients at noisy copies, against the gradients at what was asked."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bbquery.errors import UsageError
from bbquery.estimators.lr import LikelihoodRatio
from bbquery.plan import Ask, replay
from bbquery.saliency.smoothgrad import SmoothGrad
from bbquery.saliency.vargrad import VarGrad
from bbquery.types import FLOAT, UINT8, Scores
from tests.support.known_gradients import Asked, Exact

if TYPE_CHECKING:
    from numpy.typing import NDArray

PHOTO = np.random.default_rng(8).integers(0, 256, (4, 5, 3)).astype(np.uint8)
BOTH = (SmoothGrad, VarGrad)


def cubic(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """The gradient of a score that adds up cubes, falling in one channel."""
    return np.asarray(image**2 * (1.0, -2.0, 0.5) / 1e4)


def test_smoothgrad_is_the_mean_of_the_gradients_at_the_noisy_copies() -> None:
    """A pixel's value is max over channels of |mean gradient| over the points asked, with that channel's error."""
    asked = Asked()
    method = SmoothGrad(queries=40, estimator=Exact(slope=cubic), sigma=20.0, points=10, rows=4)

    found = replay(method.plan(PHOTO, UINT8, 3), asked)

    at_points = cubic(asked.points)
    assert at_points.shape == (10, *PHOTO.shape)
    mean, error = at_points.mean(axis=0), at_points.std(axis=0, ddof=1) / np.sqrt(10)
    strongest = np.abs(mean) == np.abs(mean).max(axis=-1, keepdims=True)
    np.testing.assert_allclose(found.values, np.abs(mean).max(axis=-1), rtol=1e-12)
    assert found.standard_error is not None
    np.testing.assert_allclose(found.standard_error, error[strongest].reshape(4, 5), rtol=1e-9)
    assert (found.signed, found.unit, found.rows, found.answered) == (False, "score per grey level", 40, 40)


def test_vargrad_is_the_variance_of_the_gradients_at_the_noisy_copies() -> None:
    """A pixel's value is the largest sample variance over channels, in squared units, without an error of its own."""
    asked = Asked()
    method = VarGrad(queries=40, estimator=Exact(slope=cubic), sigma=20.0, points=10, rows=4)

    found = replay(method.plan(PHOTO, UINT8, 3), asked)

    np.testing.assert_allclose(found.values, cubic(asked.points).var(axis=0, ddof=1).max(axis=-1), rtol=1e-9)
    assert found.standard_error is None
    assert (found.signed, found.unit, found.rows, found.answered) == (False, "(score per grey level)²", 40, 40)


@pytest.mark.parametrize("made", BOTH)
def test_points_lie_around_the_photo_as_far_as_sigma_says(made: type[SmoothGrad | VarGrad]) -> None:
    """On a float domain they are x plus Gaussian noise of that standard deviation."""
    asked = Asked()

    replay(made(queries=200, estimator=Exact(slope=cubic), sigma=12.0, points=200, rows=1).plan(PHOTO, FLOAT, 0), asked)

    noise = asked.points - PHOTO
    # 200 × 60 values: relative standard deviation of σ is 1 / sqrt(24000), and of the mean σ / sqrt(12000)
    assert abs(noise.std() / 12.0 - 1) < 5 / math.sqrt(24_000)
    assert abs(noise.mean()) < 5 * 12.0 / math.sqrt(12_000)


@pytest.mark.parametrize("made", BOTH)
def test_points_are_the_seeds(made: type[SmoothGrad | VarGrad]) -> None:
    """The same seed asks the same noisy copies again, another one none of them."""

    def points(seed: int) -> NDArray[np.float64]:
        asked = Asked()
        replay(made(queries=5, estimator=Exact(slope=cubic), points=5, rows=1).plan(PHOTO, FLOAT, seed), asked)
        return asked.points

    assert np.array_equal(points(1), points(1))
    assert not np.isin(points(1), points(2)).any()


@pytest.mark.parametrize("made", BOTH)
@pytest.mark.parametrize(
    ("queries", "points", "rows", "used"), [(1000, 50, 20, 50), (500, 50, 20, 25), (19, 50, 20, 1), (1000, 7, 1, 7)]
)
def test_there_are_as_many_points_as_queries_allow(
    made: type[SmoothGrad | VarGrad], queries: int, points: int, rows: int, used: int
) -> None:
    """Fewer queries mean fewer points, not fewer rows at each; with one point the map is still sound."""
    asked = Asked()
    method = made(queries=queries, estimator=Exact(slope=cubic), points=points, rows=rows)

    found = replay(method.plan(PHOTO, UINT8, 0), asked)

    assert len(asked.points) == used
    assert sum(map(len, asked.barriers)) == method.queries == queries
    assert np.isfinite(found.values).all()


@pytest.mark.parametrize("made", BOTH)
@pytest.mark.parametrize(("queries", "notes"), [(9, 1), (20, 0)])
def test_a_map_from_too_few_rows_says_so(made: type[SmoothGrad | VarGrad], queries: int, notes: int) -> None:
    """What a person must know stands in the notes, and only then."""
    found = replay(made(queries=queries, estimator=Exact(slope=cubic)).plan(PHOTO, UINT8, 0), Asked())

    assert len(found.notes) == notes


def test_vargrad_of_one_point_is_nothing() -> None:
    """One gradient does not vary."""
    found = replay(VarGrad(queries=10, estimator=Exact(slope=cubic)).plan(PHOTO, UINT8, 0), Asked())

    assert not found.values.any()


@pytest.mark.parametrize("made", BOTH)
def test_a_point_without_answers_is_no_evidence(made: type[SmoothGrad | VarGrad]) -> None:
    """What is refused altogether is missing from the mean and the variance, not a zero in them."""

    def refused(image: NDArray[Any]) -> bool:
        return bool(image.mean() > PHOTO.mean())

    asked = Asked(refused)
    method = made(queries=80, estimator=Exact(slope=cubic), sigma=20.0, points=20, rows=4)

    found = replay(method.plan(PHOTO, UINT8, 1), asked)

    answered = np.array([point for point in asked.points if not refused(point)])
    assert 0 < len(answered) < 20
    at_points = cubic(answered)
    expected = np.abs(at_points.mean(axis=0)) if made is SmoothGrad else at_points.var(axis=0, ddof=1)
    np.testing.assert_allclose(found.values, expected.max(axis=-1), rtol=1e-9)
    assert found.answered == 4 * len(answered)


def test_smoothgrad_over_estimates_finds_the_slope_of_a_line() -> None:
    """For a linear score every point's gradient is the slope, and the standard error says how far the mean is off.

    Over 100 pixels and 40 seeds the squared error in standard errors of 49 degrees of freedom has a mean of 49 / 47.
    """
    slope = np.zeros((5, 5, 3))
    slope[..., 1] = (
        np.random.default_rng(2).normal(size=(5, 5)) * 3 + 20
    )  # one channel is the strongest, always positive
    x = np.full((5, 5, 3), 128.0)

    def answer(ask: Ask) -> Scores:
        values = np.array([np.vdot(slope, ask.images[row]) for row in range(len(ask.images))])
        return Scores(np.zeros(len(values), dtype=np.int8), values)

    method = SmoothGrad(queries=1000, estimator=LikelihoodRatio(sigma=4.0), sigma=4.0)
    squared = []
    for seed in range(12):
        found = replay(method.plan(x, FLOAT, seed), answer)
        assert found.standard_error is not None
        squared.append(((found.values - slope[..., 1]) / found.standard_error) ** 2)

    # 12 × 25 nearly independent values of relative standard deviation 1.5
    assert abs(np.mean(squared) / (49 / 47) - 1) < 4 * 1.5 / math.sqrt(300)


@pytest.mark.parametrize("made", BOTH)
def test_a_score_that_never_moves_has_an_empty_map(made: type[SmoothGrad | VarGrad]) -> None:
    """No rounding is evidence: it is exactly 0."""
    found = replay(made(queries=100).plan(PHOTO, UINT8, 0), Asked())

    assert not found.values.any()


@pytest.mark.parametrize("made", BOTH)
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"queries": 0}, "queries must be an integer of at least 1"),
        ({"sigma": 0.0}, "sigma must be a finite number above 0"),
        ({"points": 0}, "points must be an integer of at least 1"),
        ({"rows": 0}, "rows must be an integer of at least 1"),
        ({"estimator": "lr"}, "the estimator 'lr' must be a dataclass with the option queries"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    made: type[SmoothGrad | VarGrad], options: dict[str, Any], said: str
) -> None:
    """Before anything is asked, with the option's name."""
    with pytest.raises(UsageError, match=said):
        made(**options)


@pytest.mark.parametrize("made", BOTH)
def test_it_adapts_if_its_estimator_does(made: type[SmoothGrad | VarGrad]) -> None:
    """Whether all questions can be asked at once is the estimator's to say."""

    class Adaptive(Exact):
        adaptive = True

    assert made(estimator=Adaptive(slope=cubic)).adaptive
    assert not made().adaptive
