"""Fillings are what their names say."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bbquery.errors import UnknownName, UsageError
from bbquery.perturb.baselines import Fill, blurred, filled, filling, known_fill

PHOTO = np.random.default_rng(0).integers(0, 256, (30, 41, 3), dtype=np.uint8)


@pytest.mark.parametrize("sigma", [0.4, 2.0, 9.0])
def test_a_blur_is_a_gaussian_mirrored_at_the_edges(sigma: float) -> None:
    """It equals SciPy's filter with the same reach."""
    expected = gaussian_filter(
        PHOTO.astype(float), sigma, axes=(0, 1), mode="reflect", radius=max(1, math.ceil(4 * sigma))
    )

    np.testing.assert_allclose(blurred(PHOTO, sigma), expected, atol=1e-9)


@pytest.mark.parametrize(("size", "sigma"), [((200, 311), 20.0), ((230, 400), 33.3), ((151, 90), 57.0)])
def test_a_large_blur_is_nearly_the_gaussian(size: tuple[int, int], sigma: float) -> None:
    """It is within a twentieth of a grey level of SciPy's filter, on a photo with edges, a slope and noise."""
    down, across = np.indices(size)
    levels = 120.0 * (across > size[1] / 3) + 100 * down / size[0] + np.random.default_rng(1).uniform(0, 35, size)
    photo = np.stack([levels, levels[::-1], levels[:, ::-1]], axis=-1).astype(np.uint8)

    expected = gaussian_filter(photo.astype(float), sigma, axes=(0, 1), mode="reflect", truncate=5)

    np.testing.assert_allclose(blurred(photo, sigma), expected, atol=0.05)


def test_a_photo_smaller_than_its_blur_is_blurred_all_the_same() -> None:
    """A photo of a few pixels has a filling too, within its own range of levels."""
    tiny = PHOTO[:2, :3]

    out = blurred(tiny, 10.0)

    assert tiny.min() <= out.min() <= out.max() <= tiny.max()


@pytest.mark.parametrize(("name", "level"), [("black", 0), ("grey", 127), ("white", 255)])
def test_a_level_is_everywhere(name: Fill, level: int) -> None:
    """A named level fills the whole photo."""
    assert np.unique(filling(name, PHOTO)).tolist() == [level]


def test_the_mean_is_the_photos_colour() -> None:
    """The mean filling is of one colour, that of the photo's pixels on average."""
    np.testing.assert_allclose(filling("mean", PHOTO), np.broadcast_to(PHOTO.reshape(-1, 3).mean(axis=0), PHOTO.shape))


def test_noise_is_decided_by_its_seed() -> None:
    """The same seed gives the same noise to the bit, another seed another."""
    first, again, other = (filling("noise", PHOTO, seed) for seed in (1, 1, 2))

    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("name", get_args(Fill))
def test_a_filling_has_the_photos_shape_and_grey_levels(name: Fill) -> None:
    """Every filling can be mixed with the photo, and sent."""
    out = filling(name, PHOTO)

    assert out.shape == PHOTO.shape
    assert 0 <= out.min() <= out.max() <= 255


def test_bad_input_is_refused() -> None:
    """An unknown name and a blur of nothing are usage errors."""
    with pytest.raises(UnknownName):
        filling("purple", PHOTO)  # type: ignore[arg-type]  # what a person may type
    with pytest.raises(UsageError):
        blurred(PHOTO, 0.0)


@pytest.mark.parametrize("fill", ["blur", "noise", 0, 255.0, "128", "12.5"])
def test_a_fill_is_a_name_or_a_grey_level(fill: str | float) -> None:
    """Names of fillings are known, and grey levels as numbers or, from the command line, as text."""
    known_fill(fill)

    expected = filling(fill, PHOTO, 5) if fill in ("blur", "noise") else np.full(PHOTO.shape, float(fill))  # type: ignore[arg-type] # a name is known to be one of two
    assert np.array_equal(filled(fill, PHOTO, 5), expected)


@pytest.mark.parametrize(("fill", "kind"), [("pink", UnknownName), ("256", UsageError), (-1.0, UsageError)])
def test_another_fill_is_refused(fill: str | float, kind: type[Exception]) -> None:
    """What is neither a filling's name nor a grey level is the caller's mistake."""
    with pytest.raises(kind, match="fill"):
        known_fill(fill)
