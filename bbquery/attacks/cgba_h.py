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

    queries: asked at most. probes: noisy copies that the first estimate of the normal asks; later ones ask more.
    reduction: the shorter side of the photo over the number of waves along each side that noise is made of, at least 1.
    search: line, from the normal back to the boundary point, or semicircle, as `cgba`. eight_bit: probe by at least a
    grey level, and bisect no more finely than rounding allows; else as published.
    """

    search: Search = "line"


ATTACK = CgbaH
