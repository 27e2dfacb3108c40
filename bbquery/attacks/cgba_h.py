"""CGBA-H: CGBA's plane, searched from the normal back to the boundary point (Reza et al., 2023).

Reza et al., "CGBA: Curvature-aware Geometric Black-box Attack", ICCV 2023: where the boundary is strongly curved, as
that of one target class mostly is, most of the semicircle is not adversarial. So the angle between boundary point and
normal, seen from the clean image, is halved until the semicircle's point there is adversarial, and the straight line
from the clean image to it is bisected. All else is as in `cgba`.
"""

from __future__ import annotations

from dataclasses import dataclass

from bbquery.attacks.cgba import Cgba, Search


@dataclass(frozen=True, kw_only=True)
class CgbaH(Cgba):
    """Look for the nearest image whose label changes (RMSE), by CGBA's plane, searched on a line.

    Args:
        queries: images to ask at most; at least 1.
        probes: noisy copies that the first estimate of the normal asks; later ones ask more; at least 1.
        reduction: shorter side of the photo over the number of waves along each side that noise is made of; at
            least 1.
        search: on the line from the normal back to the boundary point, or along the semicircle, as `cgba`.
        eight_bit: whether probes and moves are of at least a grey level, and bisection is no finer than
            rounding allows; false is as published, which float pixels always get.
    """

    search: Search = "line"


ATTACK = CgbaH
