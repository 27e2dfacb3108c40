from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bbquery.perturb import remembered
from bbquery.perturb.added import AddedCopies, precision
from bbquery.perturb.noise import mirrored, noise
from bbquery.perturb.shared_noise import GreyCopies
from bbquery.types import FLOAT, UINT8

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.types import Domain

PHOTO = np.random.default_rng(5).integers(0, 256, (6, 7, 3)).astype(np.uint8)
DOMAINS = [UINT8, FLOAT]


def copies(domain: Domain = UINT8, *, rows: int = 8, sigma: float = 60.0) -> AddedCopies:
    return AddedCopies(PHOTO, domain, noise(PHOTO, "gaussian", sigma, domain, rows=rows, key=(1, 0)), rows=rows)


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda d: d.dtype)
@pytest.mark.parametrize("most", [0, 2, 100])
def test_what_is_remembered_changes_no_bit(monkeypatch: pytest.MonkeyPatch, domain: Domain, most: int) -> None:
    """Whether none, some or all rows are remembered, rows and what was realised in them are the same."""
    monkeypatch.setattr(remembered, "BYTES", most * PHOTO.size * np.dtype(domain.dtype).itemsize)
    noisy, fresh = copies(domain), copies(domain)

    for row in (0, 3, 7, 3, 0):
        again = noisy[row]
        np.testing.assert_array_equal(again, copies(domain)[row])
        np.testing.assert_array_equal(noisy.realised(row), fresh.realised(row))
        np.testing.assert_array_equal(fresh.realised(row), again.astype(np.float64) - PHOTO)


def test_a_row_is_drawn_once_while_there_is_room() -> None:
    """What was rendered is not drawn again to be asked anew or to be summed."""
    drawn: list[int] = []

    def change(row: int) -> NDArray[Any]:
        drawn.append(row)
        return np.full(PHOTO.shape, row, dtype=np.float32)

    few = AddedCopies(PHOTO, UINT8, change, rows=3)
    for row in (1, 1, 2):
        few[row]
        few.realised(row)

    assert drawn == [1, 2]


def test_memory_is_bounded_whatever_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than the stated bytes are remembered, however many rows are rendered."""
    monkeypatch.setattr(remembered, "BYTES", 1000)
    noisy = copies(rows=50)
    for row in range(50):
        noisy[row]

    assert 0 < sum(image.nbytes for image in noisy._sent._known.values()) <= 1000


def test_one_value_a_pixel_is_added_to_all_its_channels() -> None:
    """A change of (H, W) moves the three channels of grey copies alike."""
    few = GreyCopies(PHOTO, FLOAT, lambda row: np.full((6, 7), row, dtype=np.float64), rows=3)

    np.testing.assert_array_equal(few[2], PHOTO + 2.0)


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda d: d.dtype)
def test_threads_render_the_same_rows_as_a_loop(domain: Domain) -> None:
    """Rows asked from many threads at once, in any order, are the same bits."""
    noisy, expected = copies(domain, rows=64), [copies(domain, rows=64)[row] for row in range(64)]

    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(noisy.__getitem__, [*reversed(range(64)), *range(64)]))

    np.testing.assert_array_equal(got, [*expected[::-1], *expected])


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda d: d.dtype)
def test_threads_render_mirrored_pairs_as_if_each_row_were_drawn_anew(domain: Domain) -> None:
    """The pair that is kept is never another row's, whichever thread asks for which row."""
    drawn = noise(PHOTO, "gaussian", 16.0, domain, rows=64, key=(1, 0))
    kept = AddedCopies(PHOTO, domain, mirrored(drawn), rows=64)
    anew = AddedCopies(PHOTO, domain, lambda row: drawn(row // 2) * (-1) ** row, rows=64)
    order = np.random.default_rng(0).permutation(64).tolist()

    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(kept.__getitem__, order))

    np.testing.assert_array_equal(got, [anew[row] for row in order])


def test_a_pair_whose_rows_follow_each_other_is_drawn_once() -> None:
    """The second of a pair takes what was drawn for the first."""
    drawn: list[int] = []

    def noted(row: int) -> NDArray[Any]:
        drawn.append(row)
        return np.ones(PHOTO.shape)

    change = mirrored(noted)
    for row in range(6):
        change(row)

    assert drawn == [0, 1, 2]


def test_mirrored_rows_are_each_others_negative() -> None:
    """Rows 2i and 2i + 1 are the photo plus and minus the same; the next pair is another."""
    change = mirrored(noise(PHOTO, "laplace", 5.0, FLOAT, rows=6, key=(1, 0)))
    rows = [change(row).copy() for row in range(6)]

    np.testing.assert_array_equal(rows[1::2], np.negative(rows[0::2]))
    assert np.abs(rows[0] - rows[2]).min() > 0


def test_noise_is_drawn_no_finer_than_it_is_sent() -> None:
    """Noise for uint8 pixels is float32, for float pixels float64."""
    assert [precision(domain) for domain in DOMAINS] == [np.float32, np.float64]
