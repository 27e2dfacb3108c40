"""The boundary between the clean label and others: where a path crosses it, and by how much rounding blurs it.

Pixels that travel are whole grey levels. A probe that changes no value by half a level is the same image again, and one
of less than a level RMS is mostly rounding error: its cosine with what was meant is .77 at half a level, .92 at one.
So an attack that is aware of it (`eight_bit`) probes by at least one level.

The boundary is looked for much more closely. A probe of one level in a random direction goes only 1 / √d levels towards
the boundary (d values: .0026 at 224 × 224), so from a point half a level beyond it nearly all probes find the same
label. And images are not equal as soon as points are that near: of two points on a path a hundredth of a level apart,
one value in a hundred rounds to another level. Nearer than that, bisection would mostly compare equal images.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbquery.attacks._record import GREY_LEVELS, rms

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bbquery.attacks._record import Record
    from bbquery.plan import Plan

LEAST_PROBE = 1.0  # grey levels RMS
FINEST = 0.01  # grey levels RMS


def is_aware(record: Record, *, eight_bit: bool) -> bool:
    """Return whether an attack takes rounding into account: where it is asked to, and pixels are rounded."""
    return eight_bit and record.domain.dtype == "uint8"


def probe(published: float, *, eight_bit: bool) -> float:
    """Return the size of a probe, in grey levels RMS: as published, or at least one level."""
    return max(published, LEAST_PROBE) if eight_bit else published


def tolerance(published: float, *, eight_bit: bool) -> float:
    """Return how closely the boundary is looked for, in grey levels RMS: as published, or to a hundredth of one."""
    return max(published, FINEST) if eight_bit else published


def bisect(
    record: Record,
    path: Callable[[float], NDArray[np.floating]],
    low: float,
    high: float,
    within: float,
) -> Plan[float]:
    """Return where a path turns adversarial: the end of the last interval that is known to be.

    path: gives the point (H, W, 3) at a place. low: a place that is not adversarial. high: one that is. within: the
    length of the interval at which to stop.
    """
    while abs(high - low) > within:
        middle = (low + high) / 2
        if (yield from record.is_adversarial(path(middle))):
            high = middle
        else:
            low = middle
    return high


def straight(record: Record, far: NDArray[np.float64], within: float) -> Plan[NDArray[np.float64]]:
    """Return where the line from the clean image to an adversarial point (H, W, 3) crosses the boundary.

    within: how closely it is looked for, in grey levels RMS.
    """
    outwards = np.clip(far, 0, GREY_LEVELS) - record.x
    distance = rms(outwards)
    if distance == 0:
        return record.x
    share = yield from bisect(record, lambda share: record.x + share * outwards, 0.0, 1.0, within / distance)
    return record.x + share * outwards
