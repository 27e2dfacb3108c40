"""Search along rays from the clean image: the smallest distance at which the label changes.

Distances are asked side by side, not by bisection: a yield is a barrier, so two rounds of many cost less time than ten
of one. The label need not change only once on a ray: the nearest distance that was asked and is adversarial counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbquery.attacks._record import rms
from bbquery.types import Decision

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bbquery.attacks._record import Record
    from bbquery.plan import Plan
    from bbquery.types import Domain

COARSE = (0.5, 0.7, 0.8, 0.88, 0.94, 0.98)
"""Shares of the distance to beat, denser near it: late gains are small."""
FINE = 8
"""Distances between the nearest adversarial of those and the one below it."""


def queries_for(rays: int) -> int:
    """Return how many rows a search on so many rays asks at most."""
    return rays * len(COARSE) + FINE


def search(
    record: Record, domain: Domain, x: NDArray[np.float64], rays: Sequence[NDArray[np.float64]], distance: float
) -> Plan[None]:
    """Look for adversarial points nearer to x (H, W, 3) than `distance`, in grey levels RMS; `record` keeps them.

    rays: directions of any length, (H, W, 3). Points are rounded and clipped as the domain does.
    """
    units = [ray / rms(ray) for ray in rays]
    shares = np.array(COARSE)
    coarse = [x + distance * share * unit for unit in units for share in shares]
    adversarial = (yield from _adversarial(record, domain, coarse)).reshape(len(units), len(shares))
    if not adversarial.any():
        return
    first = np.where(adversarial.any(axis=1), adversarial.argmax(axis=1), len(shares))
    unit, at = units[int(first.argmin())], int(first.min())
    between = np.linspace(shares[at - 1] if at else 0.0, shares[at], FINE + 2)[1:-1]
    yield from _adversarial(record, domain, [x + distance * share * unit for share in between])


def _adversarial(record: Record, domain: Domain, points: Sequence[NDArray[np.float64]]) -> Plan[NDArray[np.bool_]]:
    scores = yield from record.ask(np.stack([domain.realise(point) for point in points]))
    return np.equal(scores.decision, Decision.NOT_MET)
