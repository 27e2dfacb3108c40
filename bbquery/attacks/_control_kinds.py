"""Kinds of change that a control makes: random signs, Gaussian noise, impulses, blur, and JPEG compression.

Each is drawn at random, and has a strength by which it is brought to a distance. Noise may be as strong as it takes;
blur and compression are blended with the photo, never beyond what the filter itself makes of it.

The compression is lossy JPEG's arithmetic (ITU-T T.81, Annex K's tables, full-resolution colour) without its coding,
which loses nothing: blocks of 8 × 8, whose grid begins at a random pixel.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from bbquery.attacks._record import GREY_LEVELS, rms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Photo: TypeAlias = NDArray[np.float64]
    """Pixels in grey levels, (H, W, 3)."""

Kind: TypeAlias = Literal["random_sign", "gaussian", "impulse", "blur", "jpeg"]


@dataclass(frozen=True)
class Change:
    """One change of a photo. at: the changed photo (H, W, 3), by strength. most: the largest strength."""

    at: Callable[[float], Photo]
    most: float = math.inf


Changes: TypeAlias = Callable[[np.random.Generator], Change]
"""Draws changes of one kind at about one distance."""


def changes(kind: Kind, x: Photo, distance: float) -> Changes:
    """Return what draws changes of x. distance: of the changed photo at strength 1, about, in grey levels RMS."""
    return _KINDS[kind](x, distance)


def _random_sign(x: Photo, distance: float) -> Changes:
    """Every value a step up or down. A step that is no whole level is rounded up in a random share of the values."""

    def draw(rng: np.random.Generator) -> Change:
        signs = rng.choice((-1.0, 1.0), x.shape)
        rounding = rng.random(x.shape)
        return Change(lambda strength: x + signs * np.floor(strength * distance + rounding))

    return draw


def _gaussian(x: Photo, distance: float) -> Changes:
    """Independent Gaussian noise in every value."""

    def draw(rng: np.random.Generator) -> Change:
        noise = rng.normal(0.0, distance, x.shape)
        return Change(lambda strength: x + strength * noise)

    return draw


def _impulse(x: Photo, distance: float) -> Changes:
    """Pixels drawn at random become black or white: salt and pepper."""
    pixels = x.shape[0] * x.shape[1]
    black_or_white = rms(np.maximum(x, GREY_LEVELS - x))
    usual = pixels * (distance / black_or_white) ** 2

    def draw(rng: np.random.Generator) -> Change:
        order = rng.permutation(pixels)
        values = rng.choice((0.0, GREY_LEVELS), pixels)

        def at(strength: float) -> Photo:
            chosen = order[: round(strength * usual)]
            changed = x.reshape(pixels, 3).copy()
            changed[chosen] = values[chosen, None]
            return changed.reshape(x.shape)

        return Change(at, most=pixels / usual)

    return draw


EXCESS = 1.1  # of the distance, that an even blur or the usual grid makes, so that most others reach it too


def _blended(x: Photo, filtered: Photo) -> Change:
    return Change(lambda strength: x + strength * (filtered - x), most=1.0)


# --- blur ---

BLUR_RATIO = 1.5  # between the widths of a blur along and across, at most


def _blur(x: Photo, distance: float) -> Changes:
    """Gaussian blur of a random shape and direction. The photo goes on as its own mirror image beyond the edges."""
    height, width = x.shape[:2]
    mirrored = np.concatenate([x, x[::-1]])
    mirrored = np.concatenate([mirrored, mirrored[:, ::-1]], axis=1)
    spectrum = np.fft.rfft2(mirrored, axes=(0, 1))
    down, across = np.fft.fftfreq(2 * height)[:, None], np.fft.rfftfreq(2 * width)[None, :]

    def blurred(along: float, over: float, angle: float) -> Photo:
        first = math.cos(angle) * across + math.sin(angle) * down
        second = math.cos(angle) * down - math.sin(angle) * across
        kept = np.exp(-2 * math.pi**2 * ((along * first) ** 2 + (over * second) ** 2))
        return np.fft.irfft2(spectrum * kept[:, :, None], mirrored.shape[:2], axes=(0, 1))[:height, :width]

    usual = _strength_for(
        lambda sigma: rms(blurred(sigma, sigma, 0.0) - x), EXCESS * distance, 0.1, float(max(height, width))
    )

    def draw(rng: np.random.Generator) -> Change:
        ratio = BLUR_RATIO ** rng.uniform(-0.5, 0.5)
        return _blended(x, blurred(usual * ratio, usual / ratio, rng.uniform(0, math.pi)))

    return draw


# --- compression ---

BLOCK = 8
MIDDLE = 128  # lightness and colour are whole numbers around it
COARSEST = 50.0  # times Annex K's tables: what libjpeg makes of quality 1
FINEST = 0.01
COLOUR_RATIO = 2.0  # by which colour is quantised more or less coarsely than usual, at most

# ITU-T T.81, tables K.1 (lightness) and K.2 (colour)
LIGHTNESS = np.array([
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
]).reshape(BLOCK, BLOCK)  # fmt: skip
COLOUR = np.full((BLOCK, BLOCK), 99)
COLOUR[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]

TO_YCC = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])  # JFIF 1.02


@functools.cache
def _cosines() -> NDArray[np.float64]:
    """Return the orthonormal discrete cosine transform of 8 values, (frequency, place)."""
    places, frequencies = np.arange(BLOCK), np.arange(BLOCK)[:, None]
    rows = np.cos(math.pi * (2 * places + 1) * frequencies / (2 * BLOCK)) * math.sqrt(2 / BLOCK)
    rows[0] /= math.sqrt(2)
    return rows


def compressed(x: Photo, scale: float, colour: float = 1.0, corner: tuple[int, int] = (0, 0)) -> Photo:
    """Return what JPEG compression leaves of x. scale: of the tables of quality 50; colour: further, of colour's.

    corner: where the grid of blocks begins, 0 to 7 pixels above and left of the photo's.
    """
    height, width = x.shape[:2]
    edges = [(corner[0], -(height + corner[0]) % BLOCK), (corner[1], -(width + corner[1]) % BLOCK), (0, 0)]
    padded = np.rint(np.pad(x, edges, mode="edge") @ TO_YCC.T)
    padded[..., 0] -= MIDDLE
    rows, columns = padded.shape[0] // BLOCK, padded.shape[1] // BLOCK
    blocks = padded.reshape(rows, BLOCK, columns, BLOCK, 3).transpose(0, 2, 4, 1, 3)
    steps = np.maximum(scale * np.stack([LIGHTNESS, colour * COLOUR, colour * COLOUR]), 1.0)
    cosines = _cosines()
    kept = np.rint(cosines @ blocks @ cosines.T / steps) * steps
    lossy = (cosines.T @ kept @ cosines).transpose(0, 3, 1, 4, 2).reshape(padded.shape)
    lossy = np.clip(np.rint(lossy), -MIDDLE, MIDDLE - 1)
    lossy[..., 0] += MIDDLE
    found: Photo = (lossy @ np.linalg.inv(TO_YCC).T)[corner[0] :, corner[1] :][:height, :width]
    return found


def _jpeg(x: Photo, distance: float) -> Changes:
    """JPEG compression, its grid at a random pixel, colour more or less coarse than usual."""
    usual = _strength_for(lambda scale: rms(compressed(x, scale) - x), EXCESS * distance, FINEST, COARSEST)

    def draw(rng: np.random.Generator) -> Change:
        corner = (int(rng.integers(BLOCK)), int(rng.integers(BLOCK)))
        return _blended(x, compressed(x, usual, COLOUR_RATIO ** rng.uniform(-1, 1), corner))

    return draw


BISECTIONS = 12


def _strength_for(distance: Callable[[float], float], wanted: float, low: float, high: float) -> float:
    """Return where a distance that grows with its argument reaches what is wanted; `high` where it never does."""
    if distance(high) < wanted:
        return high
    for _ in range(BISECTIONS):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if distance(middle) < wanted else (low, middle)
    return high


_KINDS: dict[Kind, Callable[[Photo, float], Changes]] = {
    "random_sign": _random_sign,
    "gaussian": _gaussian,
    "impulse": _impulse,
    "blur": _blur,
    "jpeg": _jpeg,
}
