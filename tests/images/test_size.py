"""The size of a photo, told by its header."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
import pytest

from bbquery.errors import BadImage
from bbquery.images import reading
from tests.support.images import photo_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("suffix", ["jpg", "png", "tiff", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_is_that_of_the_photo_that_is_loaded(tmp_path: Path, orientation: int, suffix: str) -> None:
    """Height and width are those of the upright photo, for each of the eight EXIF orientations."""
    tag = PIL.Image.Exif()
    tag[0x0112] = orientation
    PIL.Image.fromarray(photo_of()[:10, :20]).save(tmp_path / f"photo.{suffix}", exif=tag)

    assert reading.size(tmp_path / f"photo.{suffix}") == reading.load(tmp_path / f"photo.{suffix}").shape[:2]


def test_a_sample_has_a_size() -> None:
    """A sample is a photo like any other."""
    assert reading.size("sample:cat") == reading.load("sample:cat").shape[:2]


def test_no_pixel_is_decoded_for_a_size(tmp_path: Path) -> None:
    """A file that is cut short behind its header has a size; one whose header is none, or too small, is refused."""
    PIL.Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 30, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:200])
    (tmp_path / "b.png").write_bytes(b"no picture")
    PIL.Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "c.png")

    assert reading.size(tmp_path / "a.png") == (40, 30)
    for name in ("b.png", "c.png", "none.png"):
        with pytest.raises(BadImage):
            reading.size(tmp_path / name)
