"""What every estimator of a gradient promises, whatever its noise: each new file is tested without being asked."""

from __future__ import annotations

import importlib
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bbquery import load
from bbquery.errors import UsageError
from bbquery.plan import Ask, replay
from bbquery.types import FLOAT, UINT8, Scores
from tests.support.known_scores import answer, assert_mean, estimates, linear

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.estimators import Gradient, GradientEstimator
    from bbquery.types import Domain

pytestmark = pytest.mark.slow

HOME = "bbquery.estimators."
NAMES = [name for name, module in load.names("method").items() if module.startswith(HOME)]
SHAPE = (6, 5, 3)
# A slope that smooth noise, or noise that all channels share, can express: constant down, across and over the channels.
SLOPE = np.full(SHAPE, 0.02)
PHOTO = np.random.default_rng(5).integers(100, 156, SHAPE).astype(np.uint8)
DOMAINS = [UINT8, FLOAT]


def estimator(name: str, **options: Any) -> GradientEstimator:
    made: GradientEstimator = importlib.import_module(f"{HOME}{name}").METHOD(**options)
    return made


def run(name: str, domain: Domain, score: Any, *, seed: int = 0, stop_after: int | None = None) -> Gradient:
    return replay(estimator(name, queries=40).plan(PHOTO, domain, seed), answer(score), stop_after=stop_after)


def test_all_estimators_are_found() -> None:
    """The enumeration below sees the estimators there are."""
    assert {"lr", "blr", "nes", "spsa", "es", "finite_differences", "orthogonal", "dct"} <= set(NAMES)


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda d: d.dtype)
@pytest.mark.parametrize("name", NAMES)
def test_the_slope_of_a_linear_score_is_found_without_bias(name: str, domain: Domain) -> None:
    """Over 30 seeds the mean estimate of a linear score's slope is that slope, whatever constant is added to it."""
    found = estimates(estimator(name, queries=40), linear(SLOPE, 7.0), PHOTO, domain, seeds=30)

    assert_mean(found, SLOPE)
    assert abs(found.mean() / SLOPE.mean() - 1) < 0.2


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda d: d.dtype)
@pytest.mark.parametrize("name", NAMES)
def test_a_score_that_never_moves_has_a_gradient_of_exactly_zero(name: str, domain: Domain) -> None:
    """No rounding is taken for a slope, also where single rows were refused."""
    refused = iter(range(1000))

    gradient = run(name, domain, lambda image: math.nan if next(refused) % 7 == 3 else 1 / 3)

    assert not gradient.values.any()
    assert gradient.mean_score == pytest.approx(1 / 3)


@pytest.mark.parametrize("name", NAMES)
def test_the_size_of_the_score_is_that_of_the_gradient(name: str) -> None:
    """Scaling a score by a power of two scales the gradient, to the bit: no estimator hides a threshold."""
    plain = run(name, FLOAT, lambda image: math.sin(image.sum()))
    scaled = run(name, FLOAT, lambda image: 8 * math.sin(image.sum()))

    np.testing.assert_array_equal(scaled.values, 8 * plain.values)


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda d: d.dtype)
@pytest.mark.parametrize("name", NAMES)
def test_one_seed_gives_the_same_bits_and_another_seed_others(name: str, domain: Domain) -> None:
    """An estimate is a function of its arguments, its seed and the scores."""
    first, again, other = (run(name, domain, linear(SLOPE * PHOTO), seed=seed).values for seed in (7, 7, 8))

    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@given(stop_after=st.integers(0, 41), refused=st.sets(st.integers(0, 39)), name=st.sampled_from(NAMES))
@settings(deadline=None, max_examples=60)
def test_stopped_anywhere_it_rests_on_exactly_the_answered_rows(stop_after: int, refused: set[int], name: str) -> None:
    """Stopped at any query, refusals anywhere: finite, counted, and the mean score is that of the answered rows."""
    given_scores: list[float] = []

    def score(image: NDArray[Any]) -> float:
        value = math.nan if len(given_scores) in refused else math.sin(float(image.sum()))
        given_scores.append(value)
        return value

    gradient = run(name, UINT8, score, stop_after=stop_after)

    kept = [value for value in given_scores if not math.isnan(value)]
    assert np.isfinite(gradient.values).all()
    assert (gradient.rows, gradient.answered) == (40, len(kept))
    assert gradient.mean_score == pytest.approx(np.mean(kept) if kept else math.nan, nan_ok=True)


@pytest.mark.parametrize("name", NAMES)
def test_every_answer_counts(name: str) -> None:
    """Changing any one answer, that of a row whose partner was refused included, changes the estimate."""

    def with_change(at: int) -> NDArray[np.float64]:
        rows = iter(range(40))

        def score(image: NDArray[Any]) -> float:
            row = next(rows)
            value = math.nan if row in (3, 10) else math.sin(float(image.sum()))
            return value + (row == at)

        return run(name, UINT8, score).values

    unchanged = with_change(-1)

    assert all((with_change(row) != unchanged).any() for row in (1, 2, 11, 20, 39))


@pytest.mark.parametrize("level", [0, 255])
@pytest.mark.parametrize("name", NAMES)
def test_clipped_pixels_keep_their_slope(name: str, level: int) -> None:
    """On a black or a white photo, where half of all noise is clipped away, the slope is not shrunk with it."""
    x = np.full(SHAPE, level, dtype=np.uint8)

    found = estimates(estimator(name, queries=40), linear(SLOPE), x, UINT8, seeds=25)

    assert abs(found.mean() / SLOPE.mean() - 1) < 0.3


@pytest.mark.parametrize("name", NAMES)
def test_values_that_rounding_never_moves_have_no_gradient(name: str) -> None:
    """Where all copies are sent the same pixels nothing was learnt: 0, not a division by zero."""
    made = estimator(name, queries=20, sigma=1e-6)

    gradient = replay(made.plan(PHOTO, UINT8, 0), answer(linear(SLOPE)))

    assert not gradient.values.any()
    assert gradient.answered == 20


@pytest.mark.parametrize("batch", [1, 7, 64])
@pytest.mark.parametrize("name", NAMES)
def test_pairs_are_never_cut_in_two(name: str, batch: int) -> None:
    """Whatever the batch, a linear score's slope is found: a pair whose rows were asked apart would find nothing."""
    found = replay(estimator(name, queries=600, batch=batch).plan(PHOTO, FLOAT, 0), answer(linear(SLOPE))).values.mean()

    assert found == pytest.approx(SLOPE.mean(), rel=0.5)


@pytest.mark.parametrize("bad", [{"queries": 0}, {"sigma": 0.0}, {"sigma": math.nan}, {"batch": 0}])
@pytest.mark.parametrize("name", NAMES)
def test_values_that_cannot_work_are_refused_before_anything_is_asked(name: str, bad: dict[str, float]) -> None:
    """A constructor value out of range is a UsageError that names it."""
    with pytest.raises(UsageError, match=f"{next(iter(bad))} must be"):
        estimator(name, **bad)


@pytest.mark.parametrize("name", NAMES)
def test_every_copy_differs_from_the_photo_in_proportion_to_sigma(name: str) -> None:
    """Twice the sigma is twice the change, row by row: sigma is in grey levels, and means what it says."""
    sent: dict[float, list[NDArray[Any]]] = {4.0: [], 8.0: []}

    for sigma, images in sent.items():

        def note(ask: Ask, images: list[NDArray[Any]] = images) -> Scores:
            images.extend(ask.images[row] - PHOTO for row in range(len(ask.images)))
            return Scores.blank(len(ask.images))

        replay(estimator(name, queries=12, sigma=sigma).plan(PHOTO, FLOAT, 0), note)

    np.testing.assert_allclose(sent[8.0], 2 * np.array(sent[4.0]), rtol=1e-9, atol=1e-12)
    root_mean_square = np.sqrt(np.square(np.array(sent[4.0][1:])).mean(axis=(1, 2, 3)))
    assert np.all(root_mean_square < 4.0 * 1.5)
