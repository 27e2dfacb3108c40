"""Standing on a boundary and moving on the circle through it and the clean photo."""

from __future__ import annotations

import numpy as np
import pytest

from bbquery.attacks._arc import Position
from bbquery.attacks._record import Record
from bbquery.plan import Ask, Plan, replay
from bbquery.types import UINT8, Decision, Scores

ALL_ADVERSARIAL = Decision.NOT_MET


def everything(ask: Ask) -> Scores:
    rows = len(ask.images)
    return Scores(np.full(rows, ALL_ADVERSARIAL, np.int8), np.zeros(rows))


@pytest.mark.parametrize("angle", [0.9, 1.25])
@pytest.mark.parametrize("along", [False, True])
def test_a_way_never_turns_round(angle: float, along: bool) -> None:
    """Where every point is adversarial, whatever was reached lies on the way's own side: its radius stays positive."""
    rng = np.random.default_rng(0)
    photo = np.full((16, 16, 3), 128, np.uint8)
    position = Position(Record(photo, UINT8, 100), rng.standard_normal(photo.shape).astype(np.float32), 60.0)
    direction = rng.standard_normal(photo.shape).astype(np.float32)

    def moves() -> Plan[None]:
        move = position.along if along else position.either_side
        yield from move(direction, angle)

    replay(moves(), everything)

    assert 0 < position.radius < 60
