"""An oracle around a plain function, its images, and what it answers, for tests of predict_fn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from oracles import function
from tests.support.images import tiny_images
from tests.support.models import sides

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.oracle import Oracle


def oracle(call: Any = sides, **options: Any) -> Oracle:
    """Wrap a model; its answers are kept under version 1."""
    named = {} if options.get("answers") in ("labels", "text") else {"classes": "left|right"}
    return function.connect(call, **(named | {"version": "1"} | options))


def images(n: int, *, seed: int = 0, shape: tuple[int, int] = (8, 12)) -> NDArray[np.uint8]:
    """Return n distinct images (n, h, w, 3)."""
    return tiny_images(n, side=shape[0], width=shape[1], seed=seed)


def by_hand(batch: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return what `sides` says of each image."""
    return np.array([sides(image) for image in batch])
