"""What a client asks, in which order, how often, and what it pays."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bbquery.client.client import QueryCounts
from bbquery.client.halt import Interrupted
from bbquery.errors import (
    BudgetExhausted,
    MalformedAnswer,
    OracleError,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    Unreachable,
)
from bbquery.plan import Ask
from bbquery.types import Image, Text, Vector
from bbquery.units import Units
from tests.support.clocks import ManualClock
from tests.support.images import tiny_images
from tests.support.oracles import FakeOracle, brightness, client_of, failing_first

if TYPE_CHECKING:
    from bbquery.ledger.ledger import Ledger
    from bbquery.types import Answer
from tests.support.answered import expected, values


async def test_answers_come_back_in_order(ledger: Ledger) -> None:
    """Whatever the batches and the concurrency, row i of the answers belongs to row i of the images."""
    images = tiny_images(50)
    async with client_of(FakeOracle(), ledger) as client:
        rows = await client.ask(Ask(images))

    assert values(rows) == expected(images)


async def test_batches_are_as_large_as_the_oracle_takes(ledger: Ledger) -> None:
    """40 queries to an oracle that takes 8 are 5 requests."""
    oracle = FakeOracle(largest_batch=8, concurrency=2)
    async with client_of(oracle, ledger) as client:
        await client.ask(Ask(tiny_images(40)))

    assert oracle.batch_sizes == [8] * 5


async def test_concurrency_is_used_and_never_passed(ledger: Ledger) -> None:
    """With 3 requests allowed in flight, 3 are, and never 4."""
    oracle = FakeOracle(largest_batch=1, concurrency=3, gated=True)
    async with client_of(oracle, ledger) as client:
        asking = asyncio.create_task(client.ask(Ask(tiny_images(20))))
        while oracle.requests < 3:
            await asyncio.sleep(0)
        oracle.gate.set()
        await asking

    assert oracle.most_in_flight == 3


async def test_a_second_run_sends_nothing(ledger: Ledger) -> None:
    """What was answered once is served from the store, also to another client."""
    images = tiny_images(10)
    oracle = FakeOracle()
    async with client_of(oracle, ledger) as client:
        first = await client.ask(Ask(images))
    async with client_of(oracle, ledger) as client:
        second = await client.ask(Ask(images))
        tally = client.tally

    assert values(second) == values(first)
    assert tally == QueryCounts(asked=10, sent=0, from_store=10, unknown=0, answered=10)
    assert oracle.billed == 10


async def test_another_model_version_is_asked_again(ledger: Ledger) -> None:
    """The oracle's identity is part of every key."""
    images = tiny_images(3)
    for version in ("1", "2"):
        oracle = FakeOracle(version=version)
        async with client_of(oracle, ledger) as client:
            await client.ask(Ask(images))

    assert oracle.billed == 3


async def test_equal_questions_in_flight_are_sent_once(ledger: Ledger) -> None:
    """Two equal rows share one attempt, and are one question asked."""
    images = np.repeat(tiny_images(1), 6, axis=0)
    oracle = FakeOracle(largest_batch=1)
    async with client_of(oracle, ledger) as client:
        rows = await client.ask(Ask(images))
        tally = client.tally

    assert values(rows) == expected(images)
    assert (oracle.billed, tally.asked, tally.sent, tally.from_store) == (1, 1, 1, 0)


async def test_a_shared_question_outlives_who_asked_first(ledger: Ledger) -> None:
    """Cancelling the first of two who share an attempt leaves the second its answer."""
    images = tiny_images(1)
    oracle = FakeOracle(gated=True)
    async with client_of(oracle, ledger) as client:
        first = asyncio.create_task(client.ask(Ask(images)))
        while oracle.requests < 1:
            await asyncio.sleep(0)
        second = asyncio.create_task(client.ask(Ask(images)))
        while sum(map(len, client._flights._waiting.values())) < 2:
            await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.to_thread(lambda: None)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        oracle.gate.set()
        rows = await second

    assert values(rows) == expected(images)
    assert oracle.billed == 1


async def test_once_interrupted_not_even_stored_answers_are_read(ledger: Ledger) -> None:
    """A person who interrupts does not wait for a thousand rows to be rendered and looked up."""
    images = tiny_images(5)
    async with client_of(FakeOracle(), ledger) as client:
        await client.ask(Ask(images))
    async with client_of(FakeOracle(), ledger) as client:
        client.halt.set(Interrupted("Ctrl-C"))
        rows = await client.ask(Ask(images))

    assert values(rows) == [None] * 5


async def test_repeats_are_asked_each_and_remembered_each(ledger: Ledger) -> None:
    """repeat=5 pays for five samples, and a rerun with repeat=6 for one more."""
    oracle = FakeOracle()
    async with client_of(oracle, ledger) as client:
        rows = await client.ask(Ask(tiny_images(2), repeat=5))
        await client.ask(Ask(tiny_images(2), repeat=6))

    assert [len(row) for row in rows] == [5, 5]
    assert oracle.billed == 12


async def test_rows_may_have_repeats_of_their_own(ledger: Ledger) -> None:
    """Each row is asked as often as it says."""
    oracle = FakeOracle()
    async with client_of(oracle, ledger) as client:
        rows = await client.ask(Ask(tiny_images(3), repeat=(1, 3, 2)))

    assert [len(row) for row in rows] == [1, 3, 2]
    assert oracle.billed == 6


async def test_the_cap_is_spent_to_the_last_query_and_not_passed(ledger: Ledger) -> None:
    """10 rows under a cap of 7: seven are answered, three are not, and the halt says why."""
    oracle = FakeOracle(largest_batch=4)
    async with client_of(oracle, ledger, cap=7) as client:
        rows = await client.ask(Ask(tiny_images(10)))

    answered = [value for value in values(rows) if value is not None]
    assert (len(answered), oracle.billed) == (7, 7)
    assert isinstance(client.halt.error, BudgetExhausted)


async def test_after_the_cap_stored_answers_are_still_served(ledger: Ledger) -> None:
    """An exhausted budget stops sending and encoding, not reading."""
    images = tiny_images(8)
    encoded: list[Image] = []

    class Noting(FakeOracle):
        def encode(self, image: Image) -> Image:
            encoded.append(image)
            return image

    oracle = Noting()
    async with client_of(oracle, ledger, cap=4) as client:
        await client.ask(Ask(images[4:]))
    async with client_of(oracle, ledger, cap=4) as client:
        first = await client.ask(Ask(images))
        encoded.clear()
        again = await client.ask(Ask(images))

    assert values(first) == values(again) == [None] * 4 + expected(images[4:])
    assert not encoded


async def test_a_refusal_in_flight_does_not_end_the_run(ledger: Ledger) -> None:
    """A budget that looks empty while holds are in flight is not given up: one of them may be given back (429)."""
    late = asyncio.Event()

    async def work(request: int) -> None:
        if request == 0:
            await late.wait()

    refused = failing_first(RateLimited("slow down", retry_after=1.0))
    oracle = FakeOracle(script=refused, work=work, largest_batch=1, concurrency=3)
    async with client_of(oracle, ledger, cap=3) as client:
        asking = asyncio.create_task(client.ask(Ask(tiny_images(5))))
        while not (client._dispatcher._queue.short_of_budget or client.halt):
            await asyncio.sleep(0)
        late.set()
        rows = await asking

    assert sum(value is not None for value in values(rows)) == oracle.billed == 3


async def test_a_rate_limit_is_obeyed_and_costs_nothing(ledger: Ledger) -> None:
    """429 with Retry-After: nothing is held, and no query at all starts before the time it named."""
    clock = ManualClock()
    script, paid = failing_first(RateLimited("slow down", retry_after=7.5)), Units(queries=1, picodollars=5)
    oracle = FakeOracle(script=script, largest_batch=1, concurrency=1, hold=paid)
    async with client_of(oracle, ledger, clock=clock) as client:
        asking = asyncio.create_task(client.ask(Ask(tiny_images(4))))
        while len(clock.sleepers) < 2:  # the query that was told to wait, and the pace for all others
            await asyncio.sleep(0)
        held = ledger.budget(client.budget).held
        clock.advance(7.4)
        for _ in range(20):
            await asyncio.to_thread(lambda: None)
        started_early = oracle.requests
        clock.advance(0.2)
        await asking
        state = ledger.budget(client.budget)

    assert (held, started_early) == (Units(), 1)
    assert (state.posted, state.held) == (Units(queries=4, picodollars=20), Units())


async def test_a_retry_is_charged_as_a_new_attempt(ledger: Ledger) -> None:
    """A query whose outcome is unknown stays held, and its retry is paid beside it."""
    oracle = FakeOracle(script=failing_first(OutcomeUnknown("dropped")), largest_batch=1)
    async with client_of(oracle, ledger) as client:
        rows = await client.ask(Ask(tiny_images(3)))
        state, tally = ledger.budget(client.budget), client.tally

    assert None not in values(rows)
    assert (state.posted.queries, state.held.queries) == (3, 1)
    assert (tally.sent, tally.unknown) == (4, 1)


@pytest.mark.parametrize(
    ("error", "tries"),
    [(OutcomeUnknown("lost"), 6), (Unreachable("no route"), 6), (RateLimited("busy"), 30), (Rejected("bad key"), 1)],
)
async def test_tries_are_bounded_by_how_they_end(ledger: Ledger, error: OracleError, tries: int) -> None:
    """Doubtful outcomes get 6 tries, unbilled ones 6, rate limits 30, final refusals 1; then the run halts with it."""
    oracle = FakeOracle(script=lambda _: error)
    async with client_of(oracle, ledger) as client:
        rows = await client.ask(Ask(tiny_images(1)))

    assert values(rows) == [None]
    assert oracle.requests == tries
    assert client.halt.error is error


async def test_an_item_that_fails_alone_is_settled_and_retried_alone(ledger: Ledger) -> None:
    """One error inside a batch leaves its neighbours' answers as they are."""
    dark = np.zeros((8, 8, 3), np.uint8)
    failures = iter([OutcomeUnknown("this image only")])

    def reply(image: Image) -> Answer | OracleError:
        return next(failures, brightness(image)) if not image.any() else brightness(image)

    images = np.concatenate([tiny_images(3), dark[None]])
    oracle = FakeOracle(reply=reply, largest_batch=4)
    async with client_of(oracle, ledger) as client:
        rows = await client.ask(Ask(images))
        state = ledger.budget(client.budget)

    assert values(rows) == expected(images)
    assert oracle.batch_sizes == [4, 1]
    assert (state.posted.queries, state.held.queries) == (4, 1)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Vector(np.array([0.5, np.nan])), "class 1 is nan"),
        (Vector(np.array([0.1, 0.2, 0.7])), "3 numbers for 2 classes"),
        (Vector(np.array([-3.0, 4.0])), "declare answers=scores"),
        (Vector(np.zeros((2, 2))), "shape"),
        (Text("a cat"), "promised probabilities, answered Text"),
    ],
)
async def test_an_answer_that_breaks_its_promise_halts_and_is_paid(ledger: Ledger, answer: Answer, said: str) -> None:
    """NaN, wrong length, wrong range, wrong kind: a clear error, posted, not stored, not asked again."""
    oracle = FakeOracle(reply=lambda _: answer)
    async with client_of(oracle, ledger) as client:
        rows = await client.ask(Ask(tiny_images(1)))
        state = ledger.budget(client.budget)

    assert rows == [[None]]
    assert isinstance(client.halt.error, MalformedAnswer)
    assert said in str(client.halt.error)
    assert (state.posted.queries, oracle.requests) == (1, 1)
