from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from bbquery.errors import UsageError
from bbquery.perturb.added import AddedCopies
from bbquery.perturb.shared_noise import GreyCopies, GreyNoise, at_most_whole
from bbquery.perturb.waves import WaveCopies, Waves
from bbquery.types import FLOAT, UINT8

if TYPE_CHECKING:
    from bbquery.types import Domain

PHOTO = np.random.default_rng(5).integers(0, 256, (9, 12, 3)).astype(np.uint8)


def test_waves_are_scipys_lowest_cosines() -> None:
    """Synthesis and analysis are the inverse and the forward orthonormal DCT-II, cut to the lowest frequencies."""
    from scipy.fft import dctn, idctn

    waves, rng = Waves((9, 12), 4, np.float64), np.random.default_rng(0)
    coefficients, values = rng.normal(size=(4, 4, 3)), rng.normal(size=(9, 12, 3))

    padded = np.zeros((9, 12, 3))
    padded[:4, :4] = coefficients
    np.testing.assert_allclose(waves.synthesis(coefficients), idctn(padded, axes=(0, 1), norm="ortho"), atol=1e-12)
    np.testing.assert_allclose(waves.analysis(values), dctn(values, axes=(0, 1), norm="ortho")[:4, :4], atol=1e-12)
    np.testing.assert_allclose(waves.analysis(waves.render(coefficients)), coefficients, atol=1e-12)


@pytest.mark.parametrize("size", [(8, 12), (9, 5), (70, 33), (1, 4), (4, 1)])
def test_the_lowest_waves_are_rendered_as_all_are(size: tuple[int, int]) -> None:
    """Zeros that are left out, and waves of which half is computed, change nothing: sides even, odd, and of 1 pixel."""
    waves, rng = Waves(size, max(size), np.float64), np.random.default_rng(0)
    counts = rng.integers(0, waves.shape[1] + 1, waves.shape[0])
    lowest = np.arange(waves.shape[1]) < counts[:, None]
    coefficients = rng.normal(size=waves.shape) * lowest[..., None]

    np.testing.assert_allclose(waves.render_lowest(coefficients, counts), waves.synthesis(coefficients), atol=1e-12)


def test_there_are_no_more_waves_than_pixels() -> None:
    """A side shorter than the frequencies asked for has as many waves as pixels."""
    assert Waves((3, 12), 5, np.float32).shape == (3, 5, 3)


def test_noise_is_white_in_the_lowest_waves_and_nothing_above() -> None:
    """Its coefficients are independent with a standard deviation of 1; drawn in parts it is the same."""
    waves, rng = Waves((9, 12), 2, np.float32), np.random.default_rng(1)
    fields = np.concatenate([waves.noise(rng, 1000), waves.noise(rng, 3000)])
    np.testing.assert_array_equal(fields, waves.noise(np.random.default_rng(1), 4000))

    every = np.stack([Waves((9, 12), 12, np.float64).analysis(field) for field in fields])

    assert np.abs(every[:, 2:]).max() < 1e-5
    assert np.abs(every[:, :, 2:]).max() < 1e-5
    lowest = every[:, :2, :2].reshape(4000, -1)
    np.testing.assert_allclose(np.cov(lowest.T), np.eye(12), atol=0.12)  # 5 standard deviations of a variance


def test_wave_copies_tell_the_coefficients_of_what_was_sent() -> None:
    """Rounding and clipping included."""
    waves = Waves((9, 12), 4, np.float32)
    added = AddedCopies(PHOTO, UINT8, lambda row: waves.render(np.full((4, 4, 3), 30.0 * row)), rows=3)
    copies = WaveCopies(added, waves)

    np.testing.assert_array_equal(copies[2], added[2])
    np.testing.assert_allclose(copies.realised(2), waves.analysis(added[2].astype(np.float32) - PHOTO), atol=1e-3)
    assert len(copies) == 3


@pytest.mark.parametrize("resize", [1.0, 0.5, 0.2])
@pytest.mark.parametrize("domain", [UINT8, FLOAT], ids=lambda d: d.dtype)
def test_shared_noise_has_its_deviation_in_every_pixel(domain: Domain, resize: float) -> None:
    """Also between the centres of enlarged cells; and the correlations are those found over many rows."""
    noise, rows = GreyNoise((9, 12), 4.0, resize, domain), 1500
    change = noise.change(rows=rows, key=(1, 0))
    drawn = np.stack([change(row) for row in range(rows)])

    assert drawn.shape == (rows, 9, 12)
    np.testing.assert_allclose(drawn.std(axis=0) / 4.0, 1.0, atol=5 / np.sqrt(2 * rows))
    flat = drawn.reshape(rows, -1) / 4.0
    summed = (flat.T @ flat / rows).sum(axis=1).reshape(9, 12)
    # a sum of 108 correlations, each with an error of about 1 / sqrt(rows), which are not independent of each other
    np.testing.assert_allclose(summed, noise.correlations(), atol=5 * np.sqrt(108 * summed.max() / rows))


def test_shared_copies_tell_the_mean_over_the_channels() -> None:
    """Where one channel is clipped and another is not, the realised perturbation is their mean."""
    x = np.array([[[0, 100, 255]]], dtype=np.uint8)
    copies = GreyCopies(x, UINT8, lambda _: np.full((1, 1), 30, dtype=np.float32), rows=1)

    assert copies.realised(0)[0, 0] == pytest.approx(20.0)
    assert copies[0].tolist() == [[[30, 130, 255]]]
    assert len(copies) == 1


@pytest.mark.parametrize("value", [0.0, -0.5, 1.01, float("nan")])
def test_a_ratio_out_of_range_is_refused(value: float) -> None:
    """A ratio must be above 0 and at most 1, and the message says so."""
    with pytest.raises(UsageError, match=f"ratio must be above 0 and at most 1, not {value}"):
        at_most_whole("ratio", value)
