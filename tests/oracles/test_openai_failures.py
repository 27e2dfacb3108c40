"""How the OpenAI oracle reports each way in which a server or the way to it fails, over both transports."""

from __future__ import annotations

import asyncio
import socket
from email.utils import formatdate
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from bbquery.errors import (
    KeyRefused,
    NotBilled,
    OracleError,
    OutcomeUnknown,
    QuotaExceeded,
    RateLimited,
    Rejected,
    Unreachable,
)
from bbquery.types import NoAnswer, Reply
from oracles._openai.failure import wait
from tests.support.http_helpers import Handler, always, serving
from tests.support.openai_helpers import (
    VARIABLE,
    ask,
    completion,
    connected,
    image,
    mistake,
)

NOW = 1_700_000_000.0


pytestmark = pytest.mark.usefixtures("openai_key", "either_transport")


async def failure(handler: Handler, **options: Any) -> OracleError:
    """Return what one attempt at `handler` raises."""
    async with serving(handler) as url:
        with pytest.raises(OracleError) as caught:
            await ask(url, **options)
    return caught.value


def told(status: int, message: str = "no", headers: dict[str, str] | None = None, **fields: Any) -> Handler:
    """Return a handler that answers with the vendor's JSON for an error."""
    return always(lambda: web.json_response(mistake(message, **fields), status=status, headers=headers))


def counted(handler: Handler) -> tuple[Handler, list[str]]:
    """Return a handler and the paths it was asked for."""
    paths: list[str] = []

    async def counting(request: web.Request) -> web.StreamResponse:
        paths.append(request.path)
        return await handler(request)

    return counting, paths


def closed_port() -> socket.socket:
    """Return a bound socket that does not listen: its port refuses connections while it is held."""
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    return held


# --- nothing was sent ---


async def test_a_refused_connection_is_unreachable() -> None:
    """A closed port costs nothing and is asked again later; the vendor's package calls it a time-out."""
    with (
        closed_port() as held,
        pytest.raises(
            Unreachable, match=r"cannot connect to http://127\.0\.0\.1.*start the server, or correct the address"
        ),
    ):
        await ask(f"http://127.0.0.1:{held.getsockname()[1]}/v1")


async def test_an_unknown_host_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that does not resolve costs nothing."""

    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    with pytest.raises(Unreachable, match="not known"):
        await ask("http://model.invalid/v1")


async def test_a_failed_tls_handshake_is_unreachable() -> None:
    """No request leaves before TLS stands."""
    async with serving(told(500)) as url:
        with pytest.raises(Unreachable, match="SSL"):
            await ask(url.replace("http:", "https:"))


async def test_a_time_out_while_connecting_is_unreachable() -> None:
    """A server that accepts and never speaks TLS has seen no request."""
    gone = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        gone.set()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        with pytest.raises(Unreachable):
            await ask(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", timeout=0.2)
        await gone.wait()


async def drop(request: web.Request) -> web.Response:
    await request.read()
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def drop_early(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def half(request: web.Request) -> web.StreamResponse:
    await request.read()
    response = web.StreamResponse(headers={"Content-Length": "100", "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"choices"')
    assert request.transport is not None
    request.transport.close()
    return response


async def hang(request: web.Request) -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError("never woken")


def crash(status: int) -> Handler:
    return told(status, "the server failed", type="server_error")


# --- sent, without an answer ---


@pytest.mark.parametrize("handler", [drop, drop_early, half])
async def test_a_connection_that_breaks_off_may_be_billed(handler: Handler) -> None:
    """After sending, nobody knows; the vendor's package calls it a time-out while connecting."""
    error = await failure(handler)

    assert isinstance(error, OutcomeUnknown)
    assert "broke off" in str(error)


async def test_an_answer_that_takes_too_long_may_be_billed() -> None:
    """A server that is silent may be at work."""
    error = await failure(hang, timeout=0.2)

    assert isinstance(error, OutcomeUnknown)
    assert "within 0.2 s" in str(error)


async def test_an_answer_in_drops_does_not_stretch_the_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time-out is for the whole attempt, however often something arrives; here a second passes with each drop."""
    loop, real, drops = asyncio.get_running_loop(), asyncio.get_running_loop().time, 0
    monkeypatch.setattr(loop, "time", lambda: real() + drops)

    async def drip(request: web.Request) -> web.StreamResponse:
        nonlocal drops
        await request.read()
        response = web.StreamResponse()
        await response.prepare(request)
        while drops < 100:
            await response.write(b" ")
            drops += 1
            await asyncio.sleep(0)
        return response

    error = await failure(drip, timeout=20)

    assert isinstance(error, OutcomeUnknown)
    assert "within 20 s" in str(error)
    assert 10 < drops < 60


async def test_an_answer_that_is_no_http_may_be_billed() -> None:
    """Whatever it is, it came after the request."""

    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(garbage, "127.0.0.1", 0) as server:
        with pytest.raises(OutcomeUnknown):
            await ask(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")


@pytest.mark.parametrize("status", [500, 502, 503, 504, 529, 408, 409, 499])
async def test_a_server_that_fails_may_have_billed(status: int) -> None:
    """And so may one whose gateway gave up, or that met a conflict."""
    error = await failure(crash(status))

    assert isinstance(error, OutcomeUnknown)
    assert f"gave {status}: the server failed" in str(error)


# --- refused ---


@pytest.mark.parametrize(
    ("handler", "kind"),
    [
        (told(429, code="rate_limit_exceeded", type="requests"), RateLimited),
        (told(429, code="rate_limit_exceeded", type="tokens"), RateLimited),
        (told(429, code="rate_limit_exceeded", type="usage_limit"), RateLimited),
        (told(429, code="slow_down"), RateLimited),
        (told(503, code="slow_down"), RateLimited),
        (told(429, code="resource_unavailable"), RateLimited),
        (told(429), RateLimited),
        (always(lambda: web.Response(status=429, text="slow down")), RateLimited),
        (told(429, code="insufficient_quota", type="insufficient_quota"), QuotaExceeded),
        (told(429, type="insufficient_quota"), QuotaExceeded),
        (told(429, code="credit_balance_exhausted", type="insufficient_quota"), QuotaExceeded),
        (told(429, code="project_spend_limit_exceeded"), QuotaExceeded),
        (told(429, code="organization_usage_limit_exceeded"), QuotaExceeded),
        (told(429, code="billing_not_active"), QuotaExceeded),
        (told(400, code="billing_hard_limit_reached"), QuotaExceeded),
        (told(403, code="insufficient_quota"), QuotaExceeded),
        (told(402), QuotaExceeded),
        (told(400, code="invalid_value"), Rejected),
        (told(401, code="invalid_api_key"), KeyRefused),
        (told(403), Rejected),
        (told(404, code="model_not_found"), Rejected),
        (told(404), Rejected),
        (told(413), Rejected),
        (told(415), Rejected),
        (told(422), Rejected),
    ],
)
async def test_what_is_refused_is_not_billed(handler: Handler, kind: type[NotBilled]) -> None:
    """Too fast is waited out, an empty account stops the run, and the rest is refused for good."""
    assert type(await failure(handler)) is kind


@pytest.mark.parametrize(
    ("handler", "options", "advice"),
    [
        (told(401), {}, f"is the key in {VARIABLE} right?"),
        (told(401), {"key_env": None}, "no key is sent"),
        (told(403), {}, f"may the key in {VARIABLE} ask gpt-4o-mini"),
        (told(404, code="model_not_found"), {}, "check the option model=gpt-4o-mini"),
        (told(404), {}, "mostly ends in /v1"),
        (told(413), {}, "lower height and width"),
        (told(429, code="insufficient_quota"), {}, "billing page"),
    ],
)
async def test_a_refusal_says_what_to_do(handler: Handler, options: dict[str, Any], advice: str) -> None:
    """By the names that the user knows."""
    assert advice in str(await failure(handler, **options))


async def test_a_refusal_is_quoted() -> None:
    """The vendor's message, its status and the path, on one line."""
    error = await failure(told(400, "Invalid\n'detail'", code="invalid_value"))

    assert "POST /chat/completions gave 400: Invalid 'detail'" in str(error)


@pytest.mark.parametrize("code", ["content_filter", "content_policy_violation", "moderation_blocked", "invalid_prompt"])
async def test_an_image_that_the_vendor_will_not_answer_is_no_answer(code: str) -> None:
    """One filtered image does not end a run; it may be charged, so the whole hold counts."""
    async with serving(told(400, "flagged", code=code)) as url:
        reply = await ask(url)

    assert isinstance(reply, Reply)
    assert isinstance(reply.answer, NoAnswer)
    assert reply.answer.kind == "filtered"
    assert "flagged" in reply.answer.reason
    assert reply.cost is None


# --- one attempt ---


@pytest.mark.parametrize("handler", [crash(500), told(429), told(429, headers={"x-should-retry": "true"}), drop, half])
async def test_one_attempt_is_one_request(handler: Handler) -> None:
    """The vendor's own retries are off: each would be paid and none counted."""
    counting, paths = counted(handler)

    await failure(counting)

    assert paths == ["/chat/completions"]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirects_are_not_followed(status: int) -> None:
    """A POST would be sent again, elsewhere, with the key."""
    other, paths = counted(told(500))
    async with serving(other) as elsewhere:
        error = await failure(always(lambda: web.Response(status=status, headers={"Location": f"{elsewhere}/v2"})))

    assert isinstance(error, Rejected)
    assert "redirects are not followed" in str(error)
    assert paths == []


@pytest.mark.parametrize("connection", ["close", "keep-alive"])
async def test_attempt_after_attempt_arrives_once(connection: str) -> None:
    """Whether or not the server keeps the connection."""
    headers = {"Connection": connection}
    counting, paths = counted(always(lambda: web.json_response(completion(), headers=headers)))
    async with serving(counting) as url, connected(url) as oracle:
        payload = oracle.encode(image())
        for _ in range(3):
            await oracle.answer([payload])

    assert len(paths) == 3


async def test_a_proxy_of_the_environment_is_not_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rehearsal stays on loopback."""
    with closed_port() as held:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{held.getsockname()[1]}")
        async with serving(always(lambda: web.json_response(completion()))) as url:
            assert isinstance(await ask(url), Reply)


WAITS: list[tuple[dict[str, str], float | None]] = [
    ({}, None),
    ({"retry-after": "7"}, 7.0),
    ({"retry-after": "0.5"}, 0.5),
    ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
    ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
    ({"retry-after": formatdate(NOW + 30, usegmt=True)}, 30.0),
    ({"retry-after": formatdate(NOW - 30, usegmt=True)}, 0.0),
    ({"retry-after": "soon"}, None),
    ({"retry-after": "inf"}, None),
    ({"retry-after": "-1"}, None),
    ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "20ms"}, 0.02),
    ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}, 360.0),
    ({"x-ratelimit-remaining-tokens": "5", "x-ratelimit-reset-tokens": "6m0s"}, None),
    ({"retry-after": "soon", "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1s"}, 1.0),
    ({"x-ratelimit-remaining-tokens": "0"}, None),
]


# --- how long to wait ---


@pytest.mark.parametrize(("headers", "seconds"), WAITS)
def test_the_wait_is_as_told(headers: dict[str, str], seconds: float | None) -> None:
    """In milliseconds, seconds or a date; else until what is used up is whole again."""
    assert wait(headers, NOW) == (None if seconds is None else pytest.approx(seconds))


@given(st.dictionaries(st.sampled_from([name for headers, _ in WAITS for name in headers]), st.text(max_size=20)))
def test_no_header_makes_a_wait_that_cannot_be(headers: dict[str, str]) -> None:
    """Not negative and not endless, whatever a server says."""
    seconds = wait(headers, NOW)

    assert seconds is None or 0 <= seconds < 10**12


async def test_a_rate_limit_carries_its_wait_and_its_limits() -> None:
    """Both reach the pace."""
    headers = {"retry-after-ms": "1500", "x-ratelimit-limit-requests": "3"}
    async with serving(told(429, headers=headers)) as url, connected(url) as oracle:
        with pytest.raises(RateLimited) as caught:
            await oracle.answer([oracle.encode(image())])
        assert caught.value.retry_after == 1.5
        assert oracle.rate_seen is not None
        assert oracle.rate_seen.requests == 3
