"""One timer for many tasks: who is late is cancelled, nobody else is."""

from __future__ import annotations

import asyncio

import pytest

from bbquery.system.deadlines import Deadlines


async def held(deadlines: Deadlines, ended: list[bool]) -> None:
    """Wait until cancelled; note whether that was for being late."""
    task = asyncio.current_task()
    assert task is not None
    deadlines.begin(task)
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        ended.append(deadlines.end(task))


async def test_who_is_late_is_cancelled_and_told_so() -> None:
    """Tasks that run out of time are cancelled, each of them, and know that it was the time."""
    deadlines, late = Deadlines(0.0), list[bool]()

    await asyncio.gather(*(held(deadlines, late) for _ in range(3)))

    assert late == [True, True, True]


async def test_who_has_ended_is_left_alone() -> None:
    """A task that ended in time is not cancelled when that time has come."""
    deadlines = Deadlines(0.0)
    task = asyncio.current_task()
    assert task is not None
    deadlines.begin(task)

    was_late = deadlines.end(task)
    for _ in range(3):  # turns of the loop, in which the timer rings
        await asyncio.sleep(0)

    assert not was_late
    assert not task.cancelling()


async def test_the_timer_serves_whoever_comes_later() -> None:
    """When the timer has rung for some, it rings again for others."""
    deadlines, late = Deadlines(0.0), list[bool]()

    await held(deadlines, late)
    await held(deadlines, late)

    assert late == [True, True]


async def test_cancelling_all_spares_one_and_is_not_being_late() -> None:
    """Whoever abandons the others goes on; the others were not late."""
    deadlines, late = Deadlines(3600.0), list[bool]()
    others = [asyncio.create_task(held(deadlines, late)) for _ in range(2)]
    me = asyncio.current_task()
    assert me is not None
    deadlines.begin(me)
    await asyncio.sleep(0)

    deadlines.cancel(but=me)
    await asyncio.gather(*others)
    deadlines.close()

    assert late == [False, False]
    assert not me.cancelling()


async def test_what_came_while_the_loop_was_held_up_is_read_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that could not run for long does not call late what had come in time, and still ends what never comes."""
    loop = asyncio.get_running_loop()
    now, true_time = [0.0], loop.time
    monkeypatch.setattr(loop, "time", lambda: true_time() + now[0])
    deadlines, late = Deadlines(5.0), list[bool]()
    tasks = [asyncio.create_task(held(deadlines, late)) for _ in range(2)]
    await asyncio.sleep(0)

    now[0] = 60.0  # a minute in which nothing ran
    for _ in range(5):  # turns of the loop, in which the timer rings and whoever is cancelled ends
        await asyncio.sleep(0)
    called_late = list(late)
    now[0] += 1.0
    await asyncio.gather(*tasks)
    deadlines.close()

    assert called_late == []
    assert late == [True, True]


@pytest.mark.parametrize("ring_twice", [False, True])
async def test_a_closed_timer_does_not_ring(ring_twice: bool) -> None:
    """After closing, nobody is cancelled; closing again is harmless."""
    deadlines = Deadlines(0.0)
    me = asyncio.current_task()
    assert me is not None
    deadlines.begin(me)

    deadlines.close()
    if ring_twice:
        deadlines.close()
    await asyncio.sleep(0)

    assert not me.cancelling()
