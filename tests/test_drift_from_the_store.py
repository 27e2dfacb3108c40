"""Checks beside stored answers: they see the model as it is now, and a run that is resumed pays for no more of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bbquery
from bbquery import load
from bbquery.client.client import Client
from bbquery.drift import DriftWatch, sample_to_ask
from bbquery.ledger.records import Cap
from bbquery.plan import Ask
from bbquery.types import Reply, Vector
from tests.support.oracles import FakeOracle, brightness

if TYPE_CHECKING:
    from collections.abc import Callable

    from bbquery.ledger.ledger import Ledger
    from bbquery.types import Answer

PHOTO = np.full((8, 8, 3), 200, np.uint8)
OURS, OTHERS = 1, 2  # budgets
PAYERS = st.sampled_from((None, OURS, OTHERS))


class Broken(Exception):
    """What ends a run."""


def answered(change: Callable[[int, Vector], Answer]) -> FakeOracle:
    """Answer by brightness, changed by how many images were answered before."""
    count = iter(range(10**6))
    return FakeOracle(remote=True, reply=lambda image: Reply(change(next(count), brightness(image))))


def steady(_: int, answer: Vector) -> Vector:
    return answer


def darker(answer: Vector) -> Vector:
    return Vector(np.clip(answer.values + np.array([-0.1, 0.1]), 0, 1))


def explain(oracle: FakeOracle, ledger: Ledger, **options: Any) -> bbquery.Explanation:
    chosen: dict[str, Any] = {"target": "bright", "max_queries": 130, "drift_every": 40, "method": "rise"}
    return bbquery.explain(PHOTO, oracle, **(chosen | {"ledger": ledger} | options))


def test_a_model_that_changes_during_a_second_method_is_noticed(ledger: Ledger) -> None:
    """The first method's checks of the same photo are stored, and say nothing of the model as it is now."""
    explain(answered(steady), ledger)

    second = explain(answered(lambda n, a: darker(a) if n >= 60 else a), ledger, method="orthogonal")

    assert second.drift.drifted
    assert second.drift.watched


def test_a_model_that_changes_between_two_methods_is_noticed(ledger: Ledger) -> None:
    """The first answers are stored; the second method's own checks differ from them."""
    explain(answered(steady), ledger)

    assert explain(answered(lambda _, a: darker(a)), ledger, method="orthogonal").drift.drifted


@pytest.mark.parametrize("ends", [2, 5, 45, 90, 98])
def test_a_run_that_is_resumed_is_watched_to_its_end_and_pays_for_no_more_checks(ledger: Ledger, ends: int) -> None:
    """Wherever the first run ended: the second one sees the model after its last answer, within what was planned."""

    def breaks(number: int, answer: Vector) -> Vector:
        if number >= ends:
            raise Broken
        return answer

    first = explain(answered(breaks), ledger)
    second = explain(answered(steady), ledger)
    third = explain(answered(steady), ledger)

    assert first.partial
    assert not second.partial
    assert second.drift.watched
    assert second.budget.posted.queries <= 130
    assert third.queries.sent == 0


def test_a_run_that_is_broken_off_was_not_watched_to_its_end(ledger: Ledger) -> None:
    """No check came after its last answers, and it does not say so."""

    def breaks(number: int, answer: Vector) -> Vector:
        if number >= 20:
            raise Broken
        return answer

    assert not explain(answered(breaks), ledger).drift.watched


async def test_a_stored_check_does_not_watch_what_was_sent_after_it(ledger: Ledger) -> None:
    """Where all checks that were set aside are paid for, an earlier one stands in, and the report says so."""
    oracle = answered(steady)
    budget = ledger.open_budget("ours", Cap())
    reports = []

    for other in (100, 50):  # the second run asks something else within the same budget
        async with Client(oracle, ledger, budget) as client:
            ((first,),) = await client.ask(Ask(PHOTO[None]))
            assert first is not None
            score = load.score("soft").bind(first.answer, "bright", oracle.capabilities.classes)
            watch = DriftWatch(PHOTO, first, score, 1000, queries=2)
            await watch.start(client)
            await client.ask(Ask(np.full_like(PHOTO, other)[None]))
            reports.append(await watch.end(client))

    assert [len(report.checks) for report in reports] == [4, 4]
    assert [report.watched for report in reports] == [True, False]


@given(
    stored=st.dictionaries(st.integers(1, 30), PAYERS), first=st.integers(1, 20), most=st.none() | st.integers(0, 12),
    anew=st.booleans(),
)  # fmt: skip
def test_a_check_is_new_where_it_must_be_and_paid_within_what_is_set_aside(
    stored: dict[int, int | None], first: int, most: int | None, anew: bool
) -> None:
    """Where the model must be seen as it is, only a spent allowance makes a stored answer do, or none."""
    paid = sum(payer == OURS for payer in stored.values())

    sample = sample_to_ask(stored, first, OURS, most, anew=anew)

    assert sample is None or sample >= first
    if not anew:
        assert sample is not None
        assert sample in stored or sample == first
    elif most is None or paid < most:
        assert sample not in stored
    else:
        assert sample is None or stored[sample] in (None, OURS)


def test_many_stored_samples_are_passed_over(ledger: Ledger) -> None:
    """A photo that was asked three hundred times before has another sample for a check."""

    async def ask_often() -> None:
        async with Client(answered(steady), ledger, ledger.open_budget("others", Cap())) as client:
            await client.ask(Ask(PHOTO[None], repeat=300))

    asyncio.run(ask_often())

    assert explain(answered(lambda _, a: darker(a)), ledger).drift.drifted
