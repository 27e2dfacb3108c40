"""Superpixels: regions of similar colour, whose borders follow those of the photo (Achanta et al., "SLIC", 2012)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbquery.errors import MissingExtra

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.types import Image


def superpixels(x: Image, wanted: int) -> NDArray[np.int64]:
    """Return labels (H, W) of about `wanted` connected regions of x (H, W, 3), 0, 1, 2 … without a gap.

    Raises:
        MissingExtra: scikit-image is not installed.
    """
    try:
        from skimage.segmentation import slic  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtra("superpixels", "cells that follow the photo's regions", "scikit-image") from error
    found = slic(np.asarray(x, dtype=np.float64) / 255, n_segments=wanted, start_label=0)
    _, labels = np.unique(found, return_inverse=True)
    return labels.reshape(found.shape).astype(np.int64)
