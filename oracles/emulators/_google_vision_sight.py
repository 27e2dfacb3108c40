"""Features that the emulator finds in an image: where something differs from the border, faces, unsafe content.

All of it is plain arithmetic on pixels, so that it is the same whenever asked, and moves as the image is perturbed. It
has the form of the vendor's answers and nothing of their sense: a patch of skin colour is a face, red is violence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from bbquery.images.boxes import Box

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = 64  # pixels: no longer side is looked at, every so many pixels of a larger image
CONTRAST = 24.0  # grey levels that something differs from the border, to stand out
EDGES = (0.05, 0.95)  # of what stands out, as shares: its box leaves out stragglers
SMALLEST_FACE = 0.02  # of the image
WHOLE = Box(0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, eq=False)
class Sight:
    """An image as it came. height, width: its own, in pixels. pixels: float64 (h, w, 3) of it, 0 to 255, few."""

    height: int
    width: int
    pixels: NDArray[np.float64]

    @classmethod
    def of(cls, image: NDArray[np.uint8]) -> Sight:
        """Return what is seen of an image (H, W, 3)."""
        height, width = image.shape[:2]
        step = -(-max(height, width) // SIDE)
        return cls(height, width, image[::step, ::step].astype(np.float64))

    def outline(self) -> Box:
        """Return the box around what differs from the image's border; the whole image where nothing does."""
        pixels = self.pixels
        border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        differs = np.abs(pixels - np.median(border, axis=0)).mean(axis=2)
        weights = np.where(differs > CONTRAST, differs, 0.0)
        if not weights.any():
            return WHOLE
        (left, right), (top, bottom) = (_middle(weights.sum(axis=axis)) for axis in (0, 1))
        return Box.of(left, top, right, bottom)

    def faces(self) -> list[Face]:
        """Return the skin-coloured patches, the largest first."""
        patches, count = ndimage.label(_skin(self.pixels))
        sizes = ndimage.sum_labels(np.ones_like(patches), patches, range(1, count + 1))
        places = ndimage.find_objects(patches)
        order = np.argsort(-np.asarray(sizes), kind="stable")
        return [self._face(places[i], sizes[i]) for i in order if sizes[i] >= SMALLEST_FACE * patches.size]

    def unsafe(self) -> dict[str, float]:
        """Return how likely each of the vendor's five categories is, 0 to 1."""
        red, green, blue = np.moveaxis(self.pixels, 2, 0)
        grey = self.pixels.mean(axis=2)
        skin, blood = _skin(self.pixels).mean(), ((red > 120) & (green < 70) & (blue < 70)).mean()
        flat = (np.abs(np.diff(grey, axis=1)) < 1).mean() if grey.shape[1] > 1 else 1.0
        pale = ((grey > 200) & (np.ptp(self.pixels, axis=2) < 20)).mean()
        shares = {"adult": skin, "spoof": flat / 2, "medical": pale / 2, "violence": 2 * blood, "racy": 1.5 * skin}
        return {name: float(min(share, 1.0)) for name, share in shares.items()}

    def _face(self, place: tuple[slice, slice], size: float) -> Face:
        rows, columns = place
        height, width = self.pixels.shape[:2]
        part = self.pixels[place]
        box = Box.of(columns.start / width, rows.start / height, columns.stop / width, rows.stop / height)
        return Face(box, min(1.0, 0.5 + float(size) / part[:, :, 0].size / 2), _moods(part / 255))


@dataclass(frozen=True)
class Face:
    """A patch that stands for a face: its place, how sure that is, 0 to 1, and how likely each mood is, 0 to 1."""

    box: Box
    confidence: float
    moods: dict[str, float]


def step_of(share: float) -> int:
    """Return the vendor's number of a likelihood: 1, VERY_UNLIKELY, to 5, VERY_LIKELY."""
    return 1 + min(4, int(5 * share))


def _moods(part: NDArray[np.float64]) -> dict[str, float]:
    """Return how likely the vendor's moods are of a face (h, w, 3) in 0 to 1: the lower half is its mouth."""
    grey = part.mean(axis=2)
    half = max(1, len(grey) // 2)
    red, _, blue = part.mean(axis=(0, 1))
    shares = {
        "joy": grey[half - 1 :].mean(),
        "sorrow": blue,
        "anger": red - blue,
        "surprise": 2 * grey.std(),
        "under_exposed": 1 - grey.max(),
        "blurred": 1 - 5 * grey.std(),
        "headwear": 1 - 2 * grey[: max(1, len(grey) // 5)].mean(),
    }
    return {name: float(np.clip(share, 0, 1)) for name, share in shares.items()}


def _skin(pixels: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return where the colour is that of skin by daylight, by the usual rule of thumb, (h, w)."""
    red, green, blue = np.moveaxis(pixels, 2, 0)
    spread = np.ptp(pixels, axis=2)
    return np.asarray((red > 95) & (green > 40) & (blue > 20) & (spread > 15) & (red - green > 15) & (red > blue))


def _middle(weights: NDArray[np.float64]) -> tuple[float, float]:
    """Return between which shares of an axis the middle nine tenths of the weights lie, whole pixels."""
    total = np.cumsum(weights) / weights.sum()
    first, last = np.searchsorted(total, EDGES)
    return float(first / len(weights)), float((min(last, len(weights) - 1) + 1) / len(weights))
