"""Detail is told beside its surroundings, at one scale for photos of any size."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bbquery.saliency._detail import relative_detail

NOISE = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)


@pytest.mark.parametrize("level", [0, 127, 255])
def test_a_flat_photo_has_equal_detail_everywhere(level: int) -> None:
    """Where nothing stands out, no pixel is preferred."""
    x = np.full((40, 60, 3), level, np.uint8)

    np.testing.assert_allclose(relative_detail(x), 1, atol=1e-9)


def test_what_stands_out_has_more_than_what_lies_about_it() -> None:
    """A white dot on grey has more detail than 1, grey beside it less, and grey far away 1."""
    x = np.full((224, 224, 3), 127, np.uint8)
    x[110:114, 110:114] = 255

    found = relative_detail(x)

    assert found[112, 112] > 3
    assert 0 < found[112, 128] < 0.9
    assert found[10, 10] == pytest.approx(1, abs=0.01)


def test_how_rough_a_place_is_does_not_count() -> None:
    """Far from their border, the flat half and the rough half of a photo have the same detail on average."""
    x = NOISE.copy()
    x[:, :112] = 127

    found = relative_detail(x)

    assert found[:, :56].mean() == pytest.approx(1, abs=0.02)
    assert found[:, 168:].mean() == pytest.approx(1, abs=0.02)
    assert found[:, 168:].std() > 10 * found[:, :56].std()


def test_it_is_the_distance_from_the_blur_over_that_of_the_surroundings() -> None:
    """With a Gaussian by another library: 5 pixels, twice the mean and half a grey level more, and 11 pixels."""
    distance = np.abs(NOISE - gaussian_filter(NOISE.astype(float), (5, 5, 0))).mean(axis=-1)
    raised = distance + 2 * distance.mean() + 0.5

    np.testing.assert_allclose(relative_detail(NOISE), raised / gaussian_filter(raised, 11), rtol=1e-3)


def test_a_larger_copy_of_a_photo_has_the_same_detail() -> None:
    """Twice as large, with each pixel four times, is looked at alike; detail passes over smoothly between pixels."""
    small, large = relative_detail(NOISE), relative_detail(NOISE.repeat(2, axis=0).repeat(2, axis=1))

    places = (np.arange(448) + 0.5) / 2 - 0.5
    wide = np.array([np.interp(places, np.arange(224), row) for row in small])
    both = np.array([np.interp(places, np.arange(224), column) for column in wide.T]).T
    np.testing.assert_allclose(large, both, atol=1e-9)


@pytest.mark.parametrize("size", [(1, 1), (8, 300), (225, 900)])
def test_a_photo_of_any_shape_has_detail(size: tuple[int, int]) -> None:
    """It has the photo's own shape, and is finite and above 0."""
    found = relative_detail(np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8))

    assert found.shape == size
    assert np.isfinite(found).all()
    assert found.min() > 0
