"""No task of the client dies in silence: whatever fails in one, the run ends at once, with its cause and its money."""

from __future__ import annotations

import asyncio
import itertools
import types
from collections import Counter
from collections.abc import Callable, Coroutine, Generator
from pathlib import Path
from typing import Any, Literal

import pytest

from bbquery.client.client import Client
from bbquery.errors import (
    MalformedAnswer,
    OracleError,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    StorageFailed,
    Unreachable,
)
from bbquery.ledger import codec
from bbquery.ledger.ledger import Ledger
from bbquery.ledger.records import Cap, Granted, HoldRequest, Settlement
from bbquery.ledger.store import ImageQuestion
from bbquery.plan import Ask
from bbquery.types import Label, Labels, Reply
from bbquery.units import Units
from oracles import function
from tests.support.clocks import FakeClock
from tests.support.images import tiny_images
from tests.support.oracles import FakeOracle, brightness, client_of, failing_first

When = Literal["instead", "after"]
IMAGES = 3
MOST_WAITS = 3  # of one kind; further ones are the same loops again
SECONDS = 1.0  # within which a run ends, whatever fails in it


class Fault(Exception):
    """What is raised in a task."""


class Injected:
    """A task factory that raises a fault in the `at`-th wait of all tasks of one kind, and counts the waits of each.

    when: "instead" of waiting, or "after" it, when what was waited for has been done.
    """

    def __init__(self, kind: str = "", at: int = 0, when: When = "after") -> None:
        self.kind, self.at, self.when = kind, at, when
        self.waits: Counter[str] = Counter()

    def __call__(
        self, loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any] | Generator[Any, Any, Any], **options: Any
    ) -> asyncio.Task[Any]:
        code = getattr(coro, "cr_code", None)
        ours = code is not None and "/bbquery/" in code.co_filename
        task: asyncio.Task[Any] = asyncio.Task(self._as_coroutine(coro) if ours else coro, loop=loop, **options)
        task.add_done_callback(lambda _: coro.close())  # one that was cancelled before it began
        return task

    async def _as_coroutine(self, coro: Any) -> Any:
        return await self._run(coro)

    @types.coroutine
    def _run(self, coro: Any) -> Generator[Any, Any, Any]:
        kind: str = getattr(coro, "__qualname__", "")
        thrown: BaseException | None = None
        while True:
            try:
                waits_for = coro.send(None) if thrown is None else coro.throw(thrown)
                thrown = None
                chosen = (kind, self.waits[kind]) == (self.kind, self.at)
                self.waits[kind] += 1
                if chosen and self.when == "instead":
                    waits_for = coro.throw(Fault("injected"))
            except StopIteration as stop:
                return stop.value
            try:
                yield waits_for
            except BaseException as error:  # noqa: BLE001 - it belongs to the task
                thrown = error
            else:
                thrown = Fault("injected") if chosen and self.when == "after" else None


def plain() -> FakeOracle:
    return FakeOracle(largest_batch=2, concurrency=2, hold=Units(1, 0, 5))


def free() -> FakeOracle:
    return FakeOracle(largest_batch=1, concurrency=1, free=True)


def paced() -> FakeOracle:
    return FakeOracle(largest_batch=1, concurrency=2, limits={"requests_per_minute": 2_400.0})


def refusing() -> FakeOracle:
    return FakeOracle(largest_batch=2, script=failing_first(RateLimited("slow down", retry_after=1.0)))


def unreachable() -> FakeOracle:
    return FakeOracle(largest_batch=3, script=failing_first(Unreachable("nobody there")))


ORACLES = {made.__name__: made for made in (plain, free, paced, refusing, unreachable)}
FOLLOWER = "Reservations._follow_another"
ALWAYS = {"Dispatcher._dispatch", "Reservations._hold", "Sender._send", "Settling._settle"}
KINDS = {
    "plain": ALWAYS | {FOLLOWER},
    "free": ALWAYS,
    "paced": ALWAYS | {"Dispatcher._may_go"},
    "refusing": ALWAYS | {"Flights._retry"},
    "unreachable": ALWAYS | {"Flights._retry"},
}


async def run(oracle: FakeOracle, path: Path, injected: Injected, *, rival: bool = False) -> None:
    """Ask a few images, while the fault strikes; see that it ends, with its cause, and that the bill is covered."""
    with Ledger(path) as ledger:
        loop = asyncio.get_running_loop()
        budget = ledger.open_budget("run", Cap(queries=100))
        client = Client(oracle, ledger, budget, clock=FakeClock())
        other = Ledger(path) if rival else None
        loop.set_task_factory(injected)
        try:
            async with asyncio.timeout(SECONDS):
                held = None if other is None else await _held(client, other)
                asking = asyncio.create_task(client.ask(Ask(tiny_images(IMAGES))))
                if other is not None and held is not None:
                    while injected.waits[FOLLOWER] < 2 and not asking.done():  # it has looked, and looks again
                        await asyncio.sleep(0)
                    await other.settle([Settlement(held, "voided")])
                rows = await asking
                await client.aclose()
        finally:
            loop.set_task_factory(None)
            if other is not None:
                other.close()
        lost = sum(reply is None for row in rows for reply in row)
        assert not lost or client.halt.error is not None
        state = ledger.budget(budget)
        assert state.posted.queries + state.held.queries >= oracle.billed


async def _held(client: Client, other: Ledger) -> int:
    """Let another process hold the question of the first image; return its attempt."""
    fingerprint, _ = codec.fingerprint(client.oracle.capabilities.identity)
    digest = codec.image_digest(tiny_images(IMAGES)[0])
    question = ImageQuestion(codec.answer_key(fingerprint, digest, 0), fingerprint, digest, 0)
    (granted,) = await other.reserve([HoldRequest(question, client.budget, Units(1))])
    assert isinstance(granted, Granted)
    return granted.attempt


def kinds_of(injected: Injected) -> list[tuple[str, int]]:
    """Return every place at which a fault may strike, but in the call itself, whose caller is told."""
    waits = {kind: min(count, MOST_WAITS) for kind, count in injected.waits.items() if kind != "Client.ask"}
    return [(kind, at) for kind, count in waits.items() for at in range(count)]


@pytest.mark.parametrize("when", ["instead", "after"])
@pytest.mark.parametrize("name", ORACLES)
async def test_a_fault_in_any_task_at_any_wait_ends_the_run(name: str, when: When, tmp_path: Path) -> None:
    """An exception that nobody foresaw, wherever it strikes, ends the run within a second, and covers the bill."""
    counted, rival = Injected(), name == "plain"
    await run(ORACLES[name](), tmp_path / "counted.sqlite3", counted, rival=rival)
    assert counted.waits.keys() >= KINDS[name]

    for number, (kind, at) in enumerate(kinds_of(counted)):
        try:
            await run(ORACLES[name](), tmp_path / f"{number}.sqlite3", Injected(kind, at, when), rival=rival)
        except TimeoutError:
            pytest.fail(f"a fault in wait {at} of {kind} left the run hanging")


# --- what a server or a function says ---

BIG = Units(1, 10**30, 10**30)
ODD_REPLIES = {
    "tokens that no integer of the ledger holds": Reply(brightness(tiny_images(1)[0]), BIG),
    "tokens whose sum overflows": Reply(brightness(tiny_images(1)[0]), Units(1, 2**62, 0)),
    "a negative cost": Reply(brightness(tiny_images(1)[0]), Units(1, -5, 0)),
    "a cost that is no whole number": Reply(brightness(tiny_images(1)[0]), Units(1, 0.5, 0)),  # type: ignore[arg-type] # as an adapter may
    "half a surrogate pair in the model's name": Reply(brightness(tiny_images(1)[0]), None, "gpt-\ud800"),
    "a NUL in the model's name": Reply(brightness(tiny_images(1)[0]), None, "gpt\x00"),
    "a model's name that is none": Reply(brightness(tiny_images(1)[0]), None, 7),  # type: ignore[arg-type] # as above
}


@pytest.mark.parametrize("at", [0, 5])
@pytest.mark.parametrize("name", ODD_REPLIES)
async def test_an_odd_part_beside_an_answer_costs_no_paid_answer(name: str, at: int, ledger: Ledger) -> None:
    """Numbers too large for the ledger and text that is none: the answer is kept, and posted at its hold."""
    seen = itertools.count()
    odd = ODD_REPLIES[name]
    oracle = FakeOracle(
        largest_batch=2, reply=lambda i: odd if next(seen) == at else brightness(i), hold=Units(1, 9, 7)
    )
    async with asyncio.timeout(SECONDS), client_of(oracle, ledger, cap=20) as client:
        rows = await client.ask(Ask(tiny_images(8)))

    state = ledger.budget(client.budget)
    assert all(reply is not None for row in rows for reply in row)
    assert (client.halt.error, state.held, state.posted) == (None, Units(), Units(8, 72, 56))


@pytest.mark.parametrize(
    "error", [MalformedAnswer("\ud800", cost=BIG), OutcomeUnknown("\udfff"), Rejected("a\x00b\ud800")]
)
async def test_an_odd_error_is_settled(error: OracleError, ledger: Ledger) -> None:
    """Text that is none in an error's message, and a cost beyond belief, end the run in order."""
    oracle = FakeOracle(script=lambda _: error)
    async with asyncio.timeout(SECONDS), client_of(oracle, ledger, cap=20) as client:
        await client.ask(Ask(tiny_images(2)))

    state = ledger.budget(client.budget)
    assert isinstance(client.halt.error, type(error))
    assert client.halt.reason.encode()
    assert state.posted.queries + state.held.queries <= 20


async def test_an_answer_that_cannot_be_recorded_is_malformed_alone(ledger: Ledger) -> None:
    """What fails while it is being recorded is posted at its hold and asked again; what came beside it is kept."""
    odd = Labels((Label("\ud800"), Label({"no": object()})))  # type: ignore[arg-type] # as an adapter may
    seen = itertools.count()

    def reply(_: object) -> Labels:
        return odd if next(seen) == 1 else Labels((Label("cat"),))

    oracle = FakeOracle(reply, answers="labels", classes=None, remote=True, largest_batch=4)
    async with asyncio.timeout(SECONDS), client_of(oracle, ledger, cap=20) as client:
        rows = await client.ask(Ask(tiny_images(4)))

    state = ledger.budget(client.budget)
    assert all(reply is not None for (reply,) in rows)
    assert (client.halt.error, state.held, state.posted.queries, oracle.billed) == (None, Units(), 5, 5)


class Unreadable(Exception):
    """An exception whose message raises."""

    def __str__(self) -> str:
        raise ValueError("no message")


def raising(error: BaseException) -> Callable[[Any], Any]:
    def model(image: Any) -> Any:
        raise error

    return model


def raising_later(error: BaseException) -> Callable[[Any], Any]:
    async def model(image: Any) -> Any:
        raise error

    return model


@pytest.mark.parametrize("made", [raising, raising_later])
@pytest.mark.parametrize(
    "error",
    [StopIteration(3), GeneratorExit(), StopAsyncIteration(), SystemExit(2), ValueError("\ud800"), Unreadable()],
)
@pytest.mark.parametrize("price", [None, "0.01"])
async def test_whatever_a_function_raises_ends_the_run(
    price: str | None, error: BaseException, made: Callable[[BaseException], Any], ledger: Ledger
) -> None:
    """A function model may raise anything, also what Python itself gives a meaning: the run ends, and says what."""
    oracle = function.connect(made(error), usd_per_query=price)
    async with asyncio.timeout(SECONDS), Client(oracle, ledger, ledger.open_budget("run", Cap(queries=9))) as client:
        rows = await client.ask(Ask(tiny_images(2)))
    await oracle.aclose()

    assert rows == [[None], [None]]
    assert "the function raised" in client.halt.reason
    assert type(error).__name__ in client.halt.reason or "StopIteration" in client.halt.reason


async def test_who_watches_may_fail(ledger: Ledger) -> None:
    """A terminal that fails while progress is shown ends the run with that cause; what was paid is kept."""

    def broken() -> None:
        raise BrokenPipeError("the terminal is gone")

    oracle = FakeOracle()
    budget = ledger.open_budget("run", Cap(queries=9))
    async with asyncio.timeout(SECONDS), Client(oracle, ledger, budget, progress=broken) as client:
        await client.ask(Ask(tiny_images(5)))

    assert "BrokenPipeError: the terminal is gone" in client.halt.reason
    assert ledger.budget(budget).posted.queries == oracle.billed


async def test_a_fault_of_the_ledgers_thread_ends_the_run(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the one thread that writes fails, who waits for it is told, now and later."""
    client = client_of(FakeOracle(), ledger, cap=20)

    def mistaken(_: object) -> bool:
        raise ZeroDivisionError("a mistake")

    monkeypatch.setattr(ledger._database, "_in_our_turn", mistaken)
    async with asyncio.timeout(SECONDS), client:
        await client.ask(Ask(tiny_images(5)))

    assert "failed unexpectedly: ZeroDivisionError: a mistake" in client.halt.reason
    with pytest.raises(StorageFailed, match="closed"):
        ledger.open_budget("another", Cap())
