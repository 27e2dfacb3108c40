"""Models that anyone can check by hand, and how often they were called."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from oracles import function

if TYPE_CHECKING:
    from bbquery.oracle import Oracle
    from bbquery.types import Image


def sides(image: Image) -> list[float]:
    """Return the shares of brightness in the left and the right half."""
    left, right = float(image[:, : image.shape[1] // 2].mean()), float(image[:, image.shape[1] // 2 :].mean())
    return [left / (left + right), right / (left + right)] if left + right else [0.5, 0.5]


def corner(image: Image) -> list[float]:
    """Return how bright the top left quarter is, and the rest to 1; no other pixel counts."""
    bright = float(image[: image.shape[0] // 2, : image.shape[1] // 2].mean()) / 255
    return [bright, 1 - bright]


class Counted:
    """A model that keeps the images it was shown."""

    def __init__(self, call: Any = sides) -> None:
        self.call, self.shown = call, list[Any]()
        self._lock = threading.Lock()

    def __call__(self, image: Image) -> Any:
        """Answer as the model does."""
        with self._lock:
            self.shown.append(image.copy())
        return self.call(image)


def oracle(call: Any = sides, **options: Any) -> Oracle:
    """Wrap a model; its answers are kept under version 1."""
    named = {} if options.get("answers") in ("labels", "text") else {"classes": "left|right"}
    return function.connect(call, **(named | {"version": "1"} | options))


def images(n: int, *, seed: int = 0, shape: tuple[int, int] = (8, 12)) -> np.ndarray:
    """Return n distinct images (n, h, w, 3), uint8."""
    return np.random.default_rng(seed).integers(0, 256, (n, *shape, 3), dtype=np.uint8)


def by_hand(batch: np.ndarray) -> np.ndarray:
    """Return what `sides` says of each image."""
    return np.array([sides(image) for image in batch])
