"""Textures that directions are made of."""

from __future__ import annotations

import numpy as np
import pytest

from bbquery.attacks._textures import aside, unit


def test_a_direction_aside_shares_nothing_with_the_way() -> None:
    """Its part along the way is gone, and its RMS is 1."""
    rng = np.random.default_rng(0)
    way = unit(rng.standard_normal((9, 7, 3)))
    direction = 3 * way + rng.standard_normal((9, 7, 3)).astype(np.float32)

    turned = aside(direction, way)

    assert np.mean(turned * way) == pytest.approx(0, abs=1e-6)
    assert np.mean(turned**2) == pytest.approx(1)
