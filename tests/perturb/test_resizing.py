"""Photos are shrunk by means over areas, and enlarged bilinearly."""

from __future__ import annotations

import numpy as np
import pytest

from bbquery.perturb.resizing import averaged, bilinear, enlarged

PHOTO = np.random.default_rng(0).integers(0, 256, (12, 18, 3), dtype=np.uint8)


def test_whole_squares_are_averaged() -> None:
    """At a third of its sides each pixel is the mean of nine, a channel at a time."""
    expected = PHOTO.reshape(4, 3, 6, 3, 3).mean(axis=(1, 3))

    np.testing.assert_allclose(averaged(PHOTO, 4, 6), expected, atol=1e-10)


@pytest.mark.parametrize("size", [(5, 7), (12, 1), (1, 18)])
def test_parts_of_pixels_count_in_part(size: tuple[int, int]) -> None:
    """No light is lost: the mean of the photo stays."""
    np.testing.assert_allclose(averaged(PHOTO, *size).mean(axis=(0, 1)), PHOTO.mean(axis=(0, 1)))


def test_enlarging_is_linear_between_centres() -> None:
    """As NumPy interpolates, one axis after the other; beyond the outermost centres values continue."""
    places = (np.arange(40) + 0.5) * 12 / 40 - 0.5
    expected = np.stack([np.interp(places, np.arange(12), column) for column in PHOTO[..., 1].T], axis=1)

    np.testing.assert_allclose(enlarged(PHOTO.astype(float), 40, 18)[..., 1], expected, atol=1e-4)


def test_the_same_size_changes_nothing() -> None:
    """Weights of a side that stays as long as it is are 1 for each pixel itself."""
    np.testing.assert_allclose(bilinear(9, 9), np.eye(9), atol=1e-6)
    np.testing.assert_allclose(averaged(PHOTO, 12, 18), PHOTO, atol=1e-10)
