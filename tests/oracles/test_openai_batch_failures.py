"""How batches of the OpenAI oracle fail, over both transports: what is void, what may exist, what may have been paid.

Every failure is provoked at a real server: which errors the vendor's package makes of it is its business.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import traceback
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import openai
import pytest
from aiohttp import web

from bbquery import money
from bbquery.errors import (
    MalformedAnswer,
    NotBilled,
    OracleError,
    OutcomeUnknown,
    QuotaExceeded,
    RateLimited,
    Rejected,
    UnknownPrice,
    Unreachable,
    UsageError,
)
from bbquery.types import NoAnswer, Reply, Text
from bbquery.units import Units
from oracles._openai.batch_result import Unasked
from tests.support.http_helpers import serving
from tests.support.openai_batch_helpers import at, collected, names, written
from tests.support.openai_helpers import KEY, VARIABLE, completion, mistake, prepare, response, text_part

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bbquery.batch_oracle import BatchOracle
    from tests.support.http_helpers import Handler

FILE = {"id": "file-1", "object": "file", "bytes": 1, "created_at": 0, "filename": "a.jsonl", "purpose": "batch"}
PAID = Units(1, 103, 100 * 75_000 + 3 * 300_000)  # of `completion`, at gpt-4o-mini's price in a batch


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(monkeypatch)


@pytest.fixture(params=["aiohttp", "httpx2"], autouse=True)
def _transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test over aiohttp, and as if it were not installed."""
    if request.param == "httpx2":
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


def batch(**fields: Any) -> dict[str, Any]:
    """Return a batch as the vendor describes it; fields replace its own."""
    plain = {"id": "batch_1", "object": "batch", "endpoint": "/v1/chat/completions", "input_file_id": "file-1"}
    return plain | {"completion_window": "24h", "created_at": 0, "status": "completed"} | fields


def told(status: int, headers: dict[str, str] | None = None, *, message: str = "no", **fields: Any) -> Handler:
    """Return a handler that answers with the vendor's JSON for an error."""

    async def handler(_: web.Request) -> web.Response:
        return web.json_response(mistake(message, **fields), status=status, headers=headers)

    return handler


def saying(body: bytes, kind: str = "application/json") -> Handler:
    """Return a handler that answers 200 with these bytes."""

    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type=kind)

    return handler


async def hang_up(request: web.Request) -> web.Response:
    """Take the whole request, and drop the connection."""
    await request.read()
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def break_off(request: web.Request) -> web.StreamResponse:
    """Answer with half of what is announced."""
    answer = web.StreamResponse(headers={"Content-Length": "200", "Content-Type": "application/json"})
    await answer.prepare(request)
    await answer.write(b'{"id": "batch_1", ')
    assert request.transport is not None
    request.transport.close()
    return answer


async def never(request: web.Request) -> web.Response:
    """Answer nothing until the client has gone."""
    await request.read()
    await asyncio.get_running_loop().create_future()
    return web.Response()


JUNK = {
    "text": saying(b"<html>", "text/html"),
    "no JSON": saying(b'{"id": '),
    "a list": saying(b"[]"),
    "no id": saying(b"{}"),
    "an empty id": saying(b'{"id": ""}'),
    "an id that is none": saying(b'{"id": {"a": 1}}'),
}
DOUBTFUL: dict[str, Handler] = {
    "dropped": hang_up,
    "broken off": break_off,
    "never": never,
    **{str(status): told(status) for status in (408, 409, 499, 500, 502, 503, 504)},
    **JUNK,
}


@asynccontextmanager
async def vendor(routes: dict[str, Handler], **options: Any) -> AsyncIterator[tuple[BatchOracle, list[str]]]:
    """Give an oracle at a server with these routes, by method and path, and what it was asked for."""
    asked: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        asked.append(f"{request.method} {request.path}")
        return await routes[asked[-1]](request)

    async with serving(handler) as url, at(url, **options) as oracle:
        yield oracle, asked


async def submitting(folder: Path, **routes: Handler) -> tuple[OracleError, list[str]]:
    """Return what submitting raises where the server uploads and creates so, and what was asked for."""
    uploads = routes.get("upload") or saying(json.dumps(FILE).encode())
    async with vendor({"POST /files": uploads, "POST /batches": routes["create"]}, timeout=0.4) as (oracle, asked):
        file = written(oracle, folder, names(1))
        with pytest.raises(OracleError) as caught:
            await oracle.submit(file, "ours")
    return caught.value, asked


# --- handing over ---


@pytest.mark.parametrize("how", DOUBTFUL)
async def test_a_batch_that_may_have_been_made_is_in_doubt(how: str, tmp_path: Path) -> None:
    """Whatever happens once the request to make it has left: the hold stays, and nothing is sent twice."""
    error, asked = await submitting(tmp_path, create=DOUBTFUL[how])

    assert type(error) is OutcomeUnknown
    assert asked == ["POST /files", "POST /batches"]


@pytest.mark.parametrize("how", sorted(set(DOUBTFUL) - {"never"}))
async def test_a_file_in_doubt_is_no_batch(how: str, tmp_path: Path) -> None:
    """Nothing is charged for a file, so whatever happens to it is void, and may be tried again."""
    error, asked = await submitting(tmp_path, upload=DOUBTFUL[how], create=told(500))

    assert isinstance(error, Unasked)
    assert (error.outcome, error.retryable) == ("voided", True)
    assert "there is no batch" in str(error)
    assert asked == ["POST /files"]


async def test_an_upload_that_takes_too_long_is_no_batch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its time goes by its size, and when it is over nothing was submitted."""
    monkeypatch.setattr("oracles._openai.batches.SLOWEST_WORK", 0.0)

    error, _ = await submitting(tmp_path, upload=never, create=told(500))

    assert isinstance(error, Unasked)


@pytest.mark.parametrize("step", ["upload", "create"])
@pytest.mark.parametrize(
    ("handler", "kind"),
    [
        (told(429, {"retry-after": "7"}, code="rate_limit_exceeded"), RateLimited),
        (told(429, code="insufficient_quota"), QuotaExceeded),
        (told(402), QuotaExceeded),
        (told(400, code="billing_hard_limit_reached"), QuotaExceeded),
        (told(400, code="content_policy_violation"), Rejected),
        *((told(status), Rejected) for status in (400, 401, 403, 404, 413, 422, 307)),
    ],
)
async def test_what_is_refused_is_void(step: str, handler: Handler, kind: type[NotBilled], tmp_path: Path) -> None:
    """The vendor said no before any work, and says so once."""
    error, asked = await submitting(tmp_path, **{"create": handler, step: handler})

    assert type(error) is kind
    assert error.outcome == "voided"
    assert len(asked) == (1 if step == "upload" else 2)
    if isinstance(error, RateLimited):
        assert error.retry_after == 7.0


async def test_a_refused_connection_is_void(tmp_path: Path) -> None:
    """Nothing was sent."""
    async with at("http://127.0.0.1:9/v1") as oracle:
        file = written(oracle, tmp_path, names(1))
        with pytest.raises(Unreachable):
            await oracle.submit(file, "ours")


async def test_a_refused_connection_after_the_file_is_void(tmp_path: Path) -> None:
    """The file is at the vendor's, and a batch is not."""
    oracle: Any

    async def upload(request: web.Request) -> web.Response:
        await request.read()
        client = await oracle._endpoint._clients.here(openai.AsyncOpenAI)
        client.base_url = "http://127.0.0.1:9/v1"  # as if the server had gone
        return web.json_response(FILE)

    async with vendor({"POST /files": upload}) as (oracle, _):
        with pytest.raises(Unreachable):
            await oracle.submit(written(oracle, tmp_path, names(1)), "ours")


async def test_without_a_key_nothing_is_sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The caller's mistake, told as one."""
    monkeypatch.delenv(VARIABLE)
    async with vendor({}) as (oracle, asked):
        file = written(oracle, tmp_path, names(1))
        with pytest.raises(UsageError, match=VARIABLE):
            await oracle.submit(file, "ours")

    assert not asked


async def test_without_a_key_to_send_none_is_sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A server of one's own gets no key, not even one that lies about."""
    sent: list[str | None] = []

    async def handler(request: web.Request) -> web.Response:
        sent.append(request.headers.get("Authorization"))
        await request.read()
        listed = {"object": "list", "data": [], "has_more": False}
        return web.json_response(FILE if request.path == "/files" else batch(**listed))

    async with serving(handler) as url, at(url, key_env=None) as oracle:
        await oracle.submit(written(oracle, tmp_path, names(1)), "ours")
        await oracle.submitted("ours")
        await oracle.batch_state("batch_1")
        await collected(oracle, "batch_1")
        await oracle.cancel_batch("batch_1")

    assert sent == [None] * 6


async def test_what_is_handed_over_is_what_was_written(tmp_path: Path) -> None:
    """Byte by byte, as a file whose name the vendor takes, with our name on the batch."""
    forms: list[dict[str, Any]] = []
    made: list[dict[str, Any]] = []

    async def upload(request: web.Request) -> web.Response:
        form = await request.post()
        file = form["file"]
        assert isinstance(file, web.FileField)
        forms.append({"purpose": form["purpose"], "name": file.filename, "content": file.file.read()})
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        return web.json_response(FILE)

    async def create(request: web.Request) -> web.Response:
        made.append(await request.json())
        return web.json_response(batch())

    async with vendor({"POST /files": upload, "POST /batches": create}) as (oracle, _):
        file = written(oracle, tmp_path, names(200))
        assert await oracle.submit(file, "ours") == "batch_1"

    assert forms == [{"purpose": "batch", "name": "ours.jsonl", "content": file.read_bytes()}]
    assert made == [
        {
            "input_file_id": "file-1",
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
            "metadata": {"bbquery": "ours"},
        }
    ]


# --- finding it again ---


@pytest.mark.parametrize("how", sorted(set(DOUBTFUL) - {"never"} | {"a page of none", "a page of junk"}))
async def test_a_list_that_cannot_be_read_is_not_an_empty_one(how: str) -> None:
    """Else a batch that was made would be made again."""
    pages = {"a page of none": saying(b'{"object": "list"}'), "a page of junk": saying(b'{"data": [{"id": null}]}')}
    async with vendor({"GET /batches": (DOUBTFUL | pages)[how]}, timeout=0.4) as (oracle, _):
        with pytest.raises(OutcomeUnknown):
            await oracle.submitted("ours")


async def test_a_server_without_pages_is_not_asked_for_ever() -> None:
    """One that gives the same page again and again has no more."""
    page = {"object": "list", "data": [batch(metadata=None), batch(id="batch_2")], "has_more": True}
    async with vendor({"GET /batches": saying(json.dumps(page).encode())}) as (oracle, asked):
        assert await oracle.submitted("ours") is None

    assert len(asked) == 2


# --- how it stands ---


@pytest.mark.parametrize("how", ["dropped", "broken off", "500", "text", "a list", "no id"])
async def test_a_state_that_cannot_be_read_is_told(how: str) -> None:
    """It says nothing about the batch, and may be asked for again."""
    async with vendor({"GET /batches/batch_1": DOUBTFUL[how]}) as (oracle, _):
        with pytest.raises(OutcomeUnknown) as caught:
            await oracle.batch_state("batch_1")

    assert caught.value.retryable


@pytest.mark.parametrize("status", ["validating", "in_progress", "finalizing", "cancelling", "a word of next year"])
async def test_a_status_that_is_not_known_to_end_a_batch_does_not(status: str) -> None:
    """Results are then not asked for too early."""
    async with vendor({"GET /batches/batch_1": saying(json.dumps(batch(status=status)).encode())}) as (oracle, _):
        state = await oracle.batch_state("batch_1")

    assert (state.ended, state.status, state.total) == (False, status, 0)


async def test_why_a_batch_failed_is_told_without_the_key() -> None:
    """With the line, what is wrong and its code, whatever of it there is."""
    data = [{"code": "x", "line": 3, "message": f"wrong key {KEY}"}, {"code": None, "line": None, "message": None}]
    failed = batch(status="failed", errors={"object": "list", "data": data})
    async with vendor({"GET /batches/batch_1": saying(json.dumps(failed).encode())}) as (oracle, _):
        await oracle.batch_state("batch_1")  # the key was read, as it is by whoever submits
        state = await oracle.batch_state("batch_1")

    assert state.ended
    assert state.reason == "line 3: wrong key *** (x); no reason given (None)"


# --- what came of it ---


def line(body: Any = None, *, name: str = "a", status: int = 200, **fields: Any) -> bytes:
    """Return a line of results; fields replace its own."""
    answer = {"status_code": status, "request_id": "r", "body": completion() if body is None else body}
    plain = {"id": "batch_req_1", "custom_id": name, "response": answer, "error": None}
    return json.dumps(plain | fields).encode() + b"\n"


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
