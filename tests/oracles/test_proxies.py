"""The environment's proxy is used by every oracle that asks over HTTP, and never for this machine."""

from __future__ import annotations

import asyncio
import importlib.util
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

import oracles.http
from bbquery.errors import OracleError, Unreachable, UsageError
from bbquery.types import Reply, Text
from oracles._http.url import proxy_for
from tests.support import openai_helpers
from tests.support.http_helpers import MODEL, serving
from tests.support.images import tiny_images
from tests.support.openai_helpers import completion

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every proxy out of the environment."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def over_http(scheme: str, host: str = "model.invalid") -> Reply | OracleError:
    """Ask a server of our own protocol on another machine."""
    oracle = await oracles.http.connect(url=f"{scheme}://{host}", usd_per_query=0)
    try:
        return (await oracle.answer([oracle.encode(tiny_images(1)[0])]))[0]
    finally:
        await oracle.aclose()


async def over_openai(scheme: str, host: str = "model.invalid") -> Reply | OracleError:
    """Ask a server of OpenAI's protocol on another machine, over aiohttp where that is installed."""
    return await openai_helpers.ask(f"{scheme}://{host}/v1", key_env=None)


async def over_httpx2(scheme: str, host: str = "model.invalid") -> Reply | OracleError:
    """Ask it as if aiohttp were not installed."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(importlib.util, "find_spec", lambda name: None)
        return await over_openai(scheme, host)


ORACLES: dict[str, Callable[..., Awaitable[Reply | OracleError]]] = {
    "http": over_http,
    "openai over aiohttp": over_openai,
    "openai over httpx2": over_httpx2,
}


async def forward(request: web.Request) -> web.Response:
    """Answer for the server behind the proxy."""
    await request.read()
    if request.path == "/v1/model":
        return web.json_response(MODEL | {"answers": "text", "classes": None})
    answers = {"answers": [{"text": "cat"}]}
    return web.json_response(answers if request.path == "/v1/answer" else completion("cat"))


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy"])
async def test_the_environments_proxy_is_used(name: str, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server on another machine is asked through it."""
    hosts: list[str] = []

    async def proxy(request: web.Request) -> web.Response:
        hosts.append(request.host)
        return await forward(request)

    async with serving(proxy) as url:
        monkeypatch.setenv(variable, url)
        reply = await ORACLES[name]("http")

    assert isinstance(reply, Reply)
    assert reply.answer == Text("cat")
    assert set(hosts) == {"model.invalid"}


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_server_on_this_machine_is_asked_directly(
    name: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever proxy the environment names, which could not reach it."""
    for variable in ("http_proxy", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")

    async with serving(forward) as url:
        reply = await ORACLES[name]("http", url.replace("http://127.0.0.1", host))

    assert isinstance(reply, Reply)
    assert reply.answer == Text("cat")


@asynccontextmanager
async def refusing() -> AsyncIterator[str]:
    """Serve a proxy that lets nobody through."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


# The vendor's package gives aiohttp the password in a way that is going out of use.
OF_THE_VENDOR = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@OF_THE_VENDOR
@pytest.mark.parametrize("name", ORACLES)
async def test_a_proxy_that_lets_nobody_through_has_sent_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No connection was made to the server, so nothing is billed; the proxy's password is not shown."""
    async with refusing() as address:
        monkeypatch.setenv("https_proxy", f"http://me:hunter2@{address}")
        with pytest.raises(Unreachable) as caught:
            await ORACLES[name]("https")

    assert "407" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@OF_THE_VENDOR
@pytest.mark.parametrize("name", ORACLES)
async def test_a_proxy_that_is_not_there_has_sent_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a server that is not there."""
    monkeypatch.setenv("http_proxy", "http://me:hunter2@127.0.0.1:9")

    with pytest.raises(Unreachable) as caught:
        await ORACLES[name]("http")

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", ORACLES)
async def test_a_proxy_that_cannot_be_used_is_refused_before_a_query(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it speaks something else than HTTP, the error says what to write."""
    monkeypatch.setenv("all_proxy", "socks5://me:hunter2@127.0.0.1:9")

    with pytest.raises(UsageError, match=r"neither http:// nor https://.* NO_PROXY") as caught:
        await ORACLES[name]("http")

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "variables", "proxy"),
    [
        ("https://a.example/v1", {"https_proxy": "http://p:1"}, "http://p:1"),
        ("https://a.example/v1", {"https_proxy": "p:1"}, "http://p:1"),
        ("https://a.example/v1", {"http_proxy": "http://p:1"}, None),
        ("https://a.example/v1", {"all_proxy": "http://p:1"}, "http://p:1"),
        ("https://a.example/v1", {"https_proxy": "http://p:1", "no_proxy": "example"}, None),
        ("https://a.example/v1", {"https_proxy": "http://p:1", "no_proxy": "b.example"}, "http://p:1"),
        ("https://a.example/v1", {"https_proxy": "http://p:1", "no_proxy": "*"}, None),
        ("http://127.0.0.1:8000", {"http_proxy": "http://p:1"}, None),
        ("http://localhost:8000", {"all_proxy": "http://p:1"}, None),
        ("http://[::1]:8000", {"http_proxy": "http://p:1"}, None),
        ("https://a.example/v1", {}, None),
    ],
)
def test_which_proxy_is_for_which_server(
    url: str, variables: dict[str, str], proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As other programs read the variables; this machine is always asked directly."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert proxy_for(url) == proxy
