"""Relative detail of a photo: how far pixels are from their blur, compared with their surroundings.

Masks of cells tell what a place does to a score, and nothing of which of its pixels do it. What networks look at is
mostly what stands out from a blur; docs/designed.md has figures, for deletion and insertion by three fillings. So the
effect of a place is shared out among its pixels by their detail. It is compared with that of the surroundings only, so
that a place with much detail gains nothing over one with little: how places compare is for the answers to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbquery.perturb.baselines import AT_SIDE, blurred
from bbquery.perturb.resizing import averaged, enlarged

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.types import Image

FINE = 5.0  # pixels at a shorter side of 224: the standard deviation of the blur that takes detail away
AROUND = 11.0  # and of the surroundings
EVEN = 2.0  # mean detail that every pixel is given besides its own, so that flat ones count as well
ROUNDING = 0.5  # grey levels that it is given in any case: what is less is no detail


def relative_detail(x: Image) -> NDArray[np.float64]:
    """Return the detail of x (H, W, 3) in grey levels, beside that of the surroundings: (H, W), above 0, about 1.

    It is 1 where a photo is as flat, or as rough, as all about it. A photo whose shorter side has more than 224 pixels
    is looked at as if it had 224.
    """
    height, width = x.shape[:2]
    scale = min(1.0, AT_SIDE / min(height, width))
    small = averaged(x, round(scale * height), round(scale * width))
    return enlarged(_beside_surroundings(small), height, width)[..., 0]


def _beside_surroundings(x: NDArray[np.float64]) -> NDArray[np.float64]:
    share = min(x.shape[:2]) / AT_SIDE
    detail = np.abs(x - blurred(x, max(1.0, FINE * share))).mean(axis=-1, keepdims=True)
    detail += EVEN * detail.mean() + ROUNDING
    around = blurred(detail, max(1.0, AROUND * share))
    return np.asarray(detail / around)
