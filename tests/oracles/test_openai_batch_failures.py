"""How batches of the OpenAI oracle fail before they have results and what is void, over both transports."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import openai
import pytest
from aiohttp import web

from bbquery.errors import (
    KeyRefused,
    NotBilled,
    OutcomeUnknown,
    QuotaExceeded,
    RateLimited,
    Rejected,
    Unreachable,
    UsageError,
)
from oracles._openai.batch_result import Unasked
from tests.support.http_helpers import serving
from tests.support.openai_batch_helpers import at, collected, names, written
from tests.support.openai_helpers import KEY, VARIABLE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.http_helpers import Handler
from tests.support.openai_broken_batches import DOUBTFUL, FILE, batch, never, saying, submitting, told, vendor

pytestmark = pytest.mark.usefixtures("openai_key", "either_transport")


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
        (told(401), KeyRefused),
        *((told(status), Rejected) for status in (400, 403, 404, 413, 422, 307)),
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
    async with vendor({"GET /batches": (DOUBTFUL | pages)[how]}) as (oracle, _):
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
