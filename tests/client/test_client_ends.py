"""How a client ends: broken promises, faults, interruptions and failures of its ledger."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bbquery.client.client import Client
from bbquery.client.halt import Interrupted
from bbquery.client.retry import RetryPolicy
from bbquery.errors import (
    BudgetExhausted,
    NotBilled,
    OracleError,
    OutcomeUnknown,
    RateLimited,
    StorageFailed,
    Unreachable,
    UsageError,
)
from bbquery.ledger.ledger import Ledger
from bbquery.ledger.records import Cap
from bbquery.plan import Ask
from bbquery.types import Image, NoAnswer, Reply, Vector
from bbquery.units import Units
from tests.support.answered import expected, values
from tests.support.bookkeeping import break_disk, guard_caps
from tests.support.clocks import FakeClock
from tests.support.images import tiny_images
from tests.support.oracles import FakeOracle, client_of, failing_first


async def test_too_few_answers_to_a_batch_are_malformed(ledger: Ledger) -> None:
    """An oracle that answers 1 of 4 images has broken its promise for the whole batch."""

    class Short(FakeOracle):
        async def answer(self, payloads: object) -> list[Reply | OracleError]:
            return [Reply(Vector(np.array([0.5, 0.5])))]

    async with client_of(Short(), ledger) as client:
        await client.ask(Ask(tiny_images(4)))

    assert "1 answers to 4 images" in str(client.halt.error)


async def test_a_refusal_to_answer_is_an_answer(ledger: Ledger) -> None:
    """A filtered question is paid, stored and not asked again."""
    oracle = FakeOracle(reply=lambda _: NoAnswer("filtered"))
    async with client_of(oracle, ledger) as client:
        first = await client.ask(Ask(tiny_images(1)))
        again = await client.ask(Ask(tiny_images(1)))

    assert [[reply and reply.answer for reply in row] for row in (*first, *again)] == [[NoAnswer("filtered")]] * 2
    assert oracle.billed == 1


async def test_an_adapters_bug_is_settled_as_unknown(ledger: Ledger) -> None:
    """An exception nobody foresaw may hide a bill, so its hold stays, and the run halts with it."""
    oracle = FakeOracle(script=lambda _: ZeroDivisionError("surprise"))
    async with client_of(oracle, ledger) as client:
        await client.ask(Ask(tiny_images(1)))
        state = ledger.budget(client.budget)

    assert "ZeroDivisionError: surprise" in str(client.halt.error)
    assert state.held.queries == 1


async def test_a_fault_of_the_dispatcher_halts_and_nobody_waits_for_ever(ledger: Ledger) -> None:
    """Where pacing itself breaks, everyone is told why, and nothing leaves unpaced."""

    class Broken(FakeClock):
        async def sleep(self, seconds: float) -> None:
            raise ValueError("the clock is broken")

    oracle = FakeOracle(largest_batch=1, limits={"requests_per_minute": 60.0})

    async with client_of(oracle, ledger, clock=Broken()) as client:
        rows = await client.ask(Ask(tiny_images(5)))

        assert "asking failed unexpectedly: ValueError: the clock is broken" in client.halt.reason
    answered = sum(reply is not None for (reply,) in rows)
    assert answered == oracle.billed == ledger.budget(client.budget).posted.queries <= 1
    assert ledger.budget(client.budget).held == Units()


async def test_a_timeout_keeps_its_hold(ledger: Ledger) -> None:
    """A query that times out may have been billed, so it stays held."""
    oracle = FakeOracle(gated=True, timeout=0.001)
    async with client_of(oracle, ledger) as client:
        await client.ask(Ask(tiny_images(1)))
        state = ledger.budget(client.budget)

    assert isinstance(client.halt.error, OutcomeUnknown)
    assert state.held.queries == oracle.requests == 6


async def test_interrupted_nothing_more_is_sent_and_what_is_in_flight_is_kept(ledger: Ledger) -> None:
    """After an interruption the requests in flight are awaited, stored and returned; no other leaves."""
    oracle = FakeOracle(largest_batch=1, concurrency=2, gated=True)
    async with client_of(oracle, ledger) as client:
        asking = asyncio.create_task(client.ask(Ask(tiny_images(20))))
        while oracle.requests < 2:
            await asyncio.sleep(0)
        client.halt.set(Interrupted("Ctrl-C"))
        oracle.gate.set()
        rows = await asking
        state = ledger.budget(client.budget)

    assert oracle.requests == 2
    assert sum(value is not None for value in values(rows)) == 2
    assert state.posted.queries == 2


async def test_abandoned_requests_become_unknown(ledger: Ledger) -> None:
    """Not waiting for what is in flight leaves its hold, and the run ends at once."""
    oracle = FakeOracle(largest_batch=1, concurrency=2, gated=True)
    async with client_of(oracle, ledger) as client:
        asking = asyncio.create_task(client.ask(Ask(tiny_images(20))))
        while oracle.requests < 2:
            await asyncio.sleep(0)
        client.halt.set(Interrupted("Ctrl-C"))
        client.abandon()
        rows = await asking
        state = ledger.budget(client.budget)

    assert set(values(rows)) == {None}
    assert (state.posted.queries, state.held.queries) == (0, 2)


async def test_a_cancelled_caller_loses_no_paid_answer(ledger: Ledger) -> None:
    """Cancelling who waits does not cancel what is in flight: it is settled and stored."""
    images = tiny_images(2)
    oracle = FakeOracle(largest_batch=1, concurrency=2, gated=True)
    async with client_of(oracle, ledger) as client:
        asking = asyncio.create_task(client.ask(Ask(images)))
        while oracle.requests < 2:
            await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        oracle.gate.set()
    async with client_of(oracle, ledger) as client:
        rows = await client.ask(Ask(images))

    assert values(rows) == expected(images)
    assert oracle.billed == 2


async def test_cancelling_the_clients_end_makes_what_is_in_flight_unknown(ledger: Ledger) -> None:
    """Whoever will not even wait for the end leaves holds, not open attempts."""
    oracle = FakeOracle(largest_batch=1, concurrency=2, gated=True)
    client = client_of(oracle, ledger)
    asking = asyncio.create_task(client.ask(Ask(tiny_images(2))))
    while oracle.requests < 2:
        await asyncio.sleep(0)
    closing = asyncio.create_task(client.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)

    assert len(ledger.unknowns(client.budget)) == 2


async def test_a_failed_ledger_halts_before_anything_is_sent(ledger: Ledger) -> None:
    """Without a committed hold nothing leaves."""
    oracle = FakeOracle()
    client = client_of(oracle, ledger)
    break_disk(ledger)
    rows = await client.ask(Ask(tiny_images(3)))
    await client.aclose()

    assert values(rows) == [None] * 3
    assert isinstance(client.halt.error, StorageFailed)
    assert oracle.requests == 0


async def test_answers_reach_the_plan_though_the_ledger_fails_while_they_are_in_flight(ledger: Ledger) -> None:
    """A disk that fails after sending halts the run, but what was paid is returned."""
    images = tiny_images(1)
    oracle = FakeOracle(gated=True)
    client = client_of(oracle, ledger)
    asking = asyncio.create_task(client.ask(Ask(images)))
    while oracle.requests < 1:
        await asyncio.sleep(0)
    break_disk(ledger)
    oracle.gate.set()
    rows = await asking
    await client.aclose()

    assert values(rows) == expected(images)
    assert isinstance(client.halt.error, StorageFailed)


async def test_a_client_closes_though_its_ledger_fails_in_an_unforeseen_way(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake in the code ends the run with its cause; what was answered still reaches who asked."""
    oracle = FakeOracle(gated=True)

    async def mistaken(_: object) -> None:
        raise ZeroDivisionError("a mistake")

    client = client_of(oracle, ledger)
    asking = asyncio.create_task(client.ask(Ask(tiny_images(1))))
    while oracle.requests < 1:
        await asyncio.sleep(0)
    monkeypatch.setattr(ledger, "settle", mistaken)
    oracle.gate.set()
    rows = await asking
    await client.aclose()

    assert values(rows) == expected(tiny_images(1))
    assert "asking failed unexpectedly: ZeroDivisionError: a mistake" in client.halt.reason


async def test_an_image_that_cannot_be_encoded_halts_unpaid(ledger: Ledger) -> None:
    """What the oracle cannot take is found before it is held or sent."""

    class Picky(FakeOracle):
        def encode(self, image: Image) -> Image:
            raise UsageError("this oracle takes 224 by 224")

    oracle = Picky()
    async with client_of(oracle, ledger) as client:
        await client.ask(Ask(tiny_images(2)))
        state = ledger.budget(client.budget)

    assert isinstance(client.halt.error, UsageError)
    assert (oracle.requests, state.held) == (0, Units())


async def test_what_an_oracle_refuses_to_send_is_not_counted_as_sent(ledger: Ledger) -> None:
    """Without a key nothing leaves: no query is sent, and none is paid."""
    oracle = FakeOracle(script=lambda _: UsageError("the environment variable 'KEY' is unset or empty"))
    async with client_of(oracle, ledger) as client:
        await client.ask(Ask(tiny_images(3)))
        tally, state = client.tally, ledger.budget(client.budget)

    assert (tally.sent, tally.unknown) == (0, 0)
    assert (state.posted, state.held) == (Units(), Units())


async def test_each_image_is_rendered_and_encoded_once_off_the_loop(ledger: Ledger) -> None:
    """Retries and repeats share one rendering, which never runs on the event loop's thread."""
    rendered: list[str] = []
    encoded: list[str] = []

    class Images:
        def __len__(self) -> int:
            return 6

        def __getitem__(self, row: int, /) -> Image:
            rendered.append(threading.current_thread().name)
            image: Image = tiny_images(6)[row]
            return image

    class Noting(FakeOracle):
        def encode(self, image: Image) -> Image:
            encoded.append(threading.current_thread().name)
            return image

    oracle = Noting(script=failing_first(OutcomeUnknown("lost")))
    async with client_of(oracle, ledger) as client:
        await client.ask(Ask(Images(), repeat=3))

    assert len(rendered) == len(encoded) == 6
    assert {name.rpartition("_")[0] for name in rendered + encoded} == {"bbquery-render"}


async def test_rows_in_work_are_bounded(ledger: Ledger) -> None:
    """However many rows are asked, those rendered fit four times into the requests in flight and one to come."""
    rendered = 0

    class Images:
        def __len__(self) -> int:
            return 1000

        def __getitem__(self, row: int, /) -> Image:
            nonlocal rendered
            rendered += 1
            return np.full((8, 8, 3), row % 256, np.uint8) + np.uint8(row // 256)

    oracle = FakeOracle(largest_batch=2, concurrency=3, gated=True)
    async with client_of(oracle, ledger) as client:
        asking = asyncio.create_task(client.ask(Ask(Images())))
        while oracle.requests < 3:
            await asyncio.sleep(0)
        in_work = rendered
        client.halt.set(Interrupted("enough"))
        oracle.gate.set()
        await asking

    assert in_work <= 4 * 2 * (3 + 1)


async def test_two_clients_on_one_budget_never_pass_it_together(ledger: Ledger) -> None:
    """Side by side under one cap, both make progress and the sum stays within it."""
    oracles = [FakeOracle(largest_batch=1, version=v) for v in ("a", "b")]
    async with client_of(oracles[0], ledger, cap=20) as first, client_of(oracles[1], ledger, cap=20) as second:
        await asyncio.gather(first.ask(Ask(tiny_images(30))), second.ask(Ask(tiny_images(30))))

    assert sum(oracle.billed for oracle in oracles) == 20
    assert min(oracle.billed for oracle in oracles) >= 1


async def test_clients_of_two_processes_pay_an_equal_question_once(ledger: Ledger) -> None:
    """A question that another process has in flight is waited for and then served from the store."""
    images = tiny_images(4)
    first_oracle = FakeOracle(gated=True)
    second_oracle = FakeOracle()
    with Ledger(ledger.path) as other:
        async with client_of(first_oracle, ledger) as first, client_of(second_oracle, other) as second:
            asking = [asyncio.create_task(first.ask(Ask(images)))]
            while first_oracle.requests < 1:
                await asyncio.sleep(0)
            asking.append(asyncio.create_task(second.ask(Ask(images))))
            while not second._dispatcher._reservations.followers:
                await asyncio.sleep(0)
            first_oracle.gate.set()
            rows = await asyncio.gather(*asking)
            tally = second.tally

    assert values(rows[0]) == values(rows[1]) == expected(images)
    assert (first_oracle.billed, second_oracle.billed) == (4, 0)
    assert (tally.sent, tally.from_store) == (0, 4)


FAULTS = st.sampled_from(["fine", "fine", "fine", "limited", "unreachable", "dropped", "lost", "timeout"])


def fault(kind: str) -> OracleError | None:
    match kind:
        case "limited":
            return RateLimited("429", retry_after=0.5)
        case "unreachable":
            return Unreachable("refused")
        case "dropped" | "lost" | "timeout":
            return OutcomeUnknown(kind)
    return None


@settings(max_examples=40, deadline=None)
@given(
    cap=st.integers(1, 40),
    rows=st.integers(1, 30),
    largest_batch=st.integers(1, 7),
    concurrency=st.integers(1, 5),
    repeat=st.integers(1, 3),
    faults=st.lists(FAULTS, min_size=1, max_size=25),
    interrupt_after=st.none() | st.integers(0, 12),
    abandon=st.booleans(),
)
async def test_no_fault_overdraws_or_hides_a_bill(
    cap: int,
    rows: int,
    largest_batch: int,
    concurrency: int,
    repeat: int,
    faults: list[str],
    interrupt_after: int | None,
    abandon: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Whatever the concurrency, batches, faults, retries and cancellations, two things hold.

    At every commit posted + held <= cap; and the oracle's own count of answered images never exceeds what the ledger
    holds as posted or unknown.
    """
    path = tmp_path_factory.mktemp("ledger") / "l.sqlite3"
    client: Client

    def script(number: int) -> OracleError | None:
        if interrupt_after is not None and number >= interrupt_after:
            client.halt.set(Interrupted("stop"))
            if abandon:
                client.abandon()
        return fault(faults[number % len(faults)])

    with Ledger(path) as ledger:
        guard_caps(ledger)
        oracle = FakeOracle(
            script=script,
            largest_batch=largest_batch,
            concurrency=concurrency,
            lost_after_answering=lambda n: faults[n % len(faults)] == "lost",
        )
        budget = ledger.open_budget("run", Cap(queries=cap))
        policy = RetryPolicy(rate_limited=3, not_billed=3, unknown=3)
        async with Client(oracle, ledger, budget, clock=FakeClock(), retry=policy) as client:
            answered = await client.ask(Ask(tiny_images(rows), repeat=repeat))
        state, unknowns = ledger.budget(budget), ledger.unknowns(budget)

    assert state.posted.queries + state.held.queries <= cap
    assert state.held.queries == len(unknowns)
    assert oracle.billed <= state.posted.queries + len(unknowns)
    assert sum(a is not None for row in answered for a in row) == state.posted.queries
    assert isinstance(client.halt.error, BudgetExhausted | OracleError | Interrupted | None)


def test_only_unbilled_outcomes_release_holds() -> None:
    """Among all errors of an oracle, exactly those under NotBilled are voided."""

    def family(kind: type[OracleError]) -> set[type[OracleError]]:
        return {kind}.union(*(family(sub) for sub in kind.__subclasses__()))

    assert {kind for kind in family(OracleError) if kind.outcome == "voided"} == family(NotBilled)
