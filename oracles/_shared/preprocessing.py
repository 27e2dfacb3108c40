"""From grey levels to the numbers that a network takes: (x * scale - mean) / std for each channel, in its layout."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from bbquery.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.types import Image

Numbers: TypeAlias = str | float | Sequence[float]
"""One number for all channels or one for each, red first; in a string separated by "|"."""

Channels: TypeAlias = Literal["RGB", "BGR"]
Layout: TypeAlias = Literal["NCHW", "NHWC"]

UNIT = "1/255"
"""The scale that takes grey levels to 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How pixels become numbers.

    divisor: of the grey levels, 1 / scale. mean and std: of the scaled levels, red first. layout: without its N, since
    images are prepared one by one. dtype: NumPy's name of the numbers' type; they are computed in float32 at least.
    """

    divisor: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    channels: Channels
    layout: Layout
    dtype: str

    def __call__(self, pixels: Image) -> NDArray[Any]:
        """Return the numbers of uint8 RGB pixels (H, W, 3): (H, W, 3) or (3, H, W), contiguous."""
        exact = np.promote_types(np.float32, self.dtype)
        # divided, subtracted and divided in this order, since the last bit depends on it, as torchvision does
        numbers = pixels.astype(exact) / exact.type(self.divisor)
        numbers = (numbers - np.array(self.mean, exact)) / np.array(self.std, exact)
        ordered = numbers if self.channels == "RGB" else numbers[..., ::-1]
        laid = ordered if self.layout == "NHWC" else np.moveaxis(ordered, -1, 0)
        return np.ascontiguousarray(laid, dtype=self.dtype)

    def __str__(self) -> str:
        return f"(x / {self.divisor!r} - {self.mean}) / {self.std}, {self.channels}, {self.layout}, {self.dtype}"


def preprocessing(
    *, scale: str | float, mean: Numbers, std: Numbers, channels: Channels, layout: Layout, dtype: str
) -> Preprocessing:
    """Return the preprocessing that options ask for. scale: a number or a fraction such as "1/255".

    Raises:
        UsageError: an option is no number, a scale or deviation is not above 0, or whole numbers would be altered.
    """
    made = Preprocessing(
        divisor=_divisor(scale),
        mean=_three("mean", mean),
        std=_three("std", std),
        channels=channels,
        layout=layout,
        dtype=dtype,
    )
    if min(made.std) <= 0:
        raise UsageError(f"std must be above 0, not {std}")
    altered = (made.divisor, made.mean, made.std) != (1.0, (0.0,) * 3, (1.0,) * 3)
    if altered and not np.issubdtype(dtype, np.floating):
        raise UsageError(f"the numbers are {dtype}, so grey levels are sent as they are: leave out scale, mean and std")
    return made


def _divisor(scale: str | float) -> float:
    try:
        exact = Fraction(str(scale))
        divisor = float(1 / exact)
    except (ValueError, ZeroDivisionError, OverflowError):
        raise UsageError(f"scale must be a number or a fraction such as {UNIT}, not {scale!r}") from None
    if divisor <= 0:
        raise UsageError(f"scale must be above 0, not {scale}")
    return divisor


def _three(option: str, numbers: Numbers) -> tuple[float, float, float]:
    listed = [numbers] if isinstance(numbers, int | float) else numbers
    parts: Sequence[Any] = listed.split("|") if isinstance(listed, str) else listed
    try:
        values = [float(part) for part in parts]
    except (TypeError, ValueError):
        values = []
    if len(values) not in (1, 3) or not all(map(math.isfinite, values)):
        raise UsageError(f'{option} must be one number, or three (red, green, blue) separated by "|", not {numbers!r}')
    red, green, blue = values * (3 // len(values))
    return red, green, blue
