"""Where a decision-based attack begins: at an image that is adversarial already, however far away.

The image that a person gives is asked first. Else uniform noise is asked until the label changes, and then blended
with the clean image as little as necessary (Brendel et al., "Decision-Based Adversarial Attacks", 2018; Chen et al.,
"HopSkipJumpAttack", 2020, bisect the blend).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbquery.attacks._boundary import bisect
from bbquery.attacks._record import GREY_LEVELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.attacks._record import Record
    from bbquery.plan import Plan
    from bbquery.types import Image

BLEND = 0.001  # of the way from the clean image to the noise, as published

START = 0x57A27
"""Beside the seed, what the noise is drawn from."""


def begin(record: Record, seed: int, start: Image | None) -> Plan[NDArray[np.float64]]:
    """Return an adversarial image, float64 (H, W, 3): the one that is given if it is one, else blended noise.

    Where no noise is adversarial, all queries are spent on it: there is no other way to begin.
    """
    if start is not None and (yield from record.is_adversarial(start)):
        return record.pixels(start).astype(np.float64)
    rng = np.random.default_rng((START, seed))
    while True:
        noise = rng.uniform(0, GREY_LEVELS, record.x.shape)
        if (yield from record.is_adversarial(noise)):
            break
    share = yield from bisect(record, lambda share: (1 - share) * record.x + share * noise, 0.0, 1.0, BLEND)
    return record.pixels((1 - share) * record.x + share * noise).astype(np.float64)
