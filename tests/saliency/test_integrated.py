"""Integrated gradients: path, rule and baselines against closed forms, with gradients that are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbquery.errors import UnknownName, UsageError
from bbquery.perturb.baselines import Fill, filling
from bbquery.plan import replay
from bbquery.saliency.integrated import IntegratedGradients, Picture
from bbquery.types import FLOAT, UINT8
from tests.support.known_gradients import Asked, Exact

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.saliency.integrated import Baseline

PHOTO = np.random.default_rng(9).integers(0, 256, (4, 5, 3)).astype(np.uint8)


def cubic(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """The gradient of Σ image³ / 3 with a sign for each channel."""
    return np.asarray(image**2 * (1.0, -2.0, 0.5))


def integrated(x: NDArray[Any], **options: Any) -> tuple[Any, Asked]:
    asked = Asked()
    method = IntegratedGradients(estimator=Exact(slope=cubic), **options)
    return replay(method.plan(x, FLOAT, 0), asked), asked


@pytest.mark.parametrize("baseline", get_args(Fill))
@pytest.mark.parametrize("steps", [1, 2, 7, 50])
def test_the_map_is_the_midpoint_rules(baseline: Fill, steps: int) -> None:
    """For a gradient that is quadratic the rule misses the integral by the way cubed over 12 n², value by value.

    The mean of ((k + ½) / n)² is 1/3 - 1/(12 n²), that of (k + ½) / n is ½.
    """
    x, b = PHOTO.astype(np.float64), filling(baseline, PHOTO, 0)

    found, _ = integrated(PHOTO, queries=steps, steps=steps, rows=1, baseline=baseline)

    way = x - b
    mean_square = b**2 + b * way + way**2 * (1 / 3 - 1 / (12 * steps**2))
    np.testing.assert_allclose(found.values, (way * mean_square * (1.0, -2.0, 0.5)).sum(axis=-1), rtol=1e-9, atol=1e-3)
    assert (found.signed, found.unit, found.rows, found.answered) == (True, "score", steps, steps)


def test_a_channel_with_no_way_to_go_adds_nothing() -> None:
    """Where photo and baseline are equal the attribution is 0, whatever the gradient is there."""
    x = PHOTO.copy()
    x[1, 2] = 255

    found, _ = integrated(x, baseline="white")

    assert found.values[1, 2] == 0
    assert np.count_nonzero(found.values) > 10


def test_points_are_the_middles_of_equal_parts_of_the_path() -> None:
    """Every step's middle is asked, each as often as any other."""
    _, asked = integrated(np.full((2, 2, 3), 100.0), queries=40, steps=8, rows=5)

    assert sorted(asked.points[:, 0, 0, 0]) == [6.25, 18.75, 31.25, 43.75, 56.25, 68.75, 81.25, 93.75]
    assert [len(barrier) for barrier in asked.barriers] == [40]


@given(steps=st.integers(2, 64), seen=st.integers(2, 64))
def test_whatever_part_of_the_path_was_seen_is_spread_over_it(steps: int, seen: int) -> None:
    """A run that is stopped has seen both halves of the path, as evenly as halving allows."""
    seen = min(seen, steps)
    _, asked = integrated(np.full((1, 1, 3), 1.0), queries=steps, steps=steps, rows=1)

    middle = np.sort(asked.points[:seen, 0, 0, 0])

    gaps = np.diff(np.concatenate([[0.0], middle, [1.0]]))
    assert gaps.max() <= 4 / seen
    assert len(np.unique(asked.points[:, 0, 0, 0])) == steps


def test_a_run_that_is_stopped_is_near_the_whole_one() -> None:
    """Half of the answers give nearly the same map: points are missing everywhere, not at one end."""
    method = IntegratedGradients(queries=400, estimator=Exact(slope=cubic), steps=40, rows=10)

    half = replay(method.plan(PHOTO, FLOAT, 0), Asked(), stop_after=200)
    whole = replay(method.plan(PHOTO, FLOAT, 0), Asked())

    assert (half.answered, half.partial, whole.partial) == (200, True, False)
    assert np.abs(half.values - whole.values).max() < 0.1 * np.abs(whole.values).max()


def test_the_standard_error_is_that_of_points_drawn_by_chance() -> None:
    """It is the sample standard deviation of the points' attributions over the root of their number."""
    found, asked = integrated(PHOTO, queries=10, steps=10, rows=1)

    each = (cubic(asked.points) * PHOTO).sum(axis=-1)
    np.testing.assert_allclose(found.standard_error, each.std(axis=0, ddof=1) / np.sqrt(10), rtol=1e-9)


@pytest.mark.parametrize(("queries", "steps"), [(1000, 50), (999, 49), (500, 25), (100, 5), (39, 1), (1, 1)])
def test_there_are_as_many_steps_as_queries_allow(queries: int, steps: int) -> None:
    """Fifty, or one for every twenty queries; all queries are used."""
    found, asked = integrated(PHOTO, queries=queries)

    assert len(asked.points) == steps
    assert sum(map(len, asked.barriers)) == queries
    assert found.standard_error is None if steps == 1 else found.standard_error.shape == (4, 5)


def test_many_steps_of_a_pair_each_are_an_option() -> None:
    """GEEX's spending: half as many points as queries."""
    _, asked = integrated(PHOTO, queries=300, steps=10_000, rows=2)

    assert len(asked.points) == 150


@pytest.mark.parametrize(("queries", "notes"), [(9, 1), (20, 0)])
def test_a_map_from_too_few_rows_says_so(queries: int, notes: int) -> None:
    """What a person must know stands in the notes, and only then."""
    method = IntegratedGradients(queries=queries, estimator=Exact(slope=cubic))

    assert len(replay(method.plan(PHOTO, UINT8, 0), Asked()).notes) == notes


def test_points_are_pixels_that_can_be_sent() -> None:
    """On uint8 each is rounded, and so is the baseline that the way is measured from."""
    asked = Asked()
    method = IntegratedGradients(queries=7, estimator=Exact(slope=np.ones_like), steps=7, rows=1, baseline="blur")

    found = replay(method.plan(PHOTO, UINT8, 0), asked)

    assert all(row.dtype == np.uint8 for barrier in asked.barriers for row in barrier)
    expected = (PHOTO - np.rint(filling("blur", PHOTO))).sum(axis=-1)
    np.testing.assert_allclose(found.values, expected, atol=1e-9)


def test_a_noise_baseline_is_the_seeds() -> None:
    """Another seed begins elsewhere."""
    method = IntegratedGradients(queries=7, estimator=Exact(slope=np.ones_like), baseline="noise")

    first, other = (replay(method.plan(PHOTO, FLOAT, seed), Asked()).values for seed in (1, 2))

    np.testing.assert_allclose(first, (PHOTO - filling("noise", PHOTO, 1)).sum(axis=-1))
    assert not np.allclose(first, other)


# --- pictures ---


def test_a_path_may_begin_at_a_picture() -> None:
    """A picture of the photo's size is the baseline as it is."""
    picture = np.random.default_rng(1).integers(0, 256, PHOTO.shape)

    found, _ = integrated(PHOTO, queries=1, baseline=Picture(picture))

    way = PHOTO - picture.astype(np.float64)
    np.testing.assert_allclose(found.values, (way * cubic(picture + way / 2)).sum(axis=-1), rtol=1e-9)


@given(height=st.integers(1, 12), width=st.integers(1, 12), new_height=st.integers(1, 12), new_width=st.integers(1, 12))
def test_resizing_takes_the_mean_of_the_area_that_a_pixel_covers(
    height: int, width: int, new_height: int, new_width: int
) -> None:
    """Equal to enlarging each pixel to a block of the other size, then taking the means of blocks."""
    pixels = np.random.default_rng((height, width)).integers(0, 256, (height, width, 3)).astype(np.uint8)

    found = Picture(pixels).at(new_height, new_width)

    blocks = pixels.repeat(new_height, axis=0).repeat(new_width, axis=1)
    expected = blocks.reshape(new_height, height, new_width, width, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_a_picture_is_shown_by_a_digest_of_its_pixels() -> None:
    """A method's repr tells pictures apart, by pixel and by shape, without spelling them out."""
    pixels = np.random.default_rng(1).integers(0, 256, (6, 4, 3)).astype(np.uint8)
    changed = pixels.copy()
    changed[5, 3, 2] ^= 1
    pictures = [Picture(p) for p in (pixels, changed, pixels.reshape(4, 6, 3), pixels[::-1], pixels[:, ::-1])]

    shown = {repr(IntegratedGradients(baseline=picture)) for picture in pictures}

    assert len(shown) == len(set(pictures)) == 5
    assert all("baseline=Picture(" in text and len(text) < 300 for text in shown)


def test_equal_pixels_are_one_picture() -> None:
    """Whatever type they are read as, on whatever machine: a run's identity rests on the digest."""
    pixels = np.arange(24).reshape(2, 4, 3)

    assert Picture(pixels) == Picture(pixels.astype(np.float64)) == Picture(np.asfortranarray(pixels))
    assert Picture(pixels).digest == "bad0e036dae0edfab4fa36703947e162"
    assert Picture(pixels) != Picture(pixels).digest


def test_writing_on_pixels_leaves_the_picture_as_it_was() -> None:
    """A picture keeps a copy of what it was made from."""
    pixels = np.full((2, 2, 3), 7.0)
    picture = Picture(pixels)

    pixels[:] = 0

    assert (picture.at(2, 2) == 7).all()


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (np.zeros((3, 3)), r"must be \(H, W, 3\), not \(3, 3\)"),
        (np.zeros((3, 3, 4)), r"must be \(H, W, 3\), not \(3, 3, 4\)"),
        (np.zeros((0, 3, 3)), r"must be \(H, W, 3\), not \(0, 3, 3\)"),
        (np.full((2, 2, 3), np.nan), "must be finite grey levels"),
    ],
)
def test_what_is_no_picture_is_refused(pixels: NDArray[Any], said: str) -> None:
    """Before anything is asked."""
    with pytest.raises(UsageError, match=said):
        Picture(pixels)


# --- options ---


@pytest.mark.parametrize("baseline", ["sepia", "", 127, None])
def test_a_baseline_that_is_not_known_lists_those_that_are(baseline: Baseline) -> None:
    """An unknown name, or something else altogether, is refused with what there is."""
    with pytest.raises(UnknownName, match=r"unknown baseline .*; known: black, grey, white, mean, blur, noise"):
        IntegratedGradients(baseline=baseline)


@pytest.mark.parametrize("option", ["queries", "steps", "rows"])
def test_counts_are_at_least_one(option: str) -> None:
    """None of them may be 0."""
    with pytest.raises(UsageError, match=f"{option} must be an integer of at least 1"):
        IntegratedGradients(**{option: 0})  # type: ignore[arg-type] # names are parametrised


def test_a_score_that_never_moves_has_an_empty_map() -> None:
    """No rounding is evidence: it is exactly 0."""
    found = replay(IntegratedGradients(queries=100).plan(PHOTO, UINT8, 0), Asked())

    assert not found.values.any()


def test_it_adapts_if_its_estimator_does() -> None:
    """Whether all questions can be asked at once is the estimator's to say."""

    class Adaptive(Exact):
        adaptive = True

    assert IntegratedGradients(estimator=Adaptive(slope=cubic)).adaptive
    assert not IntegratedGradients().adaptive
