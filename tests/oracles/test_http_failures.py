"""How the http oracle reports each way in which a server or the way to it fails."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

import oracles.http
from bbquery.errors import (
    MalformedAnswer,
    OracleError,
    OutcomeUnknown,
    QuotaExceeded,
    RateLimited,
    Rejected,
    Unreachable,
)
from bbquery.oracle import RateSeen
from oracles._http import refusals
from oracles._http.headers import Headers
from oracles._http.transport import Connections, HttpEndpoint
from tests.support.http_helpers import MODEL, Handler, always, answering, saying, serving
from tests.support.images import tiny_images

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.types import Reply


async def ask(url: str, images: int = 1, **options: Any) -> Sequence[Reply | OracleError]:
    oracle = await oracles.http.connect(url=url, **options)
    try:
        return await oracle.answer([oracle.encode(image) for image in tiny_images(images)])
    finally:
        await oracle.aclose()


async def failure(handler: Handler, **options: Any) -> OracleError:
    """Return what one attempt at `handler` raises."""
    async with answering(handler) as url:
        with pytest.raises(OracleError) as caught:
            await ask(url, **options)
    return caught.value


def closed_port() -> socket.socket:
    """Return a bound socket that does not listen: its port refuses connections while it is held."""
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    return held


async def drop(request: web.Request) -> web.Response:
    await request.read()
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def half(request: web.Request) -> web.StreamResponse:
    await request.read()
    response = web.StreamResponse(headers={"Content-Length": "100"})
    await response.prepare(request)
    await response.write(b'{"answers"')
    assert request.transport is not None
    request.transport.close()
    return response


async def hang(request: web.Request) -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError("never woken")


# --- nothing was sent ---


async def test_a_refused_connection_is_unreachable() -> None:
    """A closed port costs nothing and is asked again later."""
    with (
        closed_port() as held,
        pytest.raises(
            Unreachable, match=r"cannot connect to http://127\.0\.0\.1.*start the server, or correct the address"
        ),
    ):
        await oracles.http.connect(url=f"http://127.0.0.1:{held.getsockname()[1]}")


async def test_a_server_that_has_gone_is_unreachable() -> None:
    """An attempt after the server went away made no connection, so it is not billed."""
    async with answering(saying({})) as url:
        oracle = await oracles.http.connect(url=url)

    with pytest.raises(Unreachable):
        await oracle.answer([oracle.encode(tiny_images(1)[0])])

    await oracle.aclose()


async def test_an_unknown_host_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that does not resolve costs nothing."""

    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    with pytest.raises(Unreachable, match="not known"):
        await oracles.http.connect(url="http://model.invalid", usd_per_query=0)


async def test_a_failed_tls_handshake_is_unreachable() -> None:
    """No request leaves before TLS stands."""
    async with serving(saying(MODEL)) as url:
        with pytest.raises(Unreachable, match="SSL"):
            await oracles.http.connect(url=url.replace("http:", "https:"))


async def test_a_time_out_while_connecting_is_unreachable() -> None:
    """A server that accepts and never speaks TLS has seen no request, so the time-out is not an unknown outcome."""
    gone = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        gone.set()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        with pytest.raises(Unreachable, match=r"[Cc]onnect"):
            await oracles.http.connect(url=f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", timeout=0.1)
        await gone.wait()


# --- the server said no ---


async def test_429_is_rate_limited_for_as_long_as_the_server_says() -> None:
    """Too many requests: not billed, and asked again after Retry-After."""
    error = await failure(always(lambda: web.Response(status=429, headers={"Retry-After": "7"}, text="slow down")))

    assert isinstance(error, RateLimited)
    assert error.retry_after == 7
    assert "slow down" in str(error)


async def test_429_may_name_a_date() -> None:
    """A date in Retry-After is turned into seconds from now."""
    date = formatdate(time.time() + 3600, usegmt=True)

    error = await failure(always(lambda: web.Response(status=429, headers={"Retry-After": date})))

    assert isinstance(error, RateLimited)
    assert error.retry_after == pytest.approx(3600, abs=60)


async def test_429_may_say_nothing() -> None:
    """Without Retry-After the wait is the client's to choose."""
    error = await failure(always(lambda: web.Response(status=429)))

    assert isinstance(error, RateLimited)
    assert error.retry_after is None


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (429, {"error": "no more", "code": "quota"}),
        (429, {"error": {"message": "no more", "type": "insufficient_quota"}}),
        (429, {"error": {"message": "no more", "code": "insufficient_quota"}}),
        (402, {"error": "no more"}),
    ],
)
async def test_a_used_up_quota_is_told_apart_from_a_rate_limit(status: int, body: dict[str, Any]) -> None:
    """Waiting does not help where the account has no credit: not billed, and not asked again."""
    error = await failure(always(lambda: web.json_response(body, status=status, headers={"Retry-After": "1"})))

    assert isinstance(error, QuotaExceeded)
    assert (error.outcome, error.retryable) == ("voided", False)
    assert f"gave {status}: no more; waiting does not help" in str(error)


@pytest.mark.parametrize("status", [200, 429, 500])
async def test_limits_are_learned_from_every_response(status: int) -> None:
    """What a server says of its limits is kept from answers and failures alike."""
    headers = {"X-RateLimit-Limit-Requests": "60", "X-RateLimit-Remaining-Tokens": "7"}
    refused = {"answers": [{"refused": "no"}]}
    async with answering(always(lambda: web.json_response(refused, status=status, headers=headers))) as url:
        oracle = await oracles.http.connect(url=url)
        with contextlib.suppress(OracleError):
            await oracle.answer([oracle.encode(tiny_images(1)[0])])
        await oracle.aclose()

    assert oracle.rate_seen == RateSeen(requests=60, tokens_left=7)


async def test_what_was_said_of_limits_holds_until_something_else_is_said() -> None:
    """A response without the headers takes nothing back."""
    headers = iter([{"X-RateLimit-Limit-Requests": "60"}, {}])
    answers = {"answers": [{"refused": "no"}]}
    async with answering(always(lambda: web.json_response(answers, headers=next(headers)))) as url:
        oracle = await oracles.http.connect(url=url)
        for _ in range(2):
            await oracle.answer([oracle.encode(tiny_images(1)[0])])
        await oracle.aclose()

    assert oracle.rate_seen == RateSeen(requests=60)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 415, 422, 451])
async def test_other_4xx_are_rejected_with_the_servers_reason(status: int) -> None:
    """A request that will never be answered is not billed, not asked again, and the user sees why."""
    error = await failure(always(lambda: web.json_response({"error": "no such\nthing " + "x" * 300}, status=status)))

    assert isinstance(error, Rejected)
    assert f"gave {status}: no such thing xxx" in str(error)
    assert len(str(error)) < 400


async def test_advice_is_given_with_a_404() -> None:
    """A wrong root is the commonest mistake."""
    async with serving(always(lambda: web.Response(status=404))) as url:
        with pytest.raises(Rejected, match=r"GET /v1/model gave 404: Not Found; .* is the URL its root\?"):
            await oracles.http.connect(url=url)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirects_are_rejected_and_not_followed(status: int) -> None:
    """Neither the images nor the key go where the user did not send them."""
    visited = []

    async def handler(request: web.Request) -> web.Response:
        visited.append(request.path)
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    error = await failure(handler)

    assert isinstance(error, Rejected)
    assert "give the final URL" in str(error)
    assert visited == ["/v1/answer"]


async def test_a_refusal_with_half_a_body_is_a_refusal() -> None:
    """The status says that nothing was done, even where the reason is cut off."""

    async def handler(request: web.Request) -> web.StreamResponse:
        await request.read()
        response = web.StreamResponse(status=401, headers={"Content-Length": "100"})
        await response.prepare(request)
        assert request.transport is not None
        request.transport.close()
        return response

    error = await failure(handler)

    assert isinstance(error, Rejected)
    assert "gave 401: Unauthorized; is the key set" in str(error)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": "no"}', "no"),
        (b'{"message": "no"}', "no"),
        (b'{"detail": "no"}', "no"),
        (b'{"error": {"message": "no", "code": 5}}', "no"),
        (b'{"error": {"code": 5}}', "{'error': {'code': 5}}"),
        (b'{"code": 5}', "{'code': 5}"),
        (b"<html>no</html>", "<html>no</html>"),
        (b"\xff no", "� no"),
    ],
)
def test_the_reason_is_found_in_common_bodies(body: bytes, said: str) -> None:
    """A body is read as our own, as those of common frameworks, or shown as it is."""
    assert refusals.of_body(body).message == said


# --- perhaps billed ---


@pytest.mark.parametrize("status", [500, 502, 503, 504, 599, 408, 409, 499, 303])
async def test_5xx_and_gateway_time_outs_are_unknown(status: int) -> None:
    """A server that failed may have billed."""
    error = await failure(always(lambda: web.json_response({"error": "oops"}, status=status)))

    assert isinstance(error, OutcomeUnknown)
    assert f"gave {status}: oops" in str(error)


@pytest.mark.parametrize("handler", [drop, half])
async def test_a_connection_that_breaks_off_is_unknown(handler: Handler) -> None:
    """A connection dropped before or within the answer may have been billed."""
    error = await failure(handler)

    assert isinstance(error, OutcomeUnknown)
    assert "broke off" in str(error)


async def test_a_time_out_is_unknown() -> None:
    """No answer in time may still be billed."""
    error = await failure(hang, timeout=0.1)

    assert isinstance(error, OutcomeUnknown)
    assert "within 0.1 s" in str(error)


async def test_a_model_that_is_described_too_late_is_unknown() -> None:
    """Connecting ends within the time of an attempt, and says what it waited for."""
    async with serving(hang) as url:
        with pytest.raises(OutcomeUnknown, match=r"no answer from .*/v1/model within 0\.2 s"):
            await oracles.http.connect(url=url, timeout=0.2)


async def test_a_filter_that_withholds_the_description_is_no_model() -> None:
    """A veto is an answer to an image; before any image was sent it is a refusal, and nothing is connected."""
    veto = always(lambda: web.json_response({"error": {"message": "no", "code": "content_filter"}}, status=400))
    async with serving(veto) as url:
        with pytest.raises(Rejected, match="no"):
            await oracles.http.connect(url=url)


async def test_a_time_out_cancels_nothing_but_the_attempt() -> None:
    """Whoever made an attempt that took too long goes on: its task counts as never cancelled."""
    await failure(hang, timeout=0.1)
    task = asyncio.current_task()

    assert task is not None
    assert task.cancelling() == 0


async def test_an_attempt_that_is_given_up_is_no_time_out() -> None:
    """Who cancels an attempt sees it cancelled, not an error of the server's."""
    asked = asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        asked.set()
        return await hang(request)

    async with answering(handler) as url:
        attempt = asyncio.create_task(ask(url))
        await asked.wait()
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt


async def test_an_attempt_that_is_given_up_when_its_time_is_over_is_given_up() -> None:
    """A cancellation is not lost because the time ran out at the same moment."""

    class Slow(HttpEndpoint):
        async def attempt(self, *_: Any, **__: Any) -> bytes:
            try:
                return await asyncio.Future[bytes]()
            except asyncio.CancelledError:
                given_up.cancel()
                raise

    connections = Connections(Slow("http://127.0.0.1:1", Headers({}), timeout=0.01, name="slow"), most=1)
    given_up = asyncio.create_task(connections.attempt("POST", "/", b""))
    with pytest.raises(asyncio.CancelledError):
        await given_up
    await connections.aclose()


async def test_a_kept_connection_that_breaks_off_is_not_asked_twice() -> None:
    """One attempt is one request, even where the connection had served before."""
    attempts = []

    async def handler(request: web.Request) -> web.Response:
        attempts.append(request.transport)
        if len(attempts) == 1:
            return web.json_response({"answers": [{"refused": "no"}]})
        return await drop(request)

    async with answering(handler) as url:
        oracle = await oracles.http.connect(url=url)
        payloads = [oracle.encode(tiny_images(1)[0])]
        await oracle.answer(payloads)
        with pytest.raises(OutcomeUnknown):
            await oracle.answer(payloads)
        await oracle.aclose()

    assert len(attempts) == 2
    assert attempts[0] is attempts[1]


# --- answered, but not what was promised ---


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"<html>", "not JSON"),
        (b"", "not JSON"),
        (b"[]", "must be an object"),
        (b'data: {"answers": []}\n\n', "turn streaming off"),
        (b"{}", '"answers"'),
        (b'{"answers": {}}', '"answers"'),
        (b'{"answers": []}', "0 answers to 1 images"),
        (b'{"answers": [{}, {}]}', "2 answers to 1 images"),
        (b'{"error": "what', "not JSON"),
    ],
)
async def test_a_body_that_is_no_list_of_answers_is_malformed(body: bytes, fault: str) -> None:
    """What was answered is paid for, even where it cannot be used."""
    error = await failure(always(lambda: web.Response(body=body)))

    assert isinstance(error, MalformedAnswer)
    assert fault in str(error)


@pytest.mark.parametrize(
    ("kind", "item", "fault"),
    [
        ("probabilities", 3, "must be an object, not 3"),
        ("probabilities", {}, "no 'probabilities'"),
        ("probabilities", {"scores": [1, 2, 3]}, "no 'probabilities' in an answer that has ['scores']"),
        ("probabilities", {"probabilities": None}, "no 'probabilities'"),
        ("probabilities", {"probabilities": []}, "must be a list of numbers"),
        ("probabilities", {"probabilities": "high"}, "must be a list of numbers"),
        ("probabilities", {"probabilities": [0.5, 0.5]}, "2 probabilities for 3 classes"),
        ("probabilities", {"probabilities": [0.5, None, 0.5]}, "number 1 is None"),
        ("probabilities", {"probabilities": [0.5, "0", 0.5]}, "number 1 is '0'"),
        ("probabilities", {"probabilities": [float("nan"), 0, 1]}, "number 0 is nan"),
        ("probabilities", {"probabilities": [0.5, 0, True]}, "number 2 is True"),
        ("probabilities", {"probabilities": [0, 0, 3.5]}, "0 to 3.5: are they scores?"),
        ("probabilities", {"probabilities": [-1, 0, 1]}, "-1 to 1: are they scores?"),
        ("scores", {"scores": [1.5]}, "1 scores for 3 classes"),
        ("labels", {"labels": 5}, "labels must be names"),
        ("labels", {"labels": [[1, 2, 3]]}, "a label must be"),
        ("labels", {"labels": [{"name": ""}]}, "a name must be"),
        ("labels", {"labels": [{"name": "red", "score": "high"}]}, "score of the label 'red'"),
        ("text", {"text": 5}, "'text' must be a string"),
    ],
)
async def test_an_answer_that_breaks_its_promise_is_malformed(kind: str, item: Any, fault: str) -> None:
    """Missing, non-finite, wrong-length and wrong-kind fields are found, and the message says which."""
    async with answering(saying({"answers": [item]}), answers=kind) as url:
        (error,) = await ask(url)

    assert isinstance(error, MalformedAnswer)
    assert fault in str(error)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"name": ""}, "'name'"),
        ({"name": None}, "'name'"),
        ({"identity": None}, "'identity' must be an object"),
        ({"identity": {"a": [1]}}, "'identity' must hold strings, numbers and nulls; 'a' is [1]"),
        ({"answers": "guesses"}, "'answers' must be one of probabilities, scores, labels, text, not 'guesses'"),
        ({"answers": ["text"]}, "'answers' must be one of"),
        ({"classes": ["red"]}, "'classes' must be null or"),
        ({"classes": {"names": []}}, "'classes' must be null or"),
        ({"classes": {"names": [5]}}, "a class's names"),
        ({"classes": {"names": [[]]}}, "a class's names"),
        ({"classes": {"names": ["a", "b"], "keys": ["a"]}}, "'keys'"),
        ({"classes": {"names": ["a", "b"], "keys": ["a", "a"]}}, "'keys'"),
        ({"classes": {"names": ["a"], "keys": [1]}}, "'keys'"),
        ({"size": 8}, "'size'"),
        ({"size": [8]}, "'size'"),
        ({"size": [8, 0]}, "'size'"),
        ({"size": [8, 8.5]}, "'size'"),
        ({"crop": 0}, "'crop'"),
        ({"crop": 1.5}, "'crop'"),
        ({"crop": "all"}, "'crop'"),
        ({"largest_batch": 0}, "'largest_batch'"),
        ({"concurrency": True}, "'concurrency'"),
    ],
)
async def test_a_model_that_does_not_describe_itself_is_malformed(change: dict[str, Any], fault: str) -> None:
    """A wrong description is found before a query is paid for, and the message names the field."""
    async with serving(saying(MODEL | change)) as url:
        with pytest.raises(MalformedAnswer) as caught:
            await oracles.http.connect(url=url)

    assert f"GET /v1/model: {fault}" in str(caught.value)
