"""What travels: a PNG of an image."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bbquery.errors import UsageError
from bbquery.images.png import png
from tests.support.images import photo_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


# --- what travels ---


@given(image=arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20), st.just(3))), level=st.integers(0, 9))
def test_png_keeps_every_pixel(image: NDArray[np.uint8], level: int) -> None:
    """Whatever is sent is decoded to the very pixels, at every level of compression."""
    decoded = PIL.Image.open(io.BytesIO(png(image, level=level)))

    assert (decoded.format, decoded.mode) == ("PNG", "RGB")
    np.testing.assert_array_equal(np.asarray(decoded), image)


def test_png_takes_a_view_of_an_array() -> None:
    """Pixels need not be contiguous in memory."""
    turned = photo_of().transpose(1, 0, 2)[::-1]

    np.testing.assert_array_equal(np.asarray(PIL.Image.open(io.BytesIO(png(turned)))), turned)


@pytest.mark.parametrize("image", [np.zeros((9, 9, 3)), np.zeros((9, 9), np.uint8), np.zeros((9, 9, 4), np.uint8)])
def test_png_refuses_other_pixels(image: NDArray[Any]) -> None:
    """Floating-point, greyscale or four-channel pixels are not silently turned into something else."""
    with pytest.raises(UsageError, match="realise it"):
        png(image)


def test_noise_is_stored_and_a_masked_photo_is_compressed() -> None:
    """The encoder spends no time where there is nothing to gain, and gains where there is."""
    noise = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    masked = np.full_like(noise, 127)
    masked[:64, :64] = noise[:64, :64]

    assert png(noise) == png(noise, level=0)
    assert png(masked) == png(masked, level=1)
    assert len(png(masked)) < 0.2 * len(png(noise))
