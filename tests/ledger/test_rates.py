"""Leases of a provider's time: how they follow one another, and what processes learn from each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbquery.ledger.ledger import Ledger
from bbquery.ledger.rates import CREDIT, DRY, IN_TURN, LONGEST_PAUSE, NEAR, REMEMBERED, Answer, Rate, Wish

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
    now, end, line = 0.0, -1e9, Rate(0.0, 0.0, 0.0, 0.0)
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
    now, line = 0.0, Rate(0.0, 0.0, 0.0, 0.0)
    for waited, seconds in asked:
        now += waited
        line = line.at(now).leased(seconds)
    alone = line.at(now + passed).begin()

    assert line.at(now).leased(lost).at(now + passed).begin() <= alone + lost + 1e-9


wishes = st.tuples(
    st.floats(0, 5), st.floats(0.001, 1), st.none() | st.floats(-100, 100), st.sampled_from([0.0, 0.0, 0.0, 20.0])
)


@given(st.lists(wishes, max_size=60))
def test_a_line_ends_soon_whoever_asks(asked: list[tuple[float, float, float | None, float]]) -> None:
    """It ends at most `IN_TURN` seconds and one lease from now, however many ask, in turn or not, and in pauses too."""
    line = Rate(0.0, 0.0, 0.0, 0.0)
    for passed, seconds, place, pause in asked:
        line, answer = line.at(line.seen + passed).pausing(pause).asked(Wish(seconds, seconds, place))

        assert line.leased_until - line.seen <= IN_TURN + 1
        assert not answer.is_leased or -CREDIT - 1e-9 <= answer.seconds <= IN_TURN
        assert answer.is_leased or answer.seconds > 0 or answer.dry > 0


def test_who_is_refused_has_a_place_in_order() -> None:
    """Each place comes up when those before it have had their leases; who comes in turn goes before who comes anew."""
    line = Rate(110.0, 0.0, 0.0, 100.0)
    line, first = line.asked(Wish(1.0, 1.0))
    line, second = line.asked(Wish(1.0, 3.0))
    line, third = line.asked(Wish(1.0, 1.0))
    line = line.at(100.0 + first.seconds)
    _, anew = line.asked(Wish(1.0, 1.0))
    _, in_turn = line.asked(Wish(1.0, 1.0, place=0.0))

    assert [first.seconds, second.seconds, third.seconds] == [10 - NEAR, 11 - NEAR, 14 - NEAR]
    assert first.dry == 10 - DRY
    assert anew == Answer(False, 15 - first.seconds - NEAR, NEAR - DRY)
    assert in_turn == Answer(True, NEAR)


def test_who_finds_the_line_dry_goes_first() -> None:
    """A place binds nobody: where those before do not come, whoever asks is next; who asks too early keeps its."""
    line = Rate(104.0, 0.0, 0.0, 100.0)
    for _ in range(50):
        line, last = line.asked(Wish(1.0, 1.0))
    early, refused = line.at(102.9).asked(Wish(1.0, 1.0, place=last.seconds - 2.9))
    _, granted = line.at(103.0).asked(Wish(1.0, 1.0, place=last.seconds - 3.0))

    assert refused.seconds == last.seconds - 2.9
    assert early == line.at(102.9)
    assert granted == Answer(True, 1.0)


@given(st.floats(0, 1000), st.floats(0, 100), st.floats(0, 50))
def test_a_clock_that_is_set_back_holds_nobody_up(back: float, taken: float, pause: float) -> None:
    """What was leased or paused for so many seconds is so still, whatever the hour is called."""
    line = Rate(0.0, 0.0, 0.0, 0.0).at(1e6).leased(taken).pausing(pause)

    after = line.at(1e6 - back)

    assert after.begin() - after.seen == pytest.approx(line.begin() - line.seen, abs=1e-6)
    assert after.paused == pytest.approx(line.paused, abs=1e-6)


def test_a_quota_holds_up_whoever_met_it_and_the_others_for_a_minute() -> None:
    """A wait until tomorrow is no rate limit: others ask for themselves, since their account may be another by then."""
    line = Rate(0.0, 0.0, 0.0, 0.0).at(100.0).pausing(86_400.0)

    assert line.paused == LONGEST_PAUSE
    assert line.pausing(1.0).paused == LONGEST_PAUSE


def test_limits_are_known_for_a_while() -> None:
    """What was stated is taken over by others until it may have changed; what is not stated stays."""
    line = Rate(0.0, 0.0, 0.0, 0.0).at(100.0).told(60, None).told(None, 900)

    assert line.limits == (60, 900)
    assert line.told(None, None) == line
    assert line.at(100.0 + REMEMBERED).limits == NOTHING
    assert line.at(100.0 + REMEMBERED).told(30, None).limits == (30, None)
    assert line.at(100.0 + REMEMBERED).told(None, None).limits == NOTHING


def test_that_a_provider_states_no_limits_is_known_for_a_while() -> None:
    """Silence is an answer too: others need not find out for themselves."""
    line = Rate(0.0, 0.0, 0.0, 0.0).at(100.0)
    told = line.told(None, None)

    assert (line.is_told, told.is_told, told.at(100.0 + REMEMBERED).is_told) == (False, True, False)


# --- in a ledger: the same in a file and on a server ---


async def test_two_processes_lease_one_after_the_other(place: Place) -> None:
    """The second lease begins where the first ends, by the database's clock; another provider is another line."""
    with Ledger(place) as one, Ledger(place) as other:
        first = await one.lease("vendor", Wish(100.0, 0.0), NOTHING)
        second = await other.lease("vendor", Wish(5.0, 5.0), NOTHING)
        elsewhere = await other.lease("another", Wish(5.0, 5.0), NOTHING)
        third = await one.lease("vendor", Wish(5.0, 5.0), NOTHING)
        again = await one.lease("vendor", Wish(5.0, 5.0, third.seconds), NOTHING)

    assert first == elsewhere == Answer(True, 0.0)
    assert (second.is_leased, third.is_leased) == (False, False)
    assert 70 - NEAR < second.seconds <= 100 - NEAR
    assert 75 - NEAR < third.seconds <= 105 - NEAR
    assert again.seconds == third.seconds


async def test_what_one_is_told_the_others_know(place: Place) -> None:
    """Limits and pauses that a provider states to one process are there for all; nothing starts in a pause."""
    with Ledger(place) as one, Ledger(place) as other:
        nothing = other.rate("vendor")
        await one.lease("vendor", Wish(0.0, 0.0), (600, 9000))
        one.announce_pause("vendor", 50.0)
        begins = await one.lease("vendor", Wish(1.0, 1.0), NOTHING)
        known = other.rate("vendor")

    assert (nothing.limits, nothing.paused) == (NOTHING, 0)
    assert known.limits == (600, 9000)
    assert 20 < known.paused <= 50
    assert not begins.is_leased
    assert begins.seconds == pytest.approx(known.paused, abs=20)


async def test_what_was_started_without_a_lease_is_left_unused(place: Place) -> None:
    """Debts move the line's end, however far away it is."""
    with Ledger(place) as one, Ledger(place) as other:
        await one.owe("vendor", 30.0)
        await other.owe("vendor", 40.0)
        refused = await one.lease("vendor", Wish(1.0, 1.0), NOTHING)

    assert 30 < refused.dry <= 70 - DRY


@pytest.mark.parametrize("stated", [(600, None), NOTHING])
async def test_what_a_provider_stated_or_that_it_did_not_is_known_before_a_lease(
    place: Place, stated: tuple[int | None, int | None]
) -> None:
    """One answer is enough for all, with what was started before anybody knew."""
    with Ledger(place) as one, Ledger(place) as other:
        before = other.rate("vendor")
        one.announce_limits("vendor", stated, 30.0)
        await one.lease("another", Wish(0.0, 0.0), NOTHING)  # committed after it
        after = other.rate("vendor")

    assert (before.is_told, after.is_told, after.limits) == (False, True, stated)
    assert 10 < after.ahead <= 30


async def test_who_has_company_knows(place: Place) -> None:
    """A second process on a ledger is noticed; on a server one always may be there."""
    with Ledger(place) as one:
        alone = one.shares_rates()
        with Ledger(place):
            together = one.shares_rates()

        assert together
        assert alone == one.shares_rates() == str(place).startswith("postgresql:")
