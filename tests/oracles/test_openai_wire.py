"""What travels between the OpenAI oracle and a server: headers, connections, content in parts, and streams."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web

from bbquery.errors import MalformedAnswer, OracleError
from bbquery.oracle import RateSeen
from bbquery.types import NoAnswer, Reply, Text
from tests.support.http_helpers import saying, serving
from tests.support.openai_helpers import (
    answer_in,
    ask,
    choice,
    completion,
    connect,
    connected,
    image,
    response,
)

pytestmark = pytest.mark.usefixtures("openai_key")


# --- headers and connections ---


async def test_what_the_headers_say_of_limits_is_kept() -> None:
    """From the last response; a response without them takes nothing back."""
    headers = {"x-ratelimit-limit-requests": "500", "x-ratelimit-reset-tokens": "6m0s"}
    said = iter([headers, {}])

    async def handler(request: web.Request) -> web.Response:
        await request.read()
        return web.json_response(completion(), headers=next(said))

    async with serving(handler) as url, connected(url) as oracle:
        assert oracle.rate_seen is None
        payload = oracle.encode(image())
        await oracle.answer([payload])
        await oracle.answer([payload])
        assert oracle.rate_seen == RateSeen(requests=500, tokens_reset=360.0)


async def test_a_large_image_is_sent_without_a_word() -> None:
    """Bodies above a megabyte go out in pieces, which holds nobody up; nothing warns."""
    sizes: list[tuple[int | None, int]] = []

    async def handler(request: web.Request) -> web.Response:
        sizes.append((request.content_length, len(await request.content.read())))
        return web.json_response(completion())

    async with serving(handler) as url:
        assert isinstance(await ask(url, side=800, height=800, width=800), Reply)

    ((announced, received),) = sizes
    assert announced == received > 2**20


def test_an_oracle_serves_one_loop_after_another() -> None:
    """Connections belong to a loop; the oracle opens new ones."""
    oracle = connect("http://127.0.0.1:9/v1")

    async def once() -> None:
        async with serving(saying(completion())) as url:
            oracle._endpoint.url = url  # type: ignore[attr-defined]  # each loop has a server of its own here
            (reply,) = await oracle.answer([oracle.encode(image())])
            assert isinstance(reply, Reply)
            await oracle.aclose()

    asyncio.run(once())
    asyncio.run(once())


def test_an_oracle_that_was_not_closed_serves_the_next_loop() -> None:
    """Connections of a loop that has ended are of no use."""
    oracle = connect("http://127.0.0.1:9/v1")

    async def once() -> None:
        async with serving(saying(completion())) as url:
            oracle._endpoint.url = url  # type: ignore[attr-defined]  # each loop has a server of its own here
            (reply,) = await oracle.answer([oracle.encode(image())])
            assert isinstance(reply, Reply)

    asyncio.run(once())
    asyncio.run(once())


async def test_closing_twice_or_before_use_is_fine() -> None:
    """There may be nothing to close; the oracle can be asked afterwards."""
    async with serving(saying(completion())) as url:
        oracle = connect(url)
        await oracle.aclose()
        await oracle.aclose()
        (reply,) = await oracle.answer([oracle.encode(image())])
        await oracle.aclose()

    assert isinstance(reply, Reply)


async def test_many_attempts_are_in_flight_at_once() -> None:
    """Up to the declared concurrency: none waits for another."""
    here = asyncio.Semaphore(0)
    together = asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        await request.read()
        here.release()
        await together.wait()
        return web.json_response(completion())

    async with serving(handler) as url, connected(url, concurrency=32) as oracle:
        payload = oracle.encode(image())
        flights = [asyncio.create_task(oracle.answer([payload])) for _ in range(32)]
        for _ in flights:
            await here.acquire()
        together.set()
        replies = [reply for (reply,) in await asyncio.gather(*flights)]

    assert not any(isinstance(reply, OracleError) for reply in replies)


@pytest.mark.parametrize("ended", ["length", "max_output_tokens"])
def test_reasoning_that_the_cap_cuts_off_is_truncated(ended: str) -> None:
    """An answer that never came is none, from the first query on; the advice is to raise the cap."""
    for text in ("<think>It could be a cat", "[THINK] hm", "◁think▷ hm", "<think>a cat.</think>"):
        answer = answer_in(choice(text, ended=ended))
        assert answer == NoAnswer(
            "the output cap was reached within the model's reasoning: raise max_tokens", "truncated"
        )


def test_reasoning_and_an_answer_are_a_text() -> None:
    """All of it is kept; only the end of it is scored."""
    answer = answer_in(choice("<think>a dog?</think>cat", ended="length"))

    assert isinstance(answer, Text)
    assert answer.text == "<think>a dog?</think>cat"
    assert answer.spoken.text == "cat"


def test_reasoning_alone_is_empty() -> None:
    """The model ended by itself, and said nothing."""
    answer = answer_in(choice("<think>a cat.</think>", ended="stop"))

    assert isinstance(answer, NoAnswer)
    assert answer.kind == "empty"


# --- content in parts, and streams ---


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ([{"type": "text", "text": "a "}, {"type": "text", "text": "cat"}], "a cat"),
        (["a ", "cat"], "a cat"),
        ([{"text": "a cat"}], "a cat"),
        ([{"type": "thinking", "thinking": [{"type": "text", "text": "dog"}]}, {"type": "text", "text": "cat"}], "cat"),
        ([{"type": "reasoning", "text": "dog"}, {"type": "output_text", "text": "cat"}], "cat"),
        ([{"type": "image_url", "image_url": {}}, None, 5, {"type": "text", "text": "cat"}], "cat"),
    ],
)
def test_content_as_a_list_of_parts_is_one_text(parts: list[Any], text: str) -> None:
    """Parts of text are joined; reasoning, images and what is no part are ignored, by either API."""
    assert answer_in(choice(parts)) == Text(text)  # type: ignore[arg-type]  # the point
    assert answer_in(response(*parts)) == Text(text)


@pytest.mark.parametrize("parts", [[], [{"type": "thinking", "thinking": "hm"}]])
def test_content_without_a_part_of_text_is_empty(parts: list[Any]) -> None:
    """As is no content."""
    answer = answer_in(choice(parts))  # type: ignore[arg-type]  # the point

    assert isinstance(answer, NoAnswer)
    assert answer.kind == "empty"


def test_a_part_may_be_a_refusal() -> None:
    """In chat as in responses."""
    content = choice([{"type": "refusal", "refusal": "I can't."}])  # type: ignore[arg-type]  # the point

    assert answer_in(content) == NoAnswer("I can't.", "refused")


@pytest.mark.parametrize(
    "body",
    [
        b'{"response": "a"}\n{"response": " cat"}\n',
        b'data: {"choices": [',
        b"\n\nevent: message\ndata: {}\n\n",
        b": ping\n\ndata: {}",
        b"\xef\xbb\xbfdata:{}",
    ],
)
async def test_a_stream_that_nobody_asked_for_is_told_apart(body: bytes) -> None:
    """One answer in one piece is asked for; a server that streams all the same is named, with what to do."""
    asked: list[Any] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(await request.json())
        return web.Response(body=body, content_type="text/event-stream")

    async with serving(handler) as url:
        error = await ask(url)

    assert asked[0]["stream"] is False
    assert isinstance(error, MalformedAnswer)
    assert "server-sent events" in str(error)
    assert "turn streaming off" in str(error)
