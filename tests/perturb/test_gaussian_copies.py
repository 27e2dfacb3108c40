from __future__ import annotations

import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bbquery.perturb.noise import GaussianCopies
from bbquery.types import FLOAT, UINT8

if TYPE_CHECKING:
    from bbquery.types import Domain, Image

PHOTO = np.random.default_rng(5).integers(0, 256, (6, 7, 3)).astype(np.uint8)


def copies(x: Image = PHOTO, *, sigma: float = 16.0, domain: Domain = UINT8, rows: int = 8, seed: int = 1) -> Any:
    return GaussianCopies(x, sigma, domain, rows=rows, key=(seed, 0))


@pytest.mark.parametrize("domain", [UINT8, FLOAT], ids=lambda d: d.dtype)
def test_a_copy_is_an_image_of_its_domain(domain: Domain) -> None:
    """What is sent has the photo's shape and the dtype that the oracle declares."""
    sent = copies(domain=domain)[3]

    assert (sent.shape, sent.dtype) == (PHOTO.shape, np.dtype(domain.dtype))


@pytest.mark.parametrize("domain", [UINT8, FLOAT], ids=lambda d: d.dtype)
def test_realised_is_exactly_sent_minus_original(domain: Domain) -> None:
    """Adding what was realised to the photo gives what was sent, clipped and rounded values included."""
    noisy = copies(sigma=100.0, domain=domain)

    for row in range(len(noisy)):
        np.testing.assert_array_equal(noisy.realised(row), noisy[row].astype(np.float64) - PHOTO)


def test_noise_is_normal_with_the_stated_deviation() -> None:
    """On a float domain the noise has mean 0, deviation sigma and a normal's fourth moment."""
    x = np.full((40, 40, 3), 100.0)
    z = np.concatenate([copies(x, sigma=3.0, domain=FLOAT).realised(row).ravel() for row in range(8)]) / 3.0

    n = z.size  # the variances of z, z^2 and z^4 are 1, 2 and 96
    assert abs(z.mean()) < 5 * np.sqrt(1 / n)
    assert abs((z**2).mean() - 1) < 5 * np.sqrt(2 / n)
    assert abs((z**4).mean() - 3) < 5 * np.sqrt(96 / n)


def test_rows_are_independent_of_each_other() -> None:
    """Two rows, two steps and two seeds all have uncorrelated noise."""
    x = np.full((40, 40, 3), 128.0)
    rows = [
        GaussianCopies(x, 4.0, FLOAT, rows=2, key=key).realised(r).ravel().copy()
        for key in [(1, 0), (1, 1), (2, 0)]
        for r in (0, 1)
    ]

    correlation = np.corrcoef(np.stack(rows)) - np.eye(len(rows))

    assert np.abs(correlation).max() < 5 / np.sqrt(x.size)


def test_threads_render_the_same_rows_as_a_loop() -> None:
    """Rows are pure: asked from many threads at once, in any order, they are the same bits."""
    noisy = copies(rows=64)
    expected = [noisy[row] for row in range(64)]

    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(noisy.__getitem__, reversed(range(64))))

    np.testing.assert_array_equal(got[::-1], expected)


def test_a_billion_copies_take_no_memory() -> None:
    """Memory does not grow with rows: the last of a billion is rendered at the cost of one."""
    noisy = copies(rows=10**9)
    tracemalloc.start()
    noisy[10**9 - 1]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert len(noisy) == 10**9
    assert peak < 100_000


@pytest.mark.parametrize("row", [-1, 8])
def test_there_are_no_rows_beyond_the_last(row: int) -> None:
    """A row that does not exist is an IndexError, so that iterating over copies ends."""
    with pytest.raises(IndexError, match=f"row {row} of 8"):
        copies(rows=8)[row]


def test_iterating_gives_each_copy_once() -> None:
    """A sequence of copies can be iterated like an array of them."""
    assert len(list(copies(rows=5))) == 5
