"""Arrays that are written over and over: no image may be one."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bbquery.perturb.added import precision
from bbquery.perturb.cells import CellCopies, GridCells
from bbquery.perturb.masks import MaskedCopies, Upsampling
from bbquery.perturb.rendering import scratch
from bbquery.perturb.shared_noise import GreyCopies
from bbquery.perturb.smooth_binary import SmoothBinaryMasks
from bbquery.saliency.bgeex import HalfSharpCopies
from bbquery.types import FLOAT, UINT8

if TYPE_CHECKING:
    from collections.abc import Callable

    from bbquery.types import Domain, Image, Images

PHOTO = np.random.default_rng(0).integers(0, 256, (12, 10, 3), dtype=np.uint8)
SIZE = (12, 10)
GREY = np.full(PHOTO.shape, 127.0)


def masked(domain: Domain) -> Images:
    return MaskedCopies(PHOTO, Upsampling(SIZE, 3), domain, p=0.5, fill=127.0, rows=8, key=(1, 0))


def of_cells(domain: Domain) -> Images:
    visible = np.random.default_rng(1).choice(np.array([-1, 1], dtype=np.int8), (8, 9))
    return CellCopies(PHOTO, GREY, GridCells(SIZE, 3), visible, domain)


def half_sharp(domain: Domain) -> Images:
    masks = SmoothBinaryMasks(SIZE, 2.0)
    return HalfSharpCopies(PHOTO.astype(np.float64), GREY, masks, domain, start=0.3, rows=8, key=(1, 0))


def grey_noise(domain: Domain) -> Images:
    def change(row: int) -> np.ndarray[Any, Any]:
        return np.full(SIZE, float(row), dtype=precision(domain))

    return GreyCopies(PHOTO, domain, change, rows=8)


@pytest.mark.parametrize("domain", [UINT8, FLOAT], ids=lambda d: d.dtype)
@pytest.mark.parametrize("copies", [masked, of_cells, half_sharp, grey_noise])
def test_an_image_that_was_rendered_stays_as_it_is(copies: Callable[[Domain], Images], domain: Domain) -> None:
    """Images of one thread do not share memory, whatever is rendered after them."""
    images: list[Image] = [copies(domain)[row] for row in range(8)]
    again: list[Image] = [copies(domain)[row] for row in range(8)]

    np.testing.assert_array_equal(images, again)
    assert len({image.tobytes() for image in images}) > 1
    assert not any(np.shares_memory(one, other) for one, other in itertools.pairwise(images))


def test_threads_and_uses_have_arrays_of_their_own() -> None:
    """A thread gets the same array again for the same use, shape and type, and never that of another thread."""
    mine, others = scratch("test", (3, 4), np.float32), []
    thread = threading.Thread(target=lambda: others.append(scratch("test", (3, 4), np.float32)))
    thread.start()
    thread.join()

    assert scratch("test", (3, 4), np.float32) is mine
    assert not any(
        np.shares_memory(mine, other)
        for other in (*others, scratch("another", (3, 4), np.float32), scratch("test", (4, 3), np.float32))
    )


def test_another_type_is_another_array() -> None:
    """What is computed in float64 is not rounded to an array of float32 that was there before."""
    single, double = scratch("type", (2, 2), np.float32), scratch("type", (2, 2), np.float64)

    assert (single.itemsize, double.itemsize) == (4, 8)
