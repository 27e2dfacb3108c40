"""What cannot fit into a cap is refused before anything is asked; what fits is asked whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import bbquery
from bbquery.errors import UsageError
from oracles import function
from tests.support import models

if TYPE_CHECKING:
    from bbquery.ledger.ledger import Ledger

pytestmark = pytest.mark.slow

PHOTO = np.random.default_rng(0).integers(100, 200, (40, 40, 3), dtype=np.uint8)


@pytest.mark.parametrize("queries", [1, 2, 3, 7])
@pytest.mark.parametrize("method", ["designed", "rise", "lr", "bayes", "smoothgrad"])
@pytest.mark.parametrize("targets", [None, ["left", "right"]])
async def test_a_small_cap_is_refused_or_enough(
    queries: int, method: str, targets: list[str] | None, ledger: Ledger
) -> None:
    """Whatever the method and the number of targets, no run begins that its cap must end."""
    calls: list[int] = []

    def counted(image: bbquery.Image) -> list[float]:
        calls.append(1)
        return models.sides(image)

    oracle = function.connect(counted, classes="left|right")
    try:
        found = await bbquery.explain_async(
            PHOTO, oracle, method=method, max_queries=queries, target=targets, ledger=ledger
        )
    except UsageError as error:
        assert "raise max_queries" in str(error)  # noqa: PT017 - either is right
        assert not calls
        return
    assert not found.partial
    assert 1 <= len(calls) <= queries


async def test_targets_that_cannot_share_queries_share_the_cap(ledger: Ledger) -> None:
    """A method that adapts to answers asks each target's own queries, and all of them fit."""
    oracle = function.connect(models.sides, classes="left|right")

    found = await bbquery.explain_async(
        PHOTO, oracle, method="bayes", max_queries=41, verify=0, target=["left", "right"], ledger=ledger
    )

    assert [m.asked for m in found.maps] == [20, 20]
    assert not found.partial
    assert found.budget.posted.queries <= 41


async def test_what_does_not_fit_is_said_by_the_method_s_name_and_with_its_numbers(ledger: Ledger) -> None:
    """Not by how the method is made: one query, and one for the photo itself, are two."""
    oracle = function.connect(models.sides, classes="left|right")

    with pytest.raises(UsageError, match=r"^Designed asks 1 query, the unperturbed image one: 2; but at most 1 is all"):
        await bbquery.explain_async(PHOTO, oracle, max_queries=1, target="left", ledger=ledger)


async def test_two_targets_of_a_method_that_adapts_are_counted_before(ledger: Ledger) -> None:
    """A number of queries that fits once but not for each target is refused, with the sum."""
    oracle = function.connect(models.sides, classes="left|right")

    with pytest.raises(UsageError, match=r"for each of 2 targets.*81; but at most 60 are allowed"):
        await bbquery.explain_async(
            PHOTO, oracle, method="bayes:queries=40", max_queries=60, target=["left", "right"], ledger=ledger
        )
