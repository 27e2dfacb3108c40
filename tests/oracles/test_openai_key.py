"""The key of OpenAI's oracle reaches no message, and what its package does is known."""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import TYPE_CHECKING

import httpx2
import openai
import pytest
from aiohttp import web

from bbquery.errors import (
    OracleError,
    OutcomeUnknown,
    UsageError,
)
from oracles._http.refusals import Complaint
from oracles._openai import endpoint
from tests.support.http_helpers import Handler, serving
from tests.support.openai_helpers import (
    KEY,
    ask,
    choice,
    completion,
    connect,
    connected,
    image,
    mistake,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

pytestmark = pytest.mark.usefixtures("openai_key", "either_transport")


def echo(respond: Callable[[str], web.Response]) -> Handler:
    """Return a handler that says the Authorization header it was sent."""

    async def handler(request: web.Request) -> web.Response:
        await request.read()
        return respond(request.headers["Authorization"])

    return handler


async def echo_no_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    (line,) = (line for line in head.splitlines() if line.lower().startswith("authorization"))
    writer.write(f"HTTP/1.1 {line}\r\n\r\n".encode())
    await writer.drain()
    writer.close()


ECHOES = [
    *(echo(lambda said, s=status: web.json_response(mistake(said), status=s)) for status in (400, 401, 429, 500)),  # type: ignore[misc]  # a default binds the loop's value
    echo(lambda said: web.Response(status=403, text=said)),
    echo(lambda said: web.json_response(mistake(said, code="content_filter"), status=400)),
    echo(lambda said: web.Response(text=said)),
    echo(lambda said: web.json_response(completion(said, model=said, system_fingerprint=said))),
    echo(lambda said: web.json_response(choice(None, refusal=said))),
    echo(lambda said: web.json_response(completion(service_tier=said))),
]


IN_THE_HEAD = [
    echo(lambda said: web.Response(status=400, reason=said)),
    echo(lambda said: web.Response(status=307, headers={"Location": f"/{said}"})),
    echo(lambda said: web.json_response(completion(), headers={"x-ratelimit-limit-requests": said})),
]


def everything_shown(found: object, seen: set[int]) -> Iterator[str]:
    """Yield all that a person or a log might be shown of an outcome, its causes and what they were raised in."""
    yield str(found)
    yield repr(found)
    if isinstance(found, BaseException) and id(found) not in seen:
        seen.add(id(found))
        yield from traceback.TracebackException.from_exception(found, capture_locals=True).format()
        yield repr(vars(found))
        for related in (found.__cause__, found.__context__):
            if related is not None:
                yield from everything_shown(related, seen)


async def outcome(attempt: Callable[[], Awaitable[object]]) -> object:
    """Return what an attempt gives or raises."""
    try:
        return await attempt()
    except (OracleError, UsageError) as error:
        return error


# --- the key ---


@pytest.mark.parametrize("handler", ECHOES)
async def test_an_echoed_key_is_never_shown(handler: Handler, caplog: pytest.LogCaptureFixture) -> None:
    """Not in an answer, an error, its causes or its traceback with all variables, nor in any log."""
    caplog.set_level(logging.DEBUG)
    async with serving(handler) as url, connected(url) as oracle:
        payload = oracle.encode(image())
        found = await outcome(lambda: oracle.answer([payload]))
        shown = [*everything_shown(found, set()), repr(oracle), str(oracle.capabilities), str(oracle.rate_seen)]

    assert not [text for text in (*shown, caplog.text) if KEY in text]


@pytest.mark.parametrize("handler", IN_THE_HEAD)
async def test_a_key_echoed_in_a_head_is_never_shown(handler: Handler) -> None:
    """Nor where a server puts it into its status line or headers, which the transports log at their lowest levels."""
    async with serving(handler) as url, connected(url) as oracle:
        payload = oracle.encode(image())
        found = await outcome(lambda: oracle.answer([payload]))
        shown = [*everything_shown(found, set()), str(oracle.rate_seen)]

    assert not [text for text in shown if KEY in text]


async def test_a_key_echoed_as_no_http_is_never_shown() -> None:
    """Even where the transport itself quotes what it cannot read."""
    async with await asyncio.start_server(echo_no_http, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        found = await outcome(lambda: ask(url))

    assert isinstance(found, OutcomeUnknown)
    assert not [text for text in everything_shown(found, set()) if KEY in text]


async def test_the_key_travels_as_a_bearer_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of key_env, whatever else the environment holds for the vendor's package."""
    monkeypatch.setenv("MY_KEY", "sk-other-0123456789")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer sk-of-the-environment")
    sent: list[str | None] = []

    async def handler(request: web.Request) -> web.Response:
        sent.append(request.headers.get("Authorization"))
        await request.read()
        return web.json_response(completion())

    async with serving(handler) as url:
        await ask(url)
        await ask(url, key_env="MY_KEY")
        await ask(url, key_env=None)

    assert sent == [f"Bearer {KEY}", "Bearer sk-other-0123456789", None]


def test_a_key_is_in_no_declaration() -> None:
    """What is stored with every answer and shown in every report."""
    oracle = connect()

    assert KEY not in f"{oracle!r}{oracle.capabilities}{oracle.quote(oracle.encode(image()))}"


# --- the vendor's package ---


def test_the_faster_transport_is_used_where_it_is_installed(request: pytest.FixtureRequest) -> None:
    """It makes half as many requests again per second of CPU."""
    chosen = endpoint._transport()

    assert chosen is (openai.DefaultAsyncHttpxClient if "httpx2" in request.node.name else openai.DefaultAioHttpClient)


def test_a_refusal_whose_body_was_never_read_is_one_without_a_reason() -> None:
    """Its status says what it cost; a body that was closed unread takes nothing away from that."""

    async def body() -> AsyncIterator[bytes]:
        yield b"never"

    found = endpoint._complaint(httpx2.Response(429, content=body()), bytes)

    assert found == Complaint("")
