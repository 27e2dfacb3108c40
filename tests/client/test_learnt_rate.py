"""A limit that nobody stated and only the server's answers tell, to several processes, in virtual time."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_rates import SharedLine, VirtualLoop, most, virtually

from bbquery.client.pace import MARGIN, PROBE
from bbquery.client.provider import Provider
from bbquery.client.turns import Turns
from bbquery.errors import OracleError, RateLimited
from bbquery.oracle import Capabilities, Limits, RateSeen
from oracles.emulators._faults import SlidingLimit

if TYPE_CHECKING:
    from bbquery.ledger.ledger import Ledger

LATENCY = 0.2  # seconds
SLOTS = 8


@dataclass
class Server:
    """Keeps a rate by a window, and tells it in every answer; 0 for no limit, which it does not tell."""

    loop: VirtualLoop
    per_minute: float
    window: float = 60.0
    seed: int = 0
    arrivals: list[float] = field(default_factory=list)
    refused: int = 0

    def __post_init__(self) -> None:
        self._limit, self._rng = SlidingLimit(self.per_minute, self.window), np.random.default_rng(self.seed)

    async def answer(self) -> tuple[list[OracleError], RateSeen | None]:
        """Answer a request that was just sent."""
        await self.loop.sleep(self._rng.uniform(0.002, 0.02))
        self.arrivals.append(self.loop.now())
        wait = self._limit.take(self.loop.now())
        if wait:
            self.refused += 1
            return [RateLimited("too many", oracle="server", retry_after=wait)], self._seen()
        await self.loop.sleep(LATENCY * self._rng.uniform(0.5, 1.5))
        return [], self._seen()

    def _seen(self) -> RateSeen | None:
        if not self.per_minute:
            return None
        now = self.loop.now()
        left, reset = self._limit.left(now), self._limit.reset(now)
        return RateSeen(requests=int(self.per_minute), requests_left=left, requests_reset=reset)


class Process:
    """A process that shares a ledger and always has more to ask. sent, answered: when."""

    def __init__(self, shared: SharedLine, server: Server) -> None:
        limits = Limits(concurrency=SLOTS)
        capabilities = Capabilities(name="server", provider="vendor", identity={}, answers="labels", limits=limits)
        self._provider, self._server = Provider(capabilities, server.loop), server
        self._provider.pace.turns = Turns(cast("Ledger", shared), "vendor", server.loop)
        self._woken = asyncio.Event()
        self._provider.waiting.append(self._woken.set)
        self.sent, self.answered = list[float](), list[float]()

    async def work(self) -> None:
        """Ask for ever."""
        provider = self._provider
        async with asyncio.TaskGroup() as requests:
            while True:
                while not provider.has_a_slot:
                    self._woken.clear()
                    await self._woken.wait()
                await provider.pace.turn(1, 0, lambda: max(0, provider.free_slots - 1))
                provider.start()
                self.sent.append(self._server.loop.now())
                requests.create_task(self._request())

    async def _request(self) -> None:
        failures, seen = await self._server.answer()
        self.answered.append(self._server.loop.now())
        self._provider.learn(failures, seen)
        self._provider.end()


def worked(
    processes: int, seconds: float, *, apart: float = 0.0, **server: float
) -> tuple[Server, list[Process], SharedLine]:
    """Let processes work, each starting so many seconds after the one before."""

    async def run(loop: VirtualLoop) -> tuple[Server, list[Process], SharedLine]:
        shared, asked = SharedLine(loop.now), Server(loop, **server)  # type: ignore[arg-type] # numbers of its fields
        fleet = [Process(shared, asked) for _ in range(processes)]

        async def later(number: int) -> None:
            await loop.sleep(number * apart)
            await fleet[number].work()

        tasks = [asyncio.create_task(later(number)) for number in range(processes)]
        await loop.sleep(seconds)
        for task in tasks:
            task.cancel()
        return asked, fleet, shared

    return virtually(run)


@given(
    processes=st.integers(1, 12),
    limit=st.sampled_from([(60, 60.0), (600, 60.0), (1200, 5.0)]),
    apart=st.sampled_from([0.0, 0.03, 0.3, 3.0]),
    seed=st.integers(0, 100),
)
@settings(max_examples=15, deadline=None)
def test_no_window_holds_too_many_and_the_rate_is_used(
    processes: int, limit: tuple[int, float], apart: float, seed: int
) -> None:
    """Whoever starts when: nothing is refused, nobody pauses, and all but the margin is used from the beginning."""
    per_minute, window = limit
    server, _, _ = worked(processes, 130.0, apart=apart, per_minute=per_minute, window=window, seed=seed)

    used = sum(10 <= arrival < 130 for arrival in server.arrivals) / 2 / per_minute
    assert most(server.arrivals, window) <= per_minute * window / 60
    assert server.refused == 0
    assert used >= (1 - MARGIN) * 0.98 - 1 / per_minute


def test_each_process_sends_one_request_until_one_is_answered() -> None:
    """Nobody knows whether there is a limit: so few ask, and a little apart."""
    _, fleet, _ = worked(6, 30.0, per_minute=600)

    first = min(process.answered[0] for process in fleet)
    early = sorted(sent for process in fleet for sent in process.sent if sent < first)
    assert all(sum(sent < process.answered[0] for sent in process.sent) == 1 for process in fleet)
    assert len(early) <= 1 + first / PROBE
    assert all(later - sent >= PROBE - 1e-6 for sent, later in itertools.pairwise(early))


def test_where_no_limit_is_stated_all_are_soon_as_fast_as_they_can() -> None:
    """One answer without limits is enough for everybody, whether it waits for its first request or starts later."""
    _, fleet, shared = worked(12, 8.0, apart=0.02, per_minute=0)

    fast = SLOTS / LATENCY
    assert shared.line.is_told
    assert all(sum(4 <= sent < 8 for sent in process.sent) > 0.8 * 4 * fast for process in fleet)


def test_who_waits_to_learn_the_limits_goes_on_once_another_has() -> None:
    """80 first requests would take eight seconds, a little apart: but one answer tells all of them."""
    _, fleet, _ = worked(80, 4.5, per_minute=0)

    assert max(process.sent[0] for process in fleet) < 4


def test_whoever_starts_later_knows_before_the_first_request() -> None:
    """The limit stands in the ledger: the second process keeps it from the beginning, and need not learn it."""
    server, (_, late), _ = worked(2, 60.0, apart=20.0, per_minute=600)

    began = [sent for sent in late.sent if sent < late.answered[0]]
    assert len(began) > 1
    assert most(server.arrivals, 60.0) <= 600


def test_a_failure_without_an_answer_tells_nothing() -> None:
    """A request that never arrived does not say that there are no limits."""

    async def run(loop: VirtualLoop) -> tuple[int, int]:
        process = Process(SharedLine(loop.now), Server(loop, 0))
        await process._provider.pace.hear()
        process._provider.learn([OracleError("no connection", oracle="server")], None)
        failed = process._provider.slots
        process._provider.learn([], None)
        return failed, process._provider.slots

    assert virtually(run) == (1, SLOTS)


@pytest.mark.parametrize("company", [True, False])
def test_who_is_alone_starts_with_all_slots(company: bool) -> None:
    """Only where others may ask too is there anything to wait for."""

    async def run(loop: VirtualLoop) -> int:
        process = Process(SharedLine(loop.now, company=company), Server(loop, 600))
        await process._provider.pace.hear()
        return process._provider.slots

    assert virtually(run) == (1 if company else SLOTS)


def test_who_hears_that_there_are_no_limits_starts_with_all_slots() -> None:
    """What another was answered need not be found out again."""

    async def run(loop: VirtualLoop) -> int:
        shared = SharedLine(loop.now)
        shared.announce_limits("vendor", (None, None), 0.0)
        process = Process(shared, Server(loop, 0))
        await process._provider.pace.hear()
        return process._provider.slots

    assert virtually(run) == SLOTS
