"""Textures to change a photo by: sinusoids, whole or in a window, in the colours that networks react to.

Along which axis of colour a network reacts depends on how fine a pattern is. At points on the boundary of
EfficientNet-Lite0 the covariance of the boundary's normal over red, green and blue has, per frequency, one large
eigenvalue: below 34 cycles across the photo green against magenta (3 to 4e-5 a dimension, where uniform noise has
.7e-5), above 40 cycles nearly luminance (2e-5), and there next to nothing for the other two. That fits how photos are:
their fine colour is weak, and JPEG keeps little of it.

All textures are float32 (H, W, 3), and of RMS 1 where they are returned by a function.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bbquery.perturb.lowfrequency import Enlarged

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Texture = NDArray[np.float32]
    Triple = tuple[float, float, float]

CHROMA: Triple = (-0.4, 0.82, -0.4)
LUMA: Triple = (0.25, 0.96, 0.12)
CROSSOVER = 34.0  # cycles across the photo; above, luminance
COLOUR_SPREAD = 0.15  # of each channel around its axis
LEAST_PERIOD = 3.0  # pixels; finer, and sampling would alias
MUTATED_CYCLES, MUTATED_PHASE, MUTATED_COLOUR = 4.0, 0.8, 0.2  # standard deviations
WINDOWS = (0.12, 0.6)  # standard deviation of a window, of the photo's side
FARTHEST = 0.4  # of a window's centre from the photo's, of its side


def unit(values: NDArray[np.floating]) -> Texture:
    """Return values scaled to RMS 1; zeros as they are."""
    size = math.sqrt(float(np.mean(np.square(values))))
    scaled: Texture = np.multiply(values, 1 / size if size else 0.0, dtype=np.float32)
    return scaled


def aside(direction: Texture, way: Texture) -> Texture:
    """Return a direction without its part along a way, at RMS 1. way: of RMS 1."""
    overlap = np.mean(direction * way)
    return unit(direction - overlap * way)


@dataclass(frozen=True)
class Wave:
    """A plane wave over the photo. down, across: cycles along each side. phase: radians. colour: of RMS 1."""

    down: float
    across: float
    phase: float
    colour: NDArray[np.float32]

    def mutated(self, rng: np.random.Generator) -> Wave:
        """Return a wave like this one."""
        down, across = MUTATED_CYCLES * rng.standard_normal(2)
        return Wave(
            self.down + down,
            self.across + across,
            self.phase + MUTATED_PHASE * rng.standard_normal(),
            unit(self.colour + MUTATED_COLOUR * rng.standard_normal(3)),
        )

    def image(self, shape: tuple[int, ...], window: tuple[Texture, Texture] | None = None) -> Texture:
        """Return it at RMS 1 on (H, W, 3) pixels. window: weights of each row and each column."""
        rows = 2 * math.pi * self.down * places(shape[0]) + self.phase
        columns = 2 * math.pi * self.across * places(shape[1])
        down, across = (1.0, 1.0) if window is None else window
        plane = np.outer(down * np.cos(rows), across * np.cos(columns))
        plane -= np.outer(down * np.sin(rows), across * np.sin(columns))
        return unit(plane.astype(np.float32)[:, :, None] * self.colour)


def places(pixels: int) -> NDArray[np.float64]:
    """Return the pixels' centres along a side of length 1."""
    centres: NDArray[np.float64] = (np.arange(pixels) + 0.5) / pixels
    return centres


def wave(rng: np.random.Generator, shape: tuple[int, ...], cycles: tuple[float, float]) -> Wave:
    """Draw a wave of so many cycles across the photo, or fewer where its pixels are few, at any angle and phase."""
    finest = min(shape[:2]) / LEAST_PERIOD
    high = min(cycles[1], finest)
    frequency = rng.uniform(min(cycles[0], high / 4), high)
    angle, phase = rng.uniform(0, math.pi), rng.uniform(0, 2 * math.pi)
    axis = np.array(CHROMA if frequency < CROSSOVER else LUMA)
    colour = unit(unit(axis) + COLOUR_SPREAD * rng.standard_normal(3))
    return Wave(frequency * math.sin(angle), frequency * math.cos(angle), phase, colour)


def patch(rng: np.random.Generator, shape: tuple[int, ...], cycles: tuple[float, float]) -> Texture:
    """Draw a wave in a Gaussian window anywhere (a Gabor function)."""
    return wave(rng, shape, cycles).image(shape, window(rng, shape, WINDOWS))


def window(rng: np.random.Generator, shape: tuple[int, ...], sizes: tuple[float, float]) -> tuple[Texture, Texture]:
    """Draw a Gaussian window: its weights of each row and of each column. sizes: smallest and largest deviation."""
    size = math.exp(rng.uniform(math.log(sizes[0]), math.log(sizes[1])))
    down, across = 0.5 + rng.uniform(-FARTHEST, FARTHEST, 2)
    rows, columns = places(shape[0]), places(shape[1])
    weights = (np.exp(-((at - centre) ** 2) / (2 * size**2)) for at, centre in ((rows, down), (columns, across)))
    of_rows, of_columns = (each.astype(np.float32) for each in weights)
    return of_rows, of_columns


def mask(rng: np.random.Generator, shape: tuple[int, ...], cells: int) -> Texture:
    """Draw a smooth random mask (H, W, 1) of standard deviation 1, with so many cells along each side."""
    down, across = Enlarged(shape[0], cells, np.float32), Enlarged(shape[1], cells, np.float32)
    grid = rng.standard_normal((across.cells, down.cells, 1), dtype=np.float32)
    return down(np.ascontiguousarray(across(grid).swapaxes(0, 1))).astype(np.float32)
