"""Resizing of photos: area averages to shrink them, bilinear interpolation to enlarge them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bbquery.interpolation import neighbours
from bbquery.system.blas_threads import one_blas_thread

if TYPE_CHECKING:
    from numpy.typing import NDArray


def averaged(pixels: NDArray[Any], height: int, width: int) -> NDArray[np.float64]:
    """Return pixels (H, W, n) resized to (height, width, n): each is the mean of the area that it covers."""
    channels = [_averaged(pixels[..., i].astype(np.float64), height) for i in range(pixels.shape[-1])]
    return np.stack([_averaged(channel.T, width).T for channel in channels], axis=-1)


@one_blas_thread
def enlarged(pixels: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
    """Return pixels (h, w, n) enlarged to (height, width, n), bilinearly; see `bilinear`."""
    down, across = bilinear(pixels.shape[0], height), bilinear(pixels.shape[1], width)
    return np.stack([down @ pixels[..., i] @ across.T for i in range(pixels.shape[-1])], axis=-1)


def bilinear(few: int, many: int) -> NDArray[np.float32]:
    """Return (many, few), rows of which sum to 1: how a side of `few` is enlarged to `many` pixels.

    The rule is that of `bbquery.interpolation`.
    """
    weights = np.zeros((many, few), dtype=np.float32)
    every = np.arange(many)
    lower, upper, share = neighbours((every + 0.5) * few / many - 0.5, few)
    weights[every, lower] += 1 - share
    weights[every, upper] += share
    return weights


def _averaged(values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Return the first axis at another size, by the differences of its running sum at the edges of the new pixels."""
    old = len(values)
    running = np.concatenate([np.zeros_like(values[:1]), np.cumsum(values, axis=0)])
    edge = np.arange(size + 1) * old / size
    below = np.minimum(np.floor(edge).astype(int), old - 1)
    at_edge = running[below] + (edge - below)[:, None] * values[below]
    averaged: NDArray[np.float64] = np.diff(at_edge, axis=0) * size / old
    return averaged
