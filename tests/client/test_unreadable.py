"""An answer that cannot be read is paid, asked again as a new attempt, and ends no run: many in a row do."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest

import bbquery
from bbquery.client.attempt import MOST_UNREADABLE
from bbquery.client.client import Client, QueryCounts
from bbquery.client.retry import RetryPolicy
from bbquery.commands.output import counted
from bbquery.errors import CostAboveHold, MalformedAnswer, OracleError
from bbquery.ledger.records import Cap, Unreadable
from bbquery.plan import Ask
from bbquery.types import NoAnswer, Reply, Vector
from bbquery.units import Units
from tests.support.clocks import FakeClock
from tests.support.images import tiny_images
from tests.support.oracles import FakeOracle, brightness, client_of

if TYPE_CHECKING:
    from bbquery.ledger.ledger import Ledger
    from bbquery.types import Answer, Image

TRIES = RetryPolicy().unreadable
JUNK = MalformedAnswer("it is not JSON: <html>bad gateway</html>")


def junk_at(junk: Callable[[Image, int], bool], **options: object) -> FakeOracle:
    """An oracle that answers junk where `junk` says so of an image and the number of its try."""
    tries: Counter[bytes] = Counter()

    def reply(image: Image) -> Answer | OracleError:
        tries[image.tobytes()] += 1
        return JUNK if junk(image, tries[image.tobytes()]) else brightness(image)

    return FakeOracle(remote=True, reply=reply, **({"largest_batch": 1} | options))  # type: ignore[arg-type]


def kinds(rows: list[list[Reply | None]]) -> list[str]:
    """What came back: "read", "nothing", or the kind of no answer."""
    answers = [None if reply is None else reply.answer for (reply,) in rows]
    return [a.kind if isinstance(a, NoAnswer) else "read" if isinstance(a, Vector) else "nothing" for a in answers]


async def test_what_cannot_be_read_is_asked_again_and_both_are_paid(ledger: Ledger) -> None:
    """A query whose first answer cannot be read is answered by the second, and the run says that it paid twice."""
    images = tiny_images(6)
    oracle = junk_at(lambda image, tries: tries == 1 and (image == images[3]).all())
    async with client_of(oracle, ledger) as client:
        rows = await client.ask(Ask(images))
        state, tally = ledger.budget(client.budget), client.tally

    assert kinds(rows) == ["read"] * 6
    assert client.halt.error is None
    assert state.posted.queries == 7
    assert tally == QueryCounts(asked=6, sent=7, from_store=0, unknown=0, unreadable=1, paid_again=1, answered=6)
    assert counted(tally).endswith("; 1 paid answer could not be read, 1 of these queries were paid again")


async def test_what_stays_unreadable_is_no_answer_and_the_run_goes_on(ledger: Ledger) -> None:
    """After a few tries a query stays without an answer; that is not stored, so the next run asks it again."""
    images = tiny_images(6)
    broken = [True]
    oracle = junk_at(lambda image, _: broken[0] and bool((image == images[3]).all()))
    async with client_of(oracle, ledger) as client:
        rows = await client.ask(Ask(images))
        tally = client.tally
    broken[0] = False
    async with client_of(oracle, ledger) as client:
        again = await client.ask(Ask(images))
        later = client.tally

    assert kinds(rows) == ["read"] * 3 + ["unreadable"] + ["read"] * 2
    assert "bad gateway" in str(rows[3][0] and rows[3][0].answer)
    assert (tally.sent, tally.unreadable, tally.paid_again) == (5 + TRIES, TRIES, TRIES - 1)
    assert (tally.answered, later.answered) == (5, 6)
    assert kinds(again) == ["read"] * 6
    assert (later.sent, later.from_store, later.unreadable, later.paid_again) == (1, 5, TRIES, TRIES)


async def test_each_try_is_paced_like_any_retry(ledger: Ledger) -> None:
    """Before what could not be read is asked again some time passes, since gateways fail for moments."""
    images, clock = tiny_images(2), FakeClock()
    oracle = junk_at(lambda image, _: bool((image == images[1]).all()))
    async with client_of(oracle, ledger, clock=clock) as client:
        await client.ask(Ask(images))

    assert sum(clock.slept) > 0


async def test_many_requests_in_a_row_that_cannot_be_read_end_the_run_with_the_reason(ledger: Ledger) -> None:
    """A server that has only junk left is not paid for it for ever."""
    images = tiny_images(200)
    oracle = junk_at(lambda image, _: not (image == images[0]).all(), concurrency=2)
    async with client_of(oracle, ledger, cap=10_000) as client:
        await client.ask(Ask(images[:1]))
        rows = await client.ask(Ask(images))

    assert kinds(rows)[0] == "read"
    assert f"{MOST_UNREADABLE} requests in a row" in client.halt.reason
    assert "bad gateway" in client.halt.reason
    assert oracle.requests <= 1 + MOST_UNREADABLE + oracle.concurrency


async def test_where_nothing_was_ever_read_the_first_query_ends_the_run(ledger: Ledger) -> None:
    """A server that speaks another protocol costs no more than the tries of one query."""
    oracle = junk_at(lambda *_: True)
    async with client_of(oracle, ledger) as client:
        rows = await client.ask(Ask(tiny_images(1)))

    assert kinds(rows) == ["nothing"]
    assert isinstance(client.halt.error, MalformedAnswer)
    assert oracle.requests == TRIES


async def test_a_batch_of_which_one_answer_cannot_be_read_is_no_unreadable_request(ledger: Ledger) -> None:
    """Only requests that brought nothing else count towards the end of a run."""
    images = tiny_images(400)
    oracle = junk_at(lambda image, _: bool(image.sum() % 4 == 0), largest_batch=8)
    async with client_of(oracle, ledger, cap=10_000) as client:
        rows = await client.ask(Ask(images))

    assert client.halt.error is None
    assert set(kinds(rows)) == {"read", "unreadable"}


async def test_a_function_in_this_process_is_not_asked_again(ledger: Ledger) -> None:
    """The same function would say the same: what it answers wrongly stays without an answer at once."""
    images = tiny_images(6)
    oracle = FakeOracle(reply=lambda image: JUNK if (image == images[3]).all() else brightness(image), largest_batch=1)
    async with client_of(oracle, ledger) as client:
        rows = await client.ask(Ask(images))

    assert kinds(rows) == ["read"] * 3 + ["unreadable"] + ["read"] * 2
    assert oracle.requests == 6


async def test_a_cap_counts_every_try(ledger: Ledger) -> None:
    """What cannot be read never lets a run pass its cap."""
    asked = itertools.count()
    oracle = junk_at(lambda _image, _tries: next(asked) % 2 == 1)  # by turns, since many in a row end a run
    async with client_of(oracle, ledger, cap=20) as client:
        await client.ask(Ask(tiny_images(50)))
        state = ledger.budget(client.budget)

    assert state.posted.queries == 20
    assert isinstance(client.halt.error, bbquery.BudgetExhausted)


async def test_what_cannot_be_read_and_cost_more_than_its_hold_ends_the_run(ledger: Ledger) -> None:
    """No cap is safe then, so it is not asked again."""
    dear = MalformedAnswer("junk", cost=Units(queries=1, tokens=10**6, picodollars=10**12))
    images = tiny_images(3)

    def reply(image: Image) -> Answer | OracleError:
        return dear if (image == images[1]).all() else brightness(image)

    oracle = FakeOracle(reply, remote=True, largest_batch=1, concurrency=1)
    async with client_of(oracle, ledger) as client:
        await client.ask(Ask(images))
        state = ledger.budget(client.budget)

    assert isinstance(client.halt.error, CostAboveHold)
    assert "The answer is kept" not in client.halt.reason
    assert (oracle.requests, state.posted.picodollars) == (2, 10**12)


def test_a_run_with_unreadable_answers_ends_whole(ledger: Ledger) -> None:
    """A map rests on what was read; the photo asked again and not readable is no drift of the model."""
    photo = np.full((8, 8, 3), 200, np.uint8)
    oracle = junk_at(lambda image, tries: bool((image == photo).all() and tries > 3))
    found = bbquery.explain(
        photo, oracle, target="bright", max_queries=130, drift_every=40, method="rise", ledger=ledger
    )

    assert not found.partial
    assert not found.drift.drifted
    assert found.queries.unreadable > 0


async def test_the_books_of_an_earlier_run_are_counted(ledger: Ledger) -> None:
    """What an interrupted run paid for nothing is named by the run that resumes it."""
    images = tiny_images(2)
    budget = ledger.open_budget("run", Cap(queries=50))
    oracle = junk_at(lambda image, tries: tries <= TRIES and bool((image == images[1]).all()))
    for _ in range(2):
        async with Client(oracle, ledger, budget, clock=FakeClock()) as client:
            rows = await client.ask(Ask(images))

    assert kinds(rows) == ["read", "read"]
    assert ledger.unreadable(budget) == Unreadable(answers=TRIES, unanswered=0)


@pytest.mark.parametrize("tries", [1, 2, 5])
async def test_a_policy_says_how_often_what_cannot_be_read_is_asked(ledger: Ledger, tries: int) -> None:
    """The number of tries is the caller's, first try included."""
    images = tiny_images(2)
    oracle = junk_at(lambda image, _: bool((image == images[1]).all()))
    budget = ledger.open_budget("run", Cap(queries=50))
    async with Client(oracle, ledger, budget, retry=RetryPolicy(unreadable=tries), clock=FakeClock()) as client:
        await client.ask(Ask(images[:1]))
        await client.ask(Ask(images))

    assert oracle.requests == 1 + tries
