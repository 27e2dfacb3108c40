"""The event loop on a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from bbquery.errors import UsageError
from bbquery.interop.loop import LoopThread


async def double(number: int) -> int:
    return 2 * number


async def fails() -> None:
    raise OSError("disk")


def test_it_runs_what_threads_bring() -> None:
    """Each thread gets its own result, and a failure is raised where it was asked for."""
    loop = LoopThread()

    with ThreadPoolExecutor(4) as threads:
        doubled = list(threads.map(lambda n: loop.run(double(n)), range(20)))
    with pytest.raises(OSError, match="disk"):
        loop.run(fails())
    loop.close()

    assert doubled == list(range(0, 40, 2))


def test_a_failure_is_no_interruption() -> None:
    """What is called when a person stops waiting is not called when the work itself failed."""
    loop, called = LoopThread(), threading.Event()

    with pytest.raises(OSError, match="disk"):
        loop.run(fails(), interrupted=called.set)
    loop.close()

    assert not called.is_set()


def test_who_waits_when_it_closes_is_told() -> None:
    """Work that is under way when the loop closes is cancelled, and its caller is told that it is closed."""
    loop, began = LoopThread(), threading.Event()

    async def endless() -> None:
        began.set()
        await asyncio.Event().wait()

    with ThreadPoolExecutor(1) as caller:
        waiting = caller.submit(loop.run, endless())
        began.wait(30)
        loop.close()
        error = waiting.exception()

    assert isinstance(error, UsageError)
    assert "closed" in str(error)


def test_a_closed_loop_takes_no_work() -> None:
    """After closing, which may be done twice, work is refused and never left half awaited."""
    loop = LoopThread()
    loop.close()
    loop.close()

    with pytest.raises(UsageError, match="closed"):
        loop.run(double(1))
