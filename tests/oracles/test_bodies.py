"""Bodies have a limit: what a server sends does not decide how much memory a run takes."""

from __future__ import annotations

import collections
import gzip
import json
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

import oracles.http
from bbquery.errors import KeyRefused, MalformedAnswer, OracleError
from bbquery.types import Reply, Text
from oracles._http import bodies
from oracles._http.bodies import LARGEST, Unpacker, UnreadableBody
from oracles._openai import batch_file
from tests.support import openai_helpers
from tests.support.http_helpers import Handler, always, answering, serving
from tests.support.images import tiny_images
from tests.support.openai_helpers import completion

MIB = 2**20


async def openai_of(handler: Handler) -> Reply | OracleError:
    """Return the outcome of one attempt through the openai oracle."""
    async with serving(handler) as url:
        try:
            return await openai_helpers.ask(url, key_env=None)
        except OracleError as error:
            return error


async def http_of(handler: Handler) -> Reply | OracleError:
    """Return the outcome of one attempt through the http oracle."""
    async with answering(handler, answers="text", classes=None) as url:
        oracle = await oracles.http.connect(url=url)
        try:
            return (await oracle.answer([oracle.encode(tiny_images(1)[0])]))[0]
        except OracleError as error:
            return error
        finally:
            await oracle.aclose()


ORACLES: dict[str, Callable[[Handler], Awaitable[Reply | OracleError]]] = {"openai": openai_of, "http": http_of}
ANSWERS = {"openai": completion("cat"), "http": {"answers": [{"text": "cat"}]}}


def bomb(mebibytes: int) -> bytes:
    """Return a gzip file that unpacks into so many MiB."""
    packer = zlib.compressobj(9, wbits=bodies.GZIP)
    return b"".join((*(packer.compress(bytes(MIB)) for _ in range(mebibytes)), packer.flush()))


def packed(body: bytes, packing: str, status: int = 200) -> Handler:
    """Return a handler that answers with these bytes, said to be packed so."""
    return always(
        lambda: web.Response(
            status=status, body=body, headers={"Content-Encoding": packing, "Content-Type": "application/json"}
        )
    )


async def endless(request: web.Request) -> web.StreamResponse:
    """Answer with a body that does not end."""
    await request.read()
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    while True:
        await response.write(b" " * MIB)


@pytest.mark.parametrize("name", ORACLES)
async def test_a_bomb_of_gzip_is_unpacked_no_further_than_an_answer_may_be_long(name: str) -> None:
    """200 kB that unpack into 200 MiB are an answer that cannot be read."""
    error = await ORACLES[name](packed(bomb(200), "gzip"))

    assert isinstance(error, MalformedAnswer)
    assert "longer than 16 MiB" in str(error)


def test_a_bomb_takes_no_memory_beyond_a_piece() -> None:
    """However much one part of a body unpacks into, it comes in small pieces."""
    packed_body = bomb(200)
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableBody):
            collections.deque(Unpacker("gzip", LARGEST).feed(packed_body), maxlen=0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < MIB


@pytest.mark.parametrize("name", ORACLES)
async def test_a_body_without_end_is_left(name: str) -> None:
    """Nobody reads on for as long as the server writes."""
    error = await ORACLES[name](endless)

    assert isinstance(error, MalformedAnswer)
    assert "longer than 16 MiB" in str(error)


@pytest.mark.parametrize("name", ORACLES)
async def test_a_body_that_says_how_long_it_is_has_the_same_limit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not packed and of a stated length, an answer that is too long is no better."""
    plain = json.dumps(ANSWERS[name]).encode()
    monkeypatch.setattr(bodies, "LARGEST", 1000)
    headers = {"Content-Type": "application/json"}

    reply = await ORACLES[name](always(lambda: web.Response(body=plain.ljust(1000), headers=headers)))
    error = await ORACLES[name](always(lambda: web.Response(body=plain.ljust(1001), headers=headers)))

    assert isinstance(reply, Reply), reply
    assert isinstance(error, MalformedAnswer)
    assert "longer than" in str(error)


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("packing", ["gzip", "x-gzip", "GZIP", "deflate", "raw deflate", "identity", "two members"])
async def test_packed_answers_are_read(name: str, packing: str) -> None:
    """As servers pack them, also where they do not follow the letter."""
    plain = json.dumps(ANSWERS[name]).encode()
    raw = zlib.compressobj(wbits=bodies.RAW)
    forms = {
        "deflate": zlib.compress(plain),
        "raw deflate": raw.compress(plain) + raw.flush(),
        "identity": plain,
        "two members": gzip.compress(plain[:20]) + gzip.compress(plain[20:]),
    }
    said = {"raw deflate": "deflate", "two members": "gzip"}.get(packing, packing)

    reply = await ORACLES[name](packed(forms.get(packing, gzip.compress(plain)), said))

    assert isinstance(reply, Reply), reply
    assert reply.answer == Text("cat")


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize(
    ("body", "packing", "said"),
    [
        (b"not packed", "gzip", "cannot be unpacked as gzip"),
        (b"xx", "br", "packed as 'br'"),
        (b"\x78\xff", "deflate", ""),
    ],
)
async def test_what_cannot_be_unpacked_is_malformed(name: str, body: bytes, packing: str, said: str) -> None:
    """It was answered, so it is paid, and asked again."""
    error = await ORACLES[name](packed(body, packing))

    assert isinstance(error, MalformedAnswer)
    assert error.retryable
    assert said in str(error)


@pytest.mark.parametrize("name", ORACLES)
async def test_a_refusal_stays_one_however_long_its_body_is(name: str) -> None:
    """Its status has said what matters."""
    for handler in (packed(bomb(32), "gzip", 401), packed(b"junk", "gzip", 401), packed(b"junk", "br", 401)):
        assert type(await ORACLES[name](handler)) is KeyRefused


@pytest.mark.parametrize("name", ORACLES)
async def test_a_packed_refusal_is_quoted(name: str) -> None:
    """A reason may be packed as an answer may."""
    body = gzip.compress(json.dumps({"error": {"message": "no such field"}}).encode())

    assert "no such field" in str(await ORACLES[name](packed(body, "gzip", 400)))


@given(st.binary(max_size=2000), st.sampled_from(["gzip", "deflate"]), st.lists(st.integers(1, 50), max_size=20))
def test_what_is_packed_is_unpacked_whole_in_any_pieces(body: bytes, packing: str, sizes: list[int]) -> None:
    """Wherever the network cuts it."""
    rest = gzip.compress(body) if packing == "gzip" else zlib.compress(body)
    unpacker, found = Unpacker(packing, LARGEST), b""
    for size in [*sizes, len(rest)]:
        part, rest = rest[:size], rest[size:]
        found += b"".join(unpacker.feed(part))

    assert found == body


@given(st.binary(max_size=300), st.sampled_from(["gzip", "deflate", "identity", "br"]))
def test_junk_is_unreadable_and_nothing_else(junk: bytes, packing: str) -> None:
    """No other error comes of any bytes."""
    try:
        found = b"".join(Unpacker(packing, LARGEST).feed(junk))
    except UnreadableBody as fault:
        assert packing in str(fault)  # noqa: PT017 - either is right
        return
    assert found == junk or packing != "identity"


async def cut(pieces: list[bytes]) -> list[tuple[bytes, bool]]:
    async def given_pieces() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    return [line async for line in batch_file.cut(given_pieces())]


@given(st.lists(st.binary(max_size=20).map(lambda b: b.replace(b"x", b"\n")), max_size=12))
async def test_lines_are_cut_wherever_pieces_end(pieces: list[bytes]) -> None:
    """The lines of the pieces are those of the whole."""
    *whole, last = b"".join(pieces).split(b"\n")

    assert await cut(pieces) == [(line, True) for line in whole] + ([(last, False)] if last else [])


async def test_a_line_without_end_is_held_no_further_than_an_answer_may_be_long(monkeypatch: Any) -> None:
    """And what is kept of it still tells whose it is."""
    monkeypatch.setattr(batch_file, "LARGEST", 50)

    lines = await cut([b'{"custom_id": "7", ', b"x" * 100, b"x" * 100, b"\n{}\n"])

    assert lines == [(b'{"custom_id": "7", ' + b"x" * 31, True), (b"{}", True)]
