"""Leases of a provider's time: how they follow one another, and what processes learn from each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbquery.ledger.ledger import Ledger
from bbquery.ledger.rates import CREDIT, LONGEST_PAUSE, REMEMBERED, Rate

if TYPE_CHECKING:
    from bbquery.ledger.places import Place

NOTHING = (None, None)
stretches = st.lists(st.tuples(st.floats(0, 30), st.floats(0.001, 20)), max_size=40)


def leased(line: Rate, seconds: float) -> tuple[float, Rate]:
    return line.begin(), line.leased(seconds)


# --- the arithmetic, in virtual time ---


@given(stretches)
def test_leases_never_overlap_and_none_begins_before_it_is_taken(asked: list[tuple[float, float]]) -> None:
    """Whoever asks, and whenever: each lease begins where the last one ended, or just before now if that is later."""
    now, end, line = 0.0, -1e9, Rate(0.0, 0.0, 0.0)
    for passed, seconds in asked:
        now += passed
        begin, line = leased(line.at(now), seconds)

        assert begin >= end
        assert begin >= now - CREDIT
        assert begin == pytest.approx(max(end, now - CREDIT, 0.0))
        end = begin + seconds


@given(stretches, st.floats(0, 30), st.floats(0, 30))
def test_who_dies_holding_a_lease_costs_the_others_that_lease_and_no_more(
    asked: list[tuple[float, float]], passed: float, lost: float
) -> None:
    """Nobody has to notice it: the next lease begins no later than after the one that was lost."""
    now, line = 0.0, Rate(0.0, 0.0, 0.0)
    for waited, seconds in asked:
        now += waited
        line = line.at(now).leased(seconds)
    alone = line.at(now + passed).begin()

    assert line.at(now).leased(lost).at(now + passed).begin() <= alone + lost + 1e-9


@given(st.floats(0, 1000), st.floats(0, 100), st.floats(0, 50))
def test_a_clock_that_is_set_back_holds_nobody_up(back: float, taken: float, pause: float) -> None:
    """What was leased or paused for so many seconds is so still, whatever the hour is called."""
    line = Rate(0.0, 0.0, 0.0).at(1e6).leased(taken).pausing(pause)

    after = line.at(1e6 - back)

    assert after.begin() - after.seen == pytest.approx(line.begin() - line.seen, abs=1e-6)
    assert after.paused == pytest.approx(line.paused, abs=1e-6)


def test_a_quota_holds_up_whoever_met_it_and_the_others_for_a_minute() -> None:
    """A wait until tomorrow is no rate limit: others ask for themselves, since their account may be another by then."""
    line = Rate(0.0, 0.0, 0.0).at(100.0).pausing(86_400.0)

    assert line.paused == LONGEST_PAUSE
    assert line.pausing(1.0).paused == LONGEST_PAUSE


def test_limits_are_known_for_a_while() -> None:
    """What was stated is taken over by others until it may have changed; what is not stated stays."""
    line = Rate(0.0, 0.0, 0.0).at(100.0).stating(60, None).stating(None, 900)

    assert line.limits == (60, 900)
    assert line.stating(None, None) == line
    assert line.at(100.0 + REMEMBERED).limits == NOTHING
    assert line.at(100.0 + REMEMBERED).stating(30, None).limits == (30, None)


# --- in a ledger: the same in a file and on a server ---


async def test_two_processes_lease_one_after_the_other(place: Place) -> None:
    """The second lease begins where the first ends, by the database's clock; another provider is another line."""
    with Ledger(place) as one, Ledger(place) as other:
        first = await one.lease("vendor", 100.0, NOTHING)
        second = await other.lease("vendor", 5.0, NOTHING)
        elsewhere = await other.lease("another", 5.0, NOTHING)
        third = await one.lease("vendor", 5.0, NOTHING)

    assert first == elsewhere == 0
    assert 70 < second <= 100
    assert 75 < third <= 105


async def test_what_one_is_told_the_others_know(place: Place) -> None:
    """Limits and pauses that a provider states to one process are there for all; nothing starts in a pause."""
    with Ledger(place) as one, Ledger(place) as other:
        nothing = other.rate("vendor")
        await one.lease("vendor", 0.0, (600, 9000))
        one.announce_pause("vendor", 50.0)
        begins = await one.lease("vendor", 1.0, NOTHING)
        known = other.rate("vendor")

    assert (nothing.limits, nothing.paused) == (NOTHING, 0)
    assert known.limits == (600, 9000)
    assert 20 < known.paused <= 50
    assert begins == pytest.approx(known.paused, abs=20)


async def test_who_has_company_knows(place: Place) -> None:
    """A second process on a ledger is noticed; on a server one always may be there."""
    with Ledger(place) as one:
        alone = one.shares_rates()
        with Ledger(place):
            together = one.shares_rates()

        assert together
        assert alone == one.shares_rates() == str(place).startswith("postgresql:")
