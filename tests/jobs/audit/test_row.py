"""Rows of an audit: plain, small, and the same after a file."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bbquery.jobs.audit.row import AttackRow, MapRow, Row
from bbquery.jobs.intervals import UNBOUNDED
from bbquery.units import Units


def _attack(rmse: float | None, outcome: str = "adversarial") -> AttackRow:
    return AttackRow(
        attack="lr_boundary", outcome=outcome, rmse=rmse, linf=rmse, became="dog", votes=5, asked=5, queries=100
    )


def _row(**values: object) -> Row:
    return Row(photo="a", source="a.jpg", oracle="own", identity="1", status="complete", **values)  # type: ignore[arg-type] # of the row


def _map(fidelity: float | None, bounds: tuple[float, float] | None = None) -> MapRow:
    return MapRow(
        target="cat", method="rise", unit="u", stamp="", verdict="v", fidelity=fidelity, bounds=bounds,
        grid=((1.0, None), (0.5, 0.0)),
    )  # fmt: skip


def test_a_row_is_the_same_after_it_was_written_and_read() -> None:
    """A row holds nothing that JSON cannot, so an audit goes on from its files alone."""
    row = _row(maps=(_map(0.2),), attacks=(_attack(0.01),), posted=Units(3, 2, 1), kinds={"refused": 2}, right=True)

    assert msgspec.json.decode(msgspec.json.encode(row), type=Row) == row


@pytest.mark.parametrize(
    ("known", "changed"),
    [
        ({"drifted": None, "queries": 9}, None),
        ({"drifted": False, "queries": 9}, False),
        ({"drifted": False, "queries": 9, "unwatched": True}, None),
        ({"drifted": False, "from_store": 9}, None),
        ({"drifted": True, "from_store": 9, "unwatched": True}, True),
    ],
)
def test_that_a_model_stayed_the_same_is_known_only_where_its_last_answer_was_watched(
    known: dict[str, Any], changed: bool | None
) -> None:
    """Nobody says "no change" of stored answers or of those that no check followed; a change that was seen stays."""
    assert _row(**known).changed is changed


def test_a_photo_withstands_a_distance_unless_a_verified_image_lies_within_it() -> None:
    """Robustness is counted over attacks that ended; a photo that none attacked tells nothing."""
    found = _row(attacks=(_attack(0.02), _attack(None, "not found")))

    assert (found.robust(0.05), found.robust(0.01)) == (False, True)
    assert _row(attacks=(_attack(None, "not attacked"),)).robust(0.05) is None


def test_the_fidelity_of_a_photo_is_the_mean_of_maps_that_were_measured() -> None:
    """A map whose curves are not whole counts for nothing, not for zero."""
    assert _row(maps=(_map(0.2), _map(0.4), _map(None))).fidelity == (0.2 + 0.4) / 2
    assert _row(maps=(_map(None),)).fidelity is None


def test_a_fidelity_has_the_bounds_of_its_maps_and_none_where_one_has_none() -> None:
    """Maps of unlike scores have the wider bounds; a map without a fidelity counts for nothing."""
    probability, cosine = _map(0.2, (-1.0, 1.0)), _map(0.2, (-2.0, 2.0))

    assert _row(maps=(probability, cosine, _map(None))).fidelity_bounds == (-2.0, 2.0)
    assert _row(maps=(probability, _map(0.2))).fidelity_bounds == UNBOUNDED
