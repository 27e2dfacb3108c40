"""Results of OpenAI's batches that fail, over both transports: what was paid, what may have been, and the key."""

from __future__ import annotations

import json
import traceback
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from bbquery import money
from bbquery.errors import (
    MalformedAnswer,
    OracleError,
    OutcomeUnknown,
    QuotaExceeded,
    RateLimited,
    Rejected,
    UnknownPrice,
)
from bbquery.types import NoAnswer, Reply, Text
from bbquery.units import Units
from oracles._openai.batch_result import Unasked
from tests.support.openai_batch_helpers import at, collected
from tests.support.openai_helpers import KEY, completion, mistake, response, text_part

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bbquery.batch_oracle import BatchOracle
    from tests.support.http_helpers import Handler
from tests.support.openai_broken_batches import DOUBTFUL, batch, line, saying, submitting, told, vendor

PAID = Units(1, 103, 100 * 75_000 + 3 * 300_000)  # of `completion`, at gpt-4o-mini's price in a batch


pytestmark = pytest.mark.usefixtures("openai_key", "either_transport")


@asynccontextmanager
async def resulting(
    output: bytes | Handler, *, errors: bytes | None = None, completed: int = 0
) -> AsyncIterator[BatchOracle]:
    """Give an oracle at a server where a batch has these results."""
    counts = {"total": 9, "completed": completed, "failed": 0}
    ended = batch(output_file_id="out", error_file_id=None if errors is None else "err", request_counts=counts)
    routes: dict[str, Handler] = {
        "GET /batches/batch_1": saying(json.dumps(ended).encode()),
        "GET /files/out/content": saying(output, "application/octet-stream") if isinstance(output, bytes) else output,
        "GET /files/err/content": saying(errors or b"", "application/octet-stream"),
    }
    async with vendor(routes) as (oracle, _):
        yield oracle


async def give(oracle: BatchOracle, given: list[str]) -> None:
    """Add the names of the results to `given` as they come."""
    async for name, _ in oracle.batch_results("batch_1"):
        given.append(name)  # one by one: what was given before a failure counts


async def only(output: bytes) -> tuple[str, Reply | OracleError]:
    """Return the one result of a batch."""
    async with resulting(output) as oracle:
        (found,) = (await collected(oracle, "batch_1")).items()
    return found


# --- what came of it ---


@pytest.mark.parametrize("tier", ["default", "flex", "priority", "batch", "auto", None])
async def test_the_tier_that_an_answer_names_is_the_vendors_business(tier: str | None) -> None:
    """The batch price holds, and nothing is said to have drifted."""
    name, found = await only(line(completion(service_tier=tier)))

    assert name == "a"
    assert isinstance(found, Reply)
    assert found.answer == Text("cat", ())
    assert found.cost == PAID
    assert found.served == "gpt-4o-mini-2024-07-18"


@pytest.mark.parametrize(
    ("sent", "kind", "outcome"),
    [
        (line(error={"code": "batch_expired", "message": "late"}, response=None), Unasked, "voided"),
        (line(error={"code": "batch_cancelled", "message": "stop"}, response=None), Unasked, "voided"),
        (line(error={"code": "request_timeout", "message": "late"}, response=None), OutcomeUnknown, "unknown"),
        (line(error={}, response=None), OutcomeUnknown, "unknown"),
        (line(mistake("no", code="invalid_image"), status=400), Rejected, "voided"),
        (line("no", status=404), Rejected, "voided"),
        (line(mistake("no", code="rate_limit_exceeded"), status=429), RateLimited, "voided"),
        (line(mistake("no", code="insufficient_quota"), status=429), QuotaExceeded, "voided"),
        (line(mistake("no"), status=408), OutcomeUnknown, "unknown"),
        (line(mistake("no"), status=500), OutcomeUnknown, "unknown"),
        (line(None, status=503), OutcomeUnknown, "unknown"),
        (line(response=None), MalformedAnswer, "posted"),
        (line("text"), MalformedAnswer, "posted"),
        (line(response={"status_code": 204, "body": {}}), MalformedAnswer, "posted"),
        (line({"choices": []}), MalformedAnswer, "posted"),
        (b'{"custom_id": "a", "response": {"status_code": 200, "bo\n', MalformedAnswer, "posted"),
        (b'{"custom_id":"a"} what\n', MalformedAnswer, "posted"),
    ],
)
async def test_a_line_without_an_answer_says_what_it_may_have_cost(
    sent: bytes, kind: type[OracleError], outcome: str
) -> None:
    """Never worked on or refused: free. Failed: perhaps paid. Answered with what cannot be read: paid."""
    name, found = await only(sent)

    assert name == "a"
    assert type(found) is kind
    assert found.outcome == outcome


async def test_a_line_that_a_filter_refused_is_an_answer() -> None:
    """As it is outside a batch."""
    _, found = await only(line(mistake("no", code="content_policy_violation"), status=400))

    assert isinstance(found, Reply)
    assert isinstance(found.answer, NoAnswer)
    assert found.cost is None


async def test_an_answer_that_cannot_be_read_costs_what_it_says() -> None:
    """At the price of a batch."""
    _, found = await only(line(completion(choices=[])))

    assert isinstance(found, MalformedAnswer)
    assert found.cost == PAID


async def test_a_response_that_failed_is_in_doubt() -> None:
    """The responses API says so in a success."""
    failed = line(response(status="failed", error={"code": "server_error", "message": "no"}))
    routes = {
        "GET /batches/batch_1": saying(json.dumps(batch(output_file_id="out")).encode()),
        "GET /files/out/content": saying(failed + line(response(text_part("cat")), name="b")),
    }
    async with vendor(routes, api="responses") as (oracle, _):
        found = await collected(oracle, "batch_1")

    assert isinstance(found["a"], OutcomeUnknown)
    assert isinstance(found["b"], Reply)


@pytest.mark.parametrize(
    "sent", [b"what\n", b"[]\n", line(custom_id=["a"]), line(custom_id=None), b'{"custom_id": "\\u0061", what\n']
)
async def test_a_line_without_a_name_is_given_without_one(sent: bytes) -> None:
    """It is paid, and nobody's; the others are read all the same."""
    async with resulting(sent + line()) as oracle:
        found = await collected(oracle, "batch_1")

    assert set(found) == {"", "a"}
    assert isinstance(found["a"], Reply)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\n\n", b""])
async def test_lines_end_as_they_like(end: bytes) -> None:
    """An empty line is none, and the last needs no end where it is whole."""
    async with resulting(line().rstrip() + b"\n" + line(name="b").rstrip() + end, completed=2) as oracle:
        found = await collected(oracle, "batch_1")

    assert sorted(found) == ["a", "b"]


async def test_a_file_that_ends_within_a_line_is_fetched_again() -> None:
    """What came before is given; the half is nobody's malformed answer."""
    async with resulting(line() + line(name="b")[:-9]) as oracle:
        given: list[str] = []
        with pytest.raises(OutcomeUnknown, match="end in the middle of a line; fetch them again"):
            await give(oracle, given)

    assert given == ["a"]


async def test_a_file_that_ends_between_lines_is_fetched_again() -> None:
    """The vendor counts its answers, so that one that is missing shows; failures are given all the same."""
    async with resulting(line(), errors=line("no", name="b", status=400), completed=2) as oracle:
        given: list[str] = []
        with pytest.raises(OutcomeUnknown, match="counts 2 answers in batch_1 and gave 1; fetch them again"):
            await give(oracle, given)

    assert given == ["a", "b"]


@pytest.mark.parametrize("how", ["dropped", "broken off", "500"])
async def test_results_that_cannot_be_fetched_are_told(how: str) -> None:
    """It says nothing about any line, and may be tried again."""
    async with resulting(DOUBTFUL[how]) as oracle:
        with pytest.raises(OutcomeUnknown) as caught:
            await collected(oracle, "batch_1")

    assert caught.value.retryable


async def test_a_file_of_results_that_is_gone_is_told() -> None:
    """The vendor keeps them for 30 days."""
    async with resulting(told(404)) as oracle:
        with pytest.raises(Rejected, match="GET /files/out/content gave 404"):
            await collected(oracle, "batch_1")


async def test_long_lines_are_put_together_again() -> None:
    """They come in pieces of their own size."""
    text = "cat " * 50_000
    _, found = await only(line(completion(text)))

    assert isinstance(found, Reply)
    assert isinstance(found.answer, Text)
    assert found.answer.text == text


async def test_results_are_not_read_without_a_price() -> None:
    """They would be answers that cannot be paid; a price that is stated later still finds them."""
    async with at("http://127.0.0.1:9/v1", model="gpt-4o") as oracle:
        file = money.user_file()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text('[openai."gpt-4o"]\ninput = "2.50"\noutput = "10.00"\n')
        with pytest.raises(UnknownPrice):
            await collected(oracle, "batch_1")


# --- the key ---


async def test_a_key_that_a_server_echoes_is_hidden(tmp_path: Path) -> None:
    """In results as in errors, and in what led to them."""
    echoes = line(completion(f"the key is {KEY}")) + line(mistake(f"bad key {KEY}"), name="b", status=400)
    echoes += line(error={"code": KEY, "message": KEY}, name="c") + b'{"custom_id": "d", ' + KEY.encode() + b"\n"
    async with resulting(echoes) as oracle:
        found = await collected(oracle, "batch_1")
    async with resulting(told(401, message=f"bad key {KEY}")) as oracle:
        with pytest.raises(Rejected) as refused:
            await collected(oracle, "batch_1")
    error, _ = await submitting(tmp_path, create=told(401, message=f"bad key {KEY}", code=KEY))
    doubt, _ = await submitting(tmp_path, upload=told(500, message=f"bad key {KEY}"), create=told(500))

    assert set(found) == set("abcd")
    assert KEY not in repr(found)
    for raised in (refused.value, error, doubt):
        assert KEY not in "".join(traceback.format_exception(raised))
