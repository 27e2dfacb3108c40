"""Placement of what an oracle is sent on the photo: crop and resize, and the inverse for maps.

An oracle is sent what its `View` says, and only through `fit`; `Placement` remembers where that was.

Metrics hide pixels as they are sent, so a map that is judged must have a value for each of those. NaN is expected where
the oracle sees nothing, and refused where it does see something.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image

from bbquery.errors import UsageError
from bbquery.images.boxes import Box
from bbquery.interpolation import mean_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from bbquery.oracle import View
    from bbquery.types import Domain, Image

SLIVER = 0.2
"""The share of a photo below which it is likely that the model is not shown what a person means; 4:1 comes below it."""

SQUEEZED = 4
"""How much more a photo is shrunk in one direction than in the other before its content is hard to recognise."""


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Placement on a photo of the pixels that an oracle was sent.

    photo: (height, width) of the photo. box: (left, top, right, bottom) of what was sent, in pixels of the photo,
    pixel i reaching from i to i + 1; edges may be fractional. size: (height, width) of what was sent.
    """

    photo: tuple[int, int]
    box: tuple[float, float, float, float]
    size: tuple[int, int]

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Placement:
        """Return the placement that a record (`run.json`) holds under image.sent.

        Raises:
            LookupError, TypeError, ValueError: it is none.
        """
        height, width = map(int, plain["photo"])
        left, top, right, bottom = map(float, plain["box"])
        rows, columns = map(int, plain["size"])
        return cls(photo=(height, width), box=(left, top, right, bottom), size=(rows, columns))

    @property
    def whole(self) -> bool:
        """Whether the oracle is sent all of the photo."""
        height, width = self.photo
        return self.box == (0, 0, width, height)

    @property
    def warning(self) -> str:
        """Warning for people if the model does not see the whole photo; empty if it does."""
        (height, width), (rows, columns) = self.photo, self.size
        across, down = self.box[2] - self.box[0], self.box[3] - self.box[1]
        share, squeezed = across * down / (height * width), (across / columns) / (down / rows)
        give = "give what matters of it, near a square"
        if share < SLIVER:
            seen = f"{across:.4g} × {down:.4g} of its {width} × {height} pixels ({share:.2%})"
            return f"the model is shown a sliver of the photo, {seen}: {give}"
        if max(squeezed, 1 / squeezed) > SQUEEZED:
            how = f"{max(squeezed, 1 / squeezed):.3g} times more in one direction than in the other"
            seen = f"its {width} × {height} pixels as {columns} × {rows}"
            return f"the model is shown the photo squeezed, {seen}, {how}: {give}"
        return ""

    def box_on_photo(self, box: Box) -> Box:
        """Bring a box on what was sent to the photo: shares of the photo's width and height."""
        (height, width), (left, top, right, bottom) = self.photo, self.box
        across = [(left + share * (right - left)) / width for share in (box.left, box.right)]
        return Box.around(across, [(top + share * (bottom - top)) / height for share in (box.top, box.bottom)])

    def to_photo(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Bring a map (h, w) of what was sent to the photo's own coordinates, (H, W) float64.

        A photo's pixel takes the bilinear interpolation of the map at its centre. Where it covers k > 1 of the map's
        pixels, as when a small photo was enlarged, it takes the mean of ceil(k) × ceil(k) evenly spaced such points,
        so that no part of the map is skipped. Beyond the centres of the map's outermost pixels their values continue.
        Constants are kept everywhere and linear ramps inside those centres, up to rounding; no value leaves the
        map's range. NaN where the pixel's centre lies outside the box: the oracle did not see it. A NaN of the map
        stays NaN and takes the pixels interpolated from it along.

        Raises:
            UsageError: the map's shape is not the size that was sent.
        """
        if values.shape != self.size:
            raise UsageError(f"a map of shape {values.shape} is not of the pixels that were sent, {self.size}")
        left, top, right, bottom = self.box
        rows, columns = _centres_within(top, bottom, self.photo[0]), _centres_within(left, right, self.photo[1])
        seen = _interpolate(np.asarray(values, dtype=np.float64), rows, top, bottom)
        seen = _interpolate(seen.T, columns, left, right).T
        out = np.full(self.photo, np.nan)
        out[np.ix_(rows.astype(int), columns.astype(int))] = seen
        return out


def fit(photo: NDArray[np.uint8], view: View, domain: Domain) -> tuple[Image, Placement]:
    """Return the pixels an oracle is sent of a photo (H, W, 3) uint8, in its domain, and where they lie.

    With `view.crop` the central square whose side is that share of the shorter side, else the whole photo; then
    bicubic resampling (Pillow's, which smooths when it shrinks) to `view.size`. The square's edges are fractional, so
    EfficientNet's crop of size / (size + 32) of the shorter side is exact. Without `view.size` nothing is resampled
    and the square's side is rounded to whole pixels. When nothing changes the photo's own pixels are sent.

    Raises:
        UsageError: the view's crop is not above 0 and at most 1, or its size is below 1.
    """
    placement = placed(photo, view)
    return domain.realise(_resample(photo, placement)), placement


def placed(photo: NDArray[np.uint8], view: View) -> Placement:
    """Return where on a photo (H, W, 3) the pixels lie that an oracle is sent, as `fit` says.

    Raises:
        UsageError: the view's crop is not above 0 and at most 1, or its size is below 1.
    """
    box = _box(photo, view)
    size = view.size or (int(box[3] - box[1]), int(box[2] - box[0]))
    return Placement(photo=(photo.shape[0], photo.shape[1]), box=box, size=size)


def _box(photo: NDArray[np.uint8], view: View) -> tuple[float, float, float, float]:
    height, width = photo.shape[:2]
    if view.size is not None and min(view.size) < 1:
        raise UsageError(f"an oracle's view has size {view.size}: both sides must be at least 1 pixel")
    if view.crop is None:
        return 0.0, 0.0, float(width), float(height)
    if not 0 < view.crop <= 1:
        raise UsageError(f"an oracle's view has crop {view.crop}: it is a share, above 0 and at most 1")
    side = max(1.0, view.crop * min(height, width))
    if view.size is not None:
        left, top = (width - side) / 2, (height - side) / 2
        return left, top, left + side, top + side
    whole = round(side)
    column, row = (width - whole) // 2, (height - whole) // 2
    return float(column), float(row), float(column + whole), float(row + whole)


def _resample(photo: NDArray[np.uint8], placement: Placement) -> NDArray[np.uint8]:
    left, top, right, bottom = placement.box
    height, width = placement.size
    if (right - left, bottom - top) == (width, height) and left.is_integer() and top.is_integer():
        return photo[int(top) : int(bottom), int(left) : int(right)]
    image = PIL.Image.fromarray(photo)
    return np.array(image.resize((width, height), PIL.Image.Resampling.BICUBIC, box=placement.box))


def _centres_within(start: float, stop: float, length: int) -> NDArray[np.float64]:
    """Return the centres of those of `length` pixels that have them between start and stop."""
    centres = np.arange(length, dtype=np.float64) + 0.5
    return centres[(centres >= start) & (centres <= stop)]


def _interpolate(
    values: NDArray[np.float64], centres: NDArray[np.float64], start: float, stop: float
) -> NDArray[np.float64]:
    """Return the means of `values` (n, m), which lie evenly between start and stop, over pixels at `centres` (k, m)."""
    step = len(values) / (stop - start)
    points = max(1, math.ceil(step))
    offsets = ((np.arange(points) + 0.5) / points - 0.5) * step
    return mean_at(values, (centres - start) * step + offsets[:, None] - 0.5)


def both_ways(values: NDArray[np.float64], placement: Placement) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a map in the photo's coordinates and in those of the pixels that are sent, float64 both.

    values: of the photo's (height, width), or of that which is sent.

    Raises:
        UsageError: it has neither shape, is not finite where the oracle sees something, or is constant there.
    """
    if values.shape not in (placement.photo, placement.size):
        raise UsageError(
            f"the map has shape {values.shape}, but the photo {placement.photo} and what the oracle is sent of it "
            f"{placement.size}: give the map that was made of this photo, as (height, width)"
        )
    floats = np.asarray(values, dtype=np.float64)
    of_photo = values.shape == placement.photo
    sent = to_sent(floats, placement) if of_photo else floats
    if not np.isfinite(sent).all():
        raise UsageError("the map has NaN or infinite values where the oracle sees the photo: it ranks no pixels there")
    if np.ptp(sent) == 0:
        raise UsageError(f"the map is constant ({sent.flat[0]:g} everywhere): it ranks no pixel above another")
    return (floats if of_photo else placement.to_photo(floats)), sent


def gradient_as_sent(values: NDArray[np.float64], placement: Placement) -> NDArray[np.float64]:
    """Return a gradient (h, w, 3) of the pixels that are sent, as float64.

    Raises:
        UsageError: it has another shape, or is not finite.
    """
    if values.shape != (*placement.size, 3):
        raise UsageError(f"the map has shape {values.shape}, but a gradient of what is sent {(*placement.size, 3)}")
    if not np.isfinite(values).all():
        raise UsageError("the map has NaN or infinite values: a gradient is known in every pixel that is sent")
    return np.asarray(values, dtype=np.float64)


def to_sent(values: NDArray[np.float64], placement: Placement) -> NDArray[np.float64]:
    """Bring a map (H, W) in the photo's coordinates to the pixels that are sent, (h, w).

    A pixel that is sent takes the bilinear interpolation of the map at its centre; where it covers k > 1 pixels of the
    photo, the mean of ceil(k) × ceil(k) evenly spaced such points. Values beyond the box, which are NaN, do not count;
    one within it makes what is interpolated from it NaN.
    """
    left, top, right, bottom = placement.box
    seen = np.outer(_seen_between(top, bottom, values.shape[0]), _seen_between(left, right, values.shape[1]))
    weights = seen.astype(np.float64)
    total = np.where(seen, values, 0.0)
    for start, stop, size in ((top, bottom, placement.size[0]), (left, right, placement.size[1])):
        total, weights = (_resampled(each, start, stop, size).T for each in (total, weights))
    return total / weights


def _seen_between(start: float, stop: float, length: int) -> NDArray[np.bool_]:
    """Return which of `length` pixels have their centre between start and stop."""
    centres = np.arange(length) + 0.5
    return (centres >= start) & (centres <= stop)


def _resampled(values: NDArray[np.float64], start: float, stop: float, size: int) -> NDArray[np.float64]:
    """Return `values` (n, m) at `size` pixels that lie evenly between start and stop of its rows, (size, m)."""
    step = (stop - start) / size
    points = max(1, math.ceil(step))
    offsets = (np.arange(points) + 0.5) / points
    return mean_at(values, start + (np.arange(size) + offsets[:, None]) * step - 0.5)
