"""From the arrays of libraries to the pixels that are sent: shapes, ranges, rounding and size."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from bbquery.errors import UnknownName, UsageError
from bbquery.images import reading
from bbquery.images.pixel_scale import other_scale
from bbquery.images.placement import fit
from bbquery.types import UINT8

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.images.pixel_scale import Scale
    from bbquery.oracle import Capabilities
    from bbquery.types import Image, Images

Sizes: TypeAlias = Literal["exact", "fitted"]
GREY_LEVELS = 255.0
HALF_A_LEVEL = 0.5 / GREY_LEVELS  # of white: what rounding may move a pixel by, and so no clipping worth a word


@dataclass(frozen=True, eq=False)
class PixelBatch:
    """Images of a library (n, h, w, 3), each brought to what is sent when it is indexed."""

    given: NDArray[Any]
    pixels: Pixels

    def __len__(self) -> int:
        """How many."""
        return len(self.given)

    def __getitem__(self, row: int, /) -> Image:
        """Return one image as it is sent."""
        return self.pixels.sent(self.given[row])


class Pixels:
    """What an oracle takes, and how a library gives it.

    white: the value of white in floating-point images. sizes: "exact" refuses images of another size than the oracle's;
    "fitted" crops and resizes each, as the oracle's own photos are.
    """

    def __init__(self, capabilities: Capabilities, white: float, sizes: Sizes) -> None:
        if not (white > 0 and np.isfinite(white)):
            raise UsageError(f"white must be above 0, not {white}: 255 for grey levels, 1 for images of 0 to 1")
        if sizes not in ("exact", "fitted"):
            raise UnknownName("way with sizes", sizes, ("exact", "fitted"))
        self._capabilities, self._white, self._sizes = capabilities, white, sizes
        self._seen = self._warned = False

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of what is sent; None where the oracle takes any size."""
        return self._capabilities.view.size

    def fit(self, photo: Any) -> Image:
        """Return what is sent of a photo: a path, "sample:NAME" or an array (H, W, 3) in grey levels.

        Raises:
            BadImage: it cannot be used.
        """
        return fit(reading.load(photo), self._capabilities.view, self._capabilities.domain)[0]

    def images(self, batch: Any) -> Images:
        """Check a batch (n, h, w, 3) and return the images that are sent, made one by one.

        Raises:
            UsageError: its shape, type or range cannot be meant.
        """
        given = np.asarray(batch)
        self._check_shape(given)
        self._check_range(given)
        return PixelBatch(given, self)

    def sent(self, image: NDArray[Any]) -> Image:
        """Return one image as it is sent: on the oracle's domain, so mostly rounded to 8 bits and clipped."""
        domain = self._capabilities.domain
        if image.dtype == np.uint8 and domain == UINT8 and self._sizes == "exact":
            return image  # most images: nothing to round, and rounding takes longer than all else here
        levels = image.astype(np.float64) * (GREY_LEVELS / self._white)  # of integers white is 255: they stay
        if self._sizes == "fitted":
            return fit(UINT8.realise(levels), self._capabilities.view, domain)[0]
        return domain.realise(levels)

    def _check_shape(self, given: NDArray[Any]) -> None:
        if given.ndim != 4 or given.shape[3] != 3 or not given.size:
            raise UsageError(f"predict takes a batch (n, height, width, 3), not {given.shape}: {_advice(given.shape)}")
        if self._sizes == "exact" and self.size not in (None, given.shape[1:3]):
            name, (height, width) = self._capabilities.name, given.shape[1:3]
            message = "explain predict.fit(photo), or say sizes='fitted' to have each image cropped and resized"
            raise UsageError(f"{name} is sent images of {self.size}, and these are {(height, width)}: {message}")

    def _check_range(self, given: NDArray[Any]) -> None:
        if given.dtype.kind not in "uif":
            raise UsageError(f"images of {given.dtype} cannot be sent: give integers or floating-point numbers")
        if given.dtype.kind in "ui" and self._white != GREY_LEVELS:
            raise UsageError(f"integers are grey levels of 0 to 255, and white={self._white:g} is for floating point")
        low, high = float(given.min()) / self._white, float(given.max()) / self._white
        if not (np.isfinite(low) and np.isfinite(high)):
            raise UsageError("the images have NaN or infinite values: nothing can be sent for them")
        self._check_scale(given, low, high)
        if self._capabilities.domain == UINT8 or self._sizes == "fitted":
            self._warn_of_clipping(low, high)

    def _check_scale(self, given: NDArray[Any], low: float, high: float) -> None:
        """Refuse what is plainly on another scale: the first batch that is not black shows, later ones may be dark."""
        beyond = low < -1 or high > 2
        scale = other_scale(given, self._white) if beyond or not self._seen else None
        if scale is not None:
            runs = f"the images run from {low * self._white:.4g} to {high * self._white:.4g}"
            raise UsageError(f"{runs}, and white is {self._white:g}: {_mend(scale, given, self._white)}")
        self._seen = self._seen or max(-low, high) > 0

    def _warn_of_clipping(self, low: float, high: float) -> None:
        if self._warned or (low >= -HALF_A_LEVEL and high <= 1 + HALF_A_LEVEL):
            return
        self._warned = True
        message = f"images of {low * self._white:.4g} to {high * self._white:.4g} are clipped to 0 to {self._white:g}"
        warnings.warn(f"{message}: the oracle is not asked what the library means to ask", UserWarning, stacklevel=5)


def _mend(scale: Scale, given: NDArray[Any], white: float) -> str:
    if given.dtype.kind in "ui":
        return "they may have been of 0 to 1 before they became whole: give those, with white=1"
    instead = "" if white == 1 else " and say white=1"
    return {
        "unit": "if they are images of 0 to 1, say white=1",
        "signed": f"if they are of -1 to 1, give (x + 1) / 2{instead}; if normalised, undo that: x * std + mean",
        "normalised": f"undo their normalisation by mean and deviation, give x * std + mean{instead}",
        "unknown": "say which value is white, and undo any normalisation by mean and deviation: x * std + mean",
    }[scale]


def _advice(shape: tuple[int, ...]) -> str:
    if len(shape) == 3 and shape[2] == 3:
        return "give batch[None] for one image"
    if len(shape) == 4 and shape[1] == 3:
        return "put the channels last with batch.transpose(0, 2, 3, 1), or give a tensor to predict.torch"
    return "give RGB images, channels last"
