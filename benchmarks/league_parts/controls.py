"""Controls of the part "photos": maps that know nothing of the answers, and maps that are made finer by nothing.

What is gained by them is not evidence about the network: deletion at the scale of pixels is partly scatter, and fine
structure of the photo moves insertion whatever was answered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bbquery.saliency._detail import relative_detail

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bbquery.types import Image

TEXTURE = 0x7E87  # seed of the texture, one for all photos
RANDOM, DETAIL = "random order", "detail alone"


class Changed(NamedTuple):
    """A map of a method that is changed without an answer more."""

    method: str
    changed: Callable[[NDArray[np.float64]], NDArray[np.float64]]


def random_order(x: Image, seed: int) -> NDArray[np.float64]:
    """Return a map (H, W) that is drawn, pixel by pixel."""
    return np.random.default_rng(seed).random(x.shape[:2])


def detail_alone(x: Image, seed: int) -> NDArray[np.float64]:  # noqa: ARG001 - one signature
    """Return how far each pixel is from its blur: what `designed` with detail would make of a constant map."""
    return relative_detail(x)


def textured(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a map times a texture that knows neither photo nor answers: uniform in 0 to 2, pixel by pixel."""
    found: NDArray[np.float64] = values * np.random.default_rng(TEXTURE).uniform(0, 2, values.shape)
    return found


ASK_NOTHING: dict[str, Callable[[Image, int], NDArray[np.float64]]] = {
    RANDOM: random_order,
    DETAIL: detail_alone,
}
OF_MAPS = {"designed, without detail, times a random texture": Changed("designed, without detail", textured)}
