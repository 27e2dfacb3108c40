"""Refusals are counted against what could be seen."""

from __future__ import annotations

import numpy as np

from bbquery.perturb.visibility import VisibilityCount
from bbquery.types import Visibility


def test_refusals_are_counted_by_visible_share() -> None:
    """Ranges are a tenth wide, all visible belongs to the last, and ranges without a copy are left out."""
    count = VisibilityCount()

    count.add(np.array([0.0, 0.04, 0.45, 1.0]), np.array([1, 0, 2, 0]))
    count.add(np.array([0.99]), np.array([1]))

    assert count.ranges() == (Visibility(0.05, 2, 1), Visibility(0.45, 1, 0), Visibility(0.95, 2, 1))
