"""Directions to move in, from where an attack stands: the change itself, reweighted; new patches; noise.

The change that works is the best guess of what works: the boundary's normal is where the change already is, and made
of the same texture, far more than elsewhere. The share of its square that a direction holds, at four points that 1,500
queries had reached on EfficientNet-Lite0's boundary, is 4 to 9e-5 for the change times smooth masks of 7 × 7 or 14 × 14
cells, 4 to 11e-5 with 28 × 28, 4 to 6e-5 for the change moved by a few pixels, 2 to 4e-5 for new patches, 2 to 5e-5 for
noise of green against magenta, .5 to 2e-5 for noise of any colour, and .7e-5 for a direction of any kind.

From there, 800 queries on one of these alone took this share off the distance: the change moved and masked by 28 × 28
cells 19 % (7 × 7 or 14 × 14: 13 %, 56 × 56: 13 %, 112 × 112: 5 %), masked by 14 × 14 alone 8 %, by 28 × 28 10 %.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbquery.attacks._textures import CHROMA, mask, patch, unit, window

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


def shifted(cells: int) -> Direction:
    """Return the change, moved by a few pixels and reweighted: another phase of it here and there."""

    def draw(rng: np.random.Generator, change: Texture) -> Texture:
        by = rng.integers(-FARTHEST_SHIFT, FARTHEST_SHIFT + 1, 2)
        moved: Texture = np.roll(change, by.tolist(), axis=(0, 1)) * mask(rng, change.shape, cells)
        return moved

    return draw


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
