"""Directions to move in, from where an attack stands: the change itself, reweighted; new patches; noise.

The change that works is the best guess of what works: the boundary's normal is where the change already is far more
than elsewhere. The share of the normal that a dimension holds, measured at points on EfficientNet-Lite0's boundary, is
9 to 60e-5 for the change times smooth masks of 7 × 7 cells, 5 to 11e-5 with 14 × 14, 3 to 10e-5 with 28 × 28, 1.6 to
4e-5 for the noise below, and .7e-5 for a dimension of any kind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbquery.attacks._textures import CHROMA, LUMA, mask, patch, unit, window

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from bbquery.attacks._textures import Texture

    Direction: TypeAlias = Callable[[np.random.Generator, Texture], Texture]
    """Draws a direction (H, W, 3), given the change from the clean photo; of any length."""

FARTHEST_SHIFT = 4  # pixels
SPOTS = (0.05, 0.4)  # standard deviation of a spot, of the photo's side
SMOOTHNESS = (2, 4, 8, 16, 32)  # cells along each side
FINE_CYCLES, COARSE_CYCLES = (16.0, 75.0), (4.0, 34.0)


def reweighted(cells: int) -> Direction:
    """Return the change times a smooth random mask: more of it here, less there."""
    return lambda rng, change: change * mask(rng, change.shape, cells)


def spot(rng: np.random.Generator, change: Texture) -> Texture:
    """Return the change in one spot: more of it there, or none."""
    down, across = window(rng, change.shape, SPOTS)
    return change * np.outer(down, across)[:, :, None]


def shifted(rng: np.random.Generator, change: Texture) -> Texture:
    """Return the change, moved by a few pixels and reweighted: another phase of it here and there."""
    by = rng.integers(-FARTHEST_SHIFT, FARTHEST_SHIFT + 1, 2)
    return np.roll(change, by.tolist(), axis=(0, 1)) * mask(rng, change.shape, 7)


def fine_patch(rng: np.random.Generator, change: Texture) -> Texture:
    """Return a new patch of a fine texture."""
    return patch(rng, change.shape, FINE_CYCLES)


def coarse_patch(rng: np.random.Generator, change: Texture) -> Texture:
    """Return a new patch of a coarse texture."""
    return patch(rng, change.shape, COARSE_CYCLES)


def smooth_noise(rng: np.random.Generator, change: Texture) -> Texture:
    """Return noise of any smoothness, each channel on its own: for models that react to something else."""
    cells = int(rng.choice(SMOOTHNESS))
    return np.concatenate([mask(rng, change.shape, cells) for _ in range(3)], axis=2)


def chroma_noise(rng: np.random.Generator, change: Texture) -> Texture:
    """Return smooth noise of green against magenta."""
    return mask(rng, change.shape, 56) * unit(np.array(CHROMA))


def luma_noise(rng: np.random.Generator, change: Texture) -> Texture:
    """Return finer noise of luminance."""
    return mask(rng, change.shape, 112) * unit(np.array(LUMA))
