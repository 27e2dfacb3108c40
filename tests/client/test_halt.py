"""Why a run may send no more, and who waits for it."""

from __future__ import annotations

import asyncio

import pytest

from bbquery.client.halt import Halt, Interrupted
from bbquery.errors import BbqueryError, OutcomeUnknown
from tests.support.clocks import FakeClock


class StoppedClock(FakeClock):
    """Time that does not pass."""

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.Event().wait()


def test_a_running_run_has_no_reason_to_halt() -> None:
    """Until a cause comes, sending goes on."""
    halt = Halt()

    assert not halt
    assert (halt.error, halt.reason, halt.interrupted) == (None, "", False)


def test_the_first_cause_stays() -> None:
    """What came later is a consequence, and changes neither the error nor the reason."""
    halt, first = Halt(), OutcomeUnknown("lost", oracle="vendor")

    halt.set(first)
    halt.set(Interrupted("Ctrl-C"))

    assert bool(halt)
    assert halt.error is first
    assert (halt.reason, halt.interrupted) == ("vendor: lost", False)


def test_a_person_is_told_from_a_failure() -> None:
    """An interruption also ends the reading of stored answers, so it is known as one."""
    halt = Halt()

    halt.set(Interrupted("Ctrl-C"))

    assert (halt.interrupted, halt.reason) == (True, "Ctrl-C")


def test_who_listens_is_told_once() -> None:
    """All who listen are told of the first cause, and who was forgotten is not."""
    halt, told = Halt(), list[str]()
    first, second = (lambda: told.append("first")), (lambda: told.append("second"))
    halt.add_listener(first)
    halt.add_listener(second)
    halt.remove_listener(second)

    halt.set(BbqueryError("enough"))
    halt.set(BbqueryError("more than enough"))

    assert told == ["first"]


async def test_what_fails_in_a_sleep_is_raised() -> None:
    """A broken clock is no short sleep."""

    class Broken(FakeClock):
        async def sleep(self, seconds: float) -> None:
            raise ValueError("the clock is broken")

    with pytest.raises(ValueError, match="the clock is broken"):
        await Halt().sleep(1, Broken())


async def test_a_sleep_lasts_as_long_as_it_says(clock: FakeClock) -> None:
    """Without a halt, sleeping is the clock's."""
    await Halt().sleep(7.5, clock)

    assert clock.time == 7.5


async def test_a_halt_ends_a_sleep() -> None:
    """A wait of an hour before a retry does not keep a person waiting."""
    halt, clock = Halt(), StoppedClock()
    sleeping = asyncio.create_task(halt.sleep(3600, clock))
    while not clock.slept:
        await asyncio.sleep(0)

    halt.set(Interrupted("Ctrl-C"))

    await sleeping
    assert clock.slept == [3600]


async def test_a_cancelled_sleep_leaves_nothing_running() -> None:
    """Whoever is cancelled while sleeping takes both waits along."""
    before = asyncio.all_tasks()
    sleeping = asyncio.create_task(Halt().sleep(3600, StoppedClock()))
    await asyncio.sleep(0)

    sleeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sleeping
    await asyncio.sleep(0)

    assert asyncio.all_tasks() == before
