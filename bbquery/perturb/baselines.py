"""Fillings for hidden pixels and baselines of paths: black, grey, white, the mean, a blur, noise.

A filling is never neutral: grey is itself evidence to a network, a blur keeps colours. So methods and metrics name
theirs, and a map should be judged with another filling than the one that made it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, TypeAlias, cast, get_args

import numpy as np

from bbquery.errors import UnknownName
from bbquery.perturb.checks import grey_level, positive
from bbquery.perturb.resizing import averaged, enlarged

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.types import Image

Fill: TypeAlias = Literal["black", "grey", "white", "mean", "blur", "noise"]
AnyFill: TypeAlias = Fill | float
"""A named filling (see `filling`), or a grey level from 0 to 255 that stands everywhere."""

LEVELS: dict[str, float] = {"black": 0.0, "grey": 127.0, "white": 255.0}
BLUR = 10.0  # pixels at a shorter side of 224, and in proportion: what is left are colours and rough shapes
AT_SIDE = 224
COARSE = 10.0  # pixels: the standard deviation that a large Gaussian has after the photo was shrunk
RESIZED = 1 / 12 + 1 / 6  # square pixels: the variances of a mean over one and of a line between two
REACH = 4.0  # standard deviations after which a Gaussian is cut off


def known_fill(fill: str | float, option: str = "fill") -> None:
    """Check that `fill` is the name of a filling or a grey level, 0 to 255, perhaps written as text.

    option: what a person calls it.

    Raises:
        UnknownName: it is neither a known name nor a number. UsageError: a number that is no grey level.
    """
    if fill in get_args(Fill):
        return
    try:
        level = float(fill)
    except (ValueError, TypeError):
        raise UnknownName(option, str(fill), (*get_args(Fill), "a grey level, 0 to 255")) from None
    grey_level(option, level)


def filled(fill: str | float, x: Image, seed: int) -> NDArray[np.float64]:
    """Return what stands where x (H, W, 3) is hidden, of its shape: a filling by name, or a grey level everywhere."""
    if fill in get_args(Fill):
        return filling(cast("Fill", fill), x, seed)
    return np.full(x.shape, float(fill))


def filling(name: Fill, x: Image, seed: int = 0) -> NDArray[np.float64]:
    """Return what replaces x (H, W, 3), of its shape, in grey levels 0 to 255.

    black, grey (127), white: one level. mean: the photo's mean colour. blur: the photo blurred by a Gaussian of 10
    pixels for a shorter side of 224, in proportion for others. noise: each value uniform, drawn from the seed.

    Raises:
        UnknownName: no filling has this name.
    """
    if name not in get_args(Fill):
        raise UnknownName("fill", name, get_args(Fill))
    if name in LEVELS:
        return np.full(x.shape, LEVELS[name])
    if name == "mean":
        return np.broadcast_to(x.mean(axis=(0, 1), dtype=np.float64), x.shape).copy()
    if name == "noise":
        return np.random.default_rng((seed, len(name))).uniform(0, 255, x.shape)
    return blurred(x, BLUR * min(x.shape[:2]) / AT_SIDE)


def blurred(x: Image, sigma: float) -> NDArray[np.float64]:
    """Return x (H, W, n) convolved with a Gaussian of this standard deviation in pixels, mirrored beyond its edges.

    A large one (20 pixels and more) takes its time from the photo's size alone: the photo is averaged over squares of
    some pixels first and enlarged afterwards, which blurs as well, and the Gaussian is so much smaller. That is off by
    a tenth of a grey level at most.

    Raises:
        UsageError: sigma not above 0.
    """
    positive("sigma", sigma)
    height, width = x.shape[:2]
    square = max(1, math.floor(sigma / COARSE))
    if square == 1:
        return _convolved(np.asarray(x, dtype=np.float64), sigma, sigma)
    small = averaged(x, math.ceil(height / square), math.ceil(width / square))
    down, across = (
        math.sqrt((sigma * share) ** 2 - RESIZED) for share in (len(small) / height, small.shape[1] / width)
    )
    return enlarged(_convolved(small, down, across), height, width)


def _convolved(values: NDArray[np.float64], down: float, across: float) -> NDArray[np.float64]:
    along = _along_first_axis(values, _gaussian(down))
    return _along_first_axis(along.swapaxes(0, 1), _gaussian(across)).swapaxes(0, 1)


def _gaussian(sigma: float) -> NDArray[np.float64]:
    reach = max(1, math.ceil(REACH * sigma))
    weights: NDArray[np.float64] = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weights /= weights.sum()
    return weights


def _along_first_axis(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    reach = len(weights) // 2
    padded = np.pad(values, [(reach, reach), (0, 0), (0, 0)], mode="symmetric")
    out = np.zeros_like(values)
    for place, weight in enumerate(weights):  # sums of single values, the same to the bit on any number of threads
        out += weight * padded[place : place + len(values)]
    return out
