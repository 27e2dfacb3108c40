"""Options of the http oracle: wrong ones are found before anything is sent, and keys are never shown."""

from __future__ import annotations

import importlib
import sys
import traceback
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

import oracles.http
from bbquery.errors import BbqueryError, MissingExtra, OracleError, UnknownPrice, UsageError
from bbquery.oracle import Quote
from bbquery.types import Label, Labels, Reply
from bbquery.units import Units
from oracles._http.headers import Headers
from oracles._http.url import names_this_machine
from oracles._shared.key import Key
from tests.support.http_helpers import MODEL, Handler, always, saying, serving
from tests.support.images import tiny_images

if TYPE_CHECKING:
    import logging

MARKER = "sk-marker-5eC12eT"


@pytest.fixture
def key_env(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLOURS_KEY", MARKER)
    return "COLOURS_KEY"


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("ftp://host/model", "'ftp://host/model' must be http"),
        ("host:8000", "'host:8000' must be http"),
        ("", "'' must be http"),
        ("http://", "'http://' must be http"),
        ("http://ho st", "'http://ho st' must be http"),
        ("http://host:99999", "'http://host:99999' is not a URL"),
        ("http://[::1", "is not a URL"),
        ("http://a..b", "'http://a..b' is not a URL"),
        ("http://host/?batch=3", "without '?'"),
        ("http://host/#top", "without '?'"),
    ],
)
async def test_a_url_that_cannot_be_used_is_named(url: str, fault: str) -> None:
    """Only http and https URLs that end with their path are taken."""
    with pytest.raises(UsageError) as caught:
        await oracles.http.connect(url=url)

    assert fault in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{MARKER}@host",
        f"https://{MARKER}@host/model",
        f"http://:{MARKER}@host",
        f"ftp://user:{MARKER}@host",
        f"user:{MARKER}@host",
        f"http:/user:{MARKER}@host",
        f"http://user:{MARKER}\\@host",
        f"http://user:{MARKER}@host:99999",
        f"http://host/?key={MARKER}",
        f"gopher://host/?key={MARKER}",
        f"http://host/#{MARKER}",
    ],
)
async def test_a_key_in_a_url_is_refused_and_not_echoed(url: str) -> None:
    """A key has no place in an URL, which is stored and shown; the refusal does not show it either."""
    with pytest.raises(UsageError) as caught:
        await oracles.http.connect(url=url)

    assert MARKER not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "options",
    [
        {"largest_batch": 0},
        {"concurrency": -1},
        {"requests_per_minute": 0},
        {"timeout": 0.0},
        {"timeout": float("inf")},
        {"timeout": float("nan")},
    ],
)
async def test_limits_must_be_above_zero(options: dict[str, Any]) -> None:
    """A limit that would send nothing, or wait for ever, is refused by its name."""
    with pytest.raises(UsageError, match=next(iter(options))):
        await oracles.http.connect(url="http://127.0.0.1:9", **options)


@pytest.mark.parametrize("value", [None, "", "  "])
async def test_an_unset_key_is_named(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    """The message names the variable that must be set."""
    monkeypatch.delenv("COLOURS_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("COLOURS_KEY", value)

    with pytest.raises(UsageError, match="'COLOURS_KEY'"):
        await oracles.http.connect(url="http://127.0.0.1:9", key_env="COLOURS_KEY")


async def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key with a line break cannot smuggle a header in, and is not echoed."""
    monkeypatch.setenv("COLOURS_KEY", f"{MARKER}\r\nHost: elsewhere")

    with pytest.raises(UsageError) as caught:
        await oracles.http.connect(url="http://127.0.0.1:9", key_env="COLOURS_KEY")

    assert MARKER not in str(caught.value)


@pytest.mark.parametrize("variable", [MARKER, "", "A KEY", "1KEY", "KEY="])
async def test_a_key_in_place_of_its_variables_name_is_refused_and_not_shown(variable: str) -> None:
    """Somebody who gives the key itself as key_env learns so, and sees it nowhere."""
    with pytest.raises(UsageError, match="key_env takes the name of an environment variable") as caught:
        await oracles.http.connect(url="http://127.0.0.1:9", key_env=variable)

    assert not variable or variable not in "".join(traceback.format_exception(caught.value))


def test_a_key_may_lie_in_the_systems_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the variable, the keyring's entry of its name is the key; a keyring that fails holds none."""
    entries = {("bbquery", "COLOURS_KEY"): f" {MARKER}\n"}
    monkeypatch.delenv("COLOURS_KEY", raising=False)
    monkeypatch.delenv("OTHER_KEY", raising=False)
    monkeypatch.setitem(sys.modules, "keyring", SimpleNamespace(get_password=lambda *of: entries.get(of)))

    assert Key("COLOURS_KEY").read() == MARKER
    with pytest.raises(UsageError, match="'OTHER_KEY'"):
        Key("OTHER_KEY").read()
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(UsageError, match="'COLOURS_KEY'"):
        Key("COLOURS_KEY").read()


def test_making_a_key_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What needs no request needs no key; what was never read cannot be found to be hidden."""
    monkeypatch.delenv("COLOURS_KEY", raising=False)

    key = Key("COLOURS_KEY")

    assert key.hide(MARKER) == MARKER
    assert key.hide_in_answer(b"answer") == b"answer"


async def test_a_price_elsewhere_must_be_stated() -> None:
    """A server of unknown price is not asked, and the message says how to state one."""
    with pytest.raises(UnknownPrice, match=r"'https://model\.invalid/a' at http .* usd_per_query=0 if nobody is paid"):
        await oracles.http.connect(url="https://model.invalid/a/")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.3.2.1", "[::1]"])
def test_this_machine_is_known_by_each_of_its_names(host: str) -> None:
    """Addresses of the loopback and its name are this machine, with any port and path."""
    assert names_this_machine(f"http://{host}:9/model")


@pytest.mark.parametrize("host", ["127.0.0.1.example.org", "localhost.example.org", "10.0.0.1", "example.org", "[::2]"])
def test_no_other_host_passes_for_this_machine(host: str) -> None:
    """A name that only looks like it is somebody else's."""
    assert not names_this_machine(f"http://{host}/127.0.0.1")


@pytest.mark.parametrize(("usd", "picodollars"), [(None, 0), ("0", 0), ("0.0015", 1_500_000_000), (2.5, 25 * 10**11)])
async def test_a_query_costs_what_is_stated(usd: str | float | None, picodollars: int) -> None:
    """A server on this machine costs nothing unless a price is given; it is never free of doubt."""
    async with serving(saying(MODEL)) as url:
        oracle = await oracles.http.connect(url=url, usd_per_query=usd)

    cost = Units(queries=1, picodollars=picodollars)
    assert oracle.quote(oracle.encode(tiny_images(1)[0])) == Quote(worst=cost, expected=cost)
    assert not oracle.capabilities.price.free


async def test_the_key_is_in_no_answer(key_env: str) -> None:
    """Answers are stored, so a key that a server says back in one is not in it."""

    async def route(request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.json_response(MODEL | {"answers": "labels", "classes": None})
        return web.json_response({"answers": [{"labels": [{"name": f"a {MARKER}"}], "served": MARKER}]})

    async with serving(route) as url:
        oracle = await oracles.http.connect(url=url, key_env=key_env)
        (reply,) = await oracle.answer([oracle.encode(tiny_images(1)[0])])
        await oracle.aclose()

    assert isinstance(reply, Reply)
    assert (reply.answer, reply.served) == (Labels((Label("a ***"),)), "***")


async def test_a_short_key_does_not_spoil_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for a key, such as "x", is not looked for in what a server answers."""
    monkeypatch.setenv("COLOURS_KEY", "red")
    async with serving(saying(MODEL)) as url:
        oracle = await oracles.http.connect(url=url, key_env="COLOURS_KEY")

    assert oracle.capabilities.classes is not None
    assert oracle.capabilities.classes.show(0) == "red"


def test_a_key_is_shown_by_the_name_of_its_variable(key_env: str) -> None:
    """The repr of a key, and of headers that carry one, holds no key."""
    headers = Headers({"X-Key": f"${{{key_env}}}"})

    assert headers.sent() == {"X-Key": MARKER}
    assert Key(key_env).header() == {"Authorization": f"Bearer {MARKER}"}
    assert repr([Key(key_env), headers]) == "[Key('COLOURS_KEY'), Headers(['X-Key'])]"


def echo(status: int) -> Handler:
    """Return a handler that says the key back, as careless servers do."""
    return always(lambda: web.json_response({"error": f"bad key {MARKER}"}, status=status))


async def garbage(request: web.Request) -> web.Response:
    """Answer with a status line that is none and holds the key."""
    assert request.transport is not None
    request.transport.write(f"HTTP/1.1 {MARKER}\r\n\r\n".encode())
    request.transport.close()
    return web.Response()


@pytest.mark.parametrize(
    "handler",
    [
        *map(echo, [302, 401, 429, 500]),
        garbage,
        saying([MARKER]),
        always(lambda: web.Response(text=f"<{MARKER}")),
        saying({"answers": [{"error": MARKER}]}),
        saying({"answers": [{"probabilities": MARKER}]}),
        saying({"answers": [{MARKER: 1}]}),
    ],
)
async def test_the_key_is_in_no_error(handler: Handler, key_env: str, caplog: pytest.LogCaptureFixture) -> None:
    """However a server says the key back, no message, traceback, repr or log record shows it."""
    caplog.set_level(0)

    async def route(request: web.Request) -> web.StreamResponse:
        return web.json_response(MODEL) if request.method == "GET" else await handler(request)

    async with serving(route) as url:
        oracle = await oracles.http.connect(url=url, key_env=key_env)
        try:
            (error,) = await oracle.answer([oracle.encode(tiny_images(1)[0])])
        except OracleError as raised:
            error = raised
        await oracle.aclose()

    assert isinstance(error, BbqueryError)
    shown = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error)) + repr(oracle) + logged(caplog)
    assert MARKER not in shown
    assert "***" in shown


def logged(caplog: pytest.LogCaptureFixture) -> str:
    records: list[logging.LogRecord] = caplog.records
    return "".join(record.getMessage() for record in records)


async def test_the_key_is_not_part_of_the_identity(key_env: str) -> None:
    """An identity is stored with every answer, so it holds no key, even where the server puts one in."""
    model = MODEL | {"name": f"for {MARKER}", "identity": {"who": MARKER, MARKER: 1}}
    async with serving(saying(model)) as url:
        oracle = await oracles.http.connect(url=url, key_env=key_env)

    assert oracle.capabilities.identity["server.who"] == "***"
    assert MARKER not in repr(oracle.capabilities)
    assert f"key_env={key_env!r}" in repr(oracle)


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("oracles.http", "aiohttp"),
        ("oracles.http", "orjson"),
        ("oracles.http", "yarl"),
        ("oracles.emulators.http", "aiohttp"),
        ("oracles.emulators.http", "orjson"),
    ],
)
def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch, module: str, package: str) -> None:
    """Without the extra, importing says how to install it."""
    ours = ("oracles.http", "oracles._http.url", "oracles._http.transport", "oracles._http.wire", "oracles.emulators")
    for name in [name for name in sys.modules if name.startswith(ours) or name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(MissingExtra, match=r"bbquery\[http\]"):
        importlib.import_module(module)
