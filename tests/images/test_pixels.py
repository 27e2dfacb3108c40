"""Arrays, the bytes of a file and pictures of Pillow as photos, and what is refused of them with which words."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import pytest

from bbquery.images import reading
from tests.images.test_reading import refusal, saved
from tests.support.images import photo_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


# --- arrays ---


def test_an_array_is_copied() -> None:
    """A photo that came as an array does not change with it."""
    mine = photo_of()
    loaded = reading.load(mine)

    mine[0, 0] = 255 - mine[0, 0]

    np.testing.assert_array_equal(loaded, photo_of())


@pytest.mark.parametrize("dtype", ["int64", "uint16", "int32"])
def test_grey_levels_of_any_whole_type_are_read(dtype: str) -> None:
    """Whole grey levels are kept, whatever type holds them."""
    loaded = reading.load(photo_of().astype(dtype))

    assert loaded.dtype == np.uint8
    np.testing.assert_array_equal(loaded, photo_of())


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_shares_of_white_are_read(dtype: str) -> None:
    """A floating-point array of 0 to 1 gives the grey levels that it was made of, all 256 of them."""
    levels = np.resize(np.arange(256, dtype=np.uint8), (16, 16, 3))

    loaded = reading.load(levels.astype(dtype) / np.array(255, dtype))

    assert loaded.dtype == np.uint8
    np.testing.assert_array_equal(loaded, levels)


def test_shares_between_levels_are_rounded_half_to_even() -> None:
    """Half way between 0 and 1 of 255 is 0, half way between 1 and 2 is 2."""
    shares = np.full((8, 8, 3), 0.5 / 255)
    shares[0] = 1.5 / 255

    loaded = reading.load(shares)

    assert loaded[0, 0, 0] == 2
    assert loaded[1, 0, 0] == 0


def test_what_rounding_carries_beyond_white_is_white() -> None:
    """A float of 1.0000001, as resizing leaves, is 255."""
    assert (reading.load(np.full((8, 8, 3), 1.0000001)) == 255).all()


@pytest.mark.parametrize("dtype", ["uint8", "float64"])
def test_a_grey_array_is_repeated_into_three_channels(dtype: str) -> None:
    """An array (H, W) is read as a greyscale file is."""
    grey = photo_of()[:, :, 0]
    given_as = grey if dtype == "uint8" else grey / 255

    np.testing.assert_array_equal(reading.load(given_as), np.stack([grey] * 3, axis=2))


def test_the_bytes_of_a_file_are_read_as_the_file(tmp_path: Path) -> None:
    """Bytes of a photo give its pixels, upright and without transparency, as its path does."""
    rgba = np.random.default_rng(3).integers(0, 256, (9, 10, 4), dtype=np.uint8)
    path = saved(tmp_path / "alpha.png", rgba)

    np.testing.assert_array_equal(reading.load(path.read_bytes()), reading.load(path))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_of_pillow_is_read_as_its_file_and_left_alone(tmp_path: Path, orientation: int) -> None:
    """One that was opened is upright like its file, and is not changed by that."""
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / "turned.png", photo_of(), exif=exif)

    with PIL.Image.open(path) as picture:
        loaded = reading.load(picture)
        assert picture.getexif()[0x0112] == orientation

    np.testing.assert_array_equal(loaded, reading.load(path))


def test_a_damaged_picture_of_pillow_is_refused(tmp_path: Path) -> None:
    """A picture that was opened from a file cut short fails once it is decoded, and is no photo."""
    path = saved(tmp_path / "whole.png", photo_of())
    cut = io.BytesIO(path.read_bytes()[:-40])

    with PIL.Image.open(cut) as picture:
        assert "damaged" in refusal(picture)


@pytest.mark.parametrize("source", [np.zeros((9, 9, 3)), b"..", PIL.Image.new("L", (9, 9)), "a/b.png", Path("b.png")])
def test_where_a_photo_is_from_is_said_in_a_few_words(source: reading.Source) -> None:
    """A record says which file it was, or what kind of thing; never its pixels."""
    assert 2 < len(reading.described(source)) < 50
    assert reading.called(source) in ("", "b.png")


@pytest.mark.parametrize(
    ("array", "advice"),
    [
        (np.zeros((3, 9, 9), np.uint8), "transpose(1, 2, 0)"),
        (np.zeros((9, 9, 4), np.uint8), "drop the alpha channel"),
        (np.zeros((2, 9, 9, 3), np.uint8), "batch[0]"),
        (np.zeros((9, 9, 1), np.uint8), "[:, :, 0]"),
        (np.zeros((9, 9, 2), np.uint8), "give an RGB image"),
        (np.zeros((9, 9, 3), bool), "integers 0 to 255 or floating-point numbers 0 to 1"),
        (np.zeros((9, 9, 3), complex), "integers 0 to 255 or floating-point numbers 0 to 1"),
        (np.zeros((9, 7, 3), np.uint8), "at least 8"),
        (np.full((9, 9, 3), np.nan), "NaN"),
        (np.full((9, 9, 3), np.inf), "infinite"),
        (np.full((9, 9, 3), 256), "from 256 to 256"),
        (np.full((9, 9, 3), -0.5), "from -0.5"),
        (np.full((9, 9, 3), 100.0), "floating-point pixels from 0 to 1: if they are grey levels, divide by 255"),
        (np.linspace(-1, 1, 243).reshape(9, 9, 3), "give (x + 1) / 2"),
        (np.linspace(-2.1, 2.6, 243).reshape(9, 9, 3), "give x * std + mean"),
        (np.linspace(0, 2.6, 243).reshape(9, 9, 3), "give x * std + mean"),
        (np.linspace(0, 1.02, 243).reshape(9, 9, 3), "np.clip(x, 0, 1)"),
        (np.full((9, 9, 3), 1e6), "scale them to 0 to 1"),
        (np.ones((9, 9, 3), np.uint8), "multiply by 255"),
        (np.ones((9, 9, 3), np.int64), "multiply by 255"),
        (np.broadcast_to(np.uint8(0), (8001, 8000, 3)), "64 megapixels"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_array_that_is_no_photo_is_refused(array: NDArray[Any], advice: str) -> None:
    """A wrong shape, type or range is refused with the array's own shape and what to do."""
    message = refusal(array)

    assert str(array.shape) in message
    assert advice in message


@pytest.mark.parametrize("source", [None, 7, [[0]]])
def test_something_else_is_refused(source: object) -> None:
    """What is neither a path nor an array is refused with what may be given."""
    assert "give a path" in refusal(source)
