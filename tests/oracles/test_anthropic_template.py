"""Claude by the template that comes with bbquery: what is sent, what answers mean, and what they cost."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from aiohttp import web

import oracles.http
from bbquery.errors import (
    KeyRefused,
    MalformedAnswer,
    OracleError,
    OutcomeUnknown,
    QuotaExceeded,
    RateLimited,
    Rejected,
    UnknownPrice,
    UsageError,
)
from bbquery.oracle import RateSeen, View
from bbquery.types import NoAnswer, Reply, Text
from bbquery.units import Units
from oracles import function
from oracles._http.template.cost import MOST_FRAMING
from oracles.emulators.anthropic import SERVED, AnthropicEmulator, Faults, image_tokens
from tests.support.http_helpers import Handler, always, saying, serving

if TYPE_CHECKING:
    from pathlib import Path

KEY = "sk-ant-marker-5eC12eT"
HAIKU = "claude-haiku-4-5"
USAGE = {"input_tokens": 100, "output_tokens": 10}


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch, home: object) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)


def message(*content: dict[str, Any], ended: str = "end_turn", **fields: Any) -> dict[str, Any]:
    """Return the body of a success."""
    said = {"type": "message", "role": "assistant", "content": list(content), "stop_reason": ended}
    return said | {"model": HAIKU, "usage": USAGE} | fields


def words(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


THOUGHT = {"type": "thinking", "thinking": "", "signature": "x"}


async def ask(handler: Handler, **options: Any) -> Reply | OracleError:
    """Make one attempt; return its reply or error."""
    async with serving(handler) as url:
        oracle = await connected(url=url, **options)
        async with contextlib.aclosing(oracle):
            try:
                replies: list[Reply | OracleError] = await oracle.answer([oracle.encode(np.zeros((8, 8, 3), np.uint8))])
            except OracleError as error:
                return error
    return replies[0]


async def connected(**options: Any) -> Any:
    return await oracles.http.connect(**({"template": "@anthropic-messages", "model": HAIKU} | options))


async def answer_to(body: dict[str, Any]) -> Any:
    reply = await ask(saying(body))
    assert isinstance(reply, Reply)
    return reply.answer


def failing(status: int, kind: str, said: str, headers: dict[str, str] | None = None, **more: Any) -> Handler:
    error = {"type": "error", "error": {"type": kind, "message": said, **more}, "request_id": "req_1"}
    return always(lambda: web.json_response(error, status=status, headers=headers))


# --- what is sent ---


async def test_a_request_is_what_the_vendor_describes() -> None:
    """Key and version are headers, the image is a block of base64 before the question, and the output has a cap."""
    seen = []

    async def keep(request: web.Request) -> web.Response:
        assert request.path == "/v1/messages"
        assert (request.headers["x-api-key"], request.headers["anthropic-version"]) == (KEY, "2023-06-01")
        assert "Authorization" not in request.headers
        seen.append(await request.json())
        return web.json_response(message(words("cat")))

    await ask(keep, classes="cat|dog", max_tokens=5)

    (content,) = (body.pop("messages")[0]["content"] for body in seen)
    assert seen == [{"model": HAIKU, "max_tokens": 5, "temperature": 0}]
    assert [part["type"] for part in content] == ["image", "text"]
    assert content[0]["source"]["media_type"] == "image/png"
    assert content[1]["text"].endswith("- cat\n- dog")


async def test_a_model_that_takes_no_temperature_is_sent_none() -> None:
    """Newer models refuse one; they are told how hard to think where the user says so, and else nothing."""
    bodies = []

    async def keep(request: web.Request) -> web.Response:
        bodies.append(await request.json())
        return web.json_response(message(words("cat")))

    await ask(keep, model="claude-opus-5-5")
    await ask(keep, model="claude-opus-5-5", effort="low")

    assert ["temperature" in body for body in bodies] == [False, False]
    assert [body.get("output_config") for body in bodies] == [None, {"effort": "low"}]


async def test_what_a_prompt_holds_is_text() -> None:
    """A question that looks like a place for an image, or holds quotes, arrives as it is."""
    prompt = 'Is "${image_base64}" or ${model} in it?\n'
    prompts = []

    async def keep(request: web.Request) -> web.Response:
        prompts.append((await request.json())["messages"][0]["content"][1]["text"])
        return web.json_response(message(words("no")))

    await ask(keep, prompt=prompt)

    assert prompts == [prompt]


# --- what answers mean ---


async def test_thoughts_are_no_part_of_the_answer() -> None:
    """Of the blocks of an answer those of text are read, together."""
    assert await answer_to(message(THOUGHT, words("A "), words("cat."))) == Text("A cat.")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (message(ended="refusal"), "refused"),
        (message(words("I"), ended="refusal"), "refused"),
        (message(THOUGHT, ended="max_tokens"), "truncated"),
        (message(ended="max_tokens"), "truncated"),
        (message(THOUGHT), "empty"),
    ],
)
async def test_no_answer_has_its_kind(body: dict[str, Any], kind: str) -> None:
    """A refusal, a cap that was reached before a word, and silence are answers of their own kind."""
    found = await answer_to(body)

    assert isinstance(found, NoAnswer)
    assert found.kind == kind


async def test_a_refusal_says_why_where_the_vendor_does() -> None:
    """The reason for people is the vendor's."""
    body = message(ended="refusal", stop_details={"type": "refusal", "category": "bio", "explanation": "It may harm."})

    assert await answer_to(body) == NoAnswer("It may harm.", "refused")


async def test_a_text_that_is_cut_off_is_a_text() -> None:
    """Its beginning was answered and paid."""
    assert await answer_to(message(words("A tabby"), ended="max_tokens")) == Text("A tabby")


# --- what it costs ---


@pytest.mark.parametrize(
    ("usage", "spent"),
    [
        ({"input_tokens": 100, "output_tokens": 10}, Units(1, 110, 100 * 1_000_000 + 10 * 5_000_000)),
        (
            {**USAGE, "cache_read_input_tokens": 40, "cache_creation_input_tokens": 20},
            Units(1, 170, 100 * 1_000_000 + 40 * 100_000 + 20 * 1_250_000 + 10 * 5_000_000),
        ),
        ({**USAGE, "cache_read_input_tokens": None}, Units(1, 110, 150_000_000)),
        ({"output_tokens": 10}, None),
        ({"input_tokens": -1, "output_tokens": 10}, None),
        (None, None),
    ],
)
async def test_an_answer_costs_what_it_used(usage: Any, spent: Units | None) -> None:
    """Cached and written tokens come on top of the input; what is not said counts as the whole hold."""
    reply = await ask(saying(message(words("cat"), usage=usage)))

    assert isinstance(reply, Reply)
    assert reply.cost == spent


async def test_an_answer_that_cannot_be_read_costs_too() -> None:
    """A success without a text is paid as it says."""
    found = await ask(saying(message({"type": "text"})))

    assert isinstance(found, MalformedAnswer)
    assert found.cost == Units(1, 110, 150_000_000)


async def test_the_hold_is_the_dearest_that_can_come() -> None:
    """Each byte of the request may be a token, the image takes its patches, and the cap is used up."""
    oracle = await connected(max_tokens=50)
    payload = oracle.encode(np.zeros((224, 100, 3), np.uint8))
    body, _ = oracle._form.join([payload])
    image = json.loads(body)["messages"][0]["content"][0]["source"]["data"]

    tokens = len(body) - len(image) + MOST_FRAMING + 8 * 4
    assert oracle.quote(payload).worst == Units(1, tokens + 50, tokens * 1_250_000 + 50 * 5_000_000)


@pytest.mark.parametrize("name", SERVED)
@pytest.mark.parametrize("size", [(1, 1), (28, 29), (224, 224), (1080, 1920), (3024, 4032), (8000, 20)])
async def test_no_image_takes_more_than_is_held(name: str, size: tuple[int, int]) -> None:
    """The emulator counts images by the vendor's words, step by step; the bound is never below it."""
    oracle = await connected(model=name)
    generation = "old" if name == HAIKU else "new"

    bound = oracle._costs._cost.image.of(*size)

    assert bound >= image_tokens(size[1], size[0], generation)


async def test_an_unknown_model_is_asked_once_its_price_and_images_are_stated() -> None:
    """Neither is guessed: first the price is asked for, then how many tokens an image takes."""
    with pytest.raises(UnknownPrice, match=r'\[anthropic\."claude-9"\]'):
        await connected(model="claude-9")
    with pytest.raises(UsageError, match="image_tokens=2000"):
        await connected(model="claude-9", input_usd=1, output_usd=2)

    oracle = await connected(model="claude-9", input_usd=1, output_usd=2, image_tokens=2000)
    worst = oracle.quote(oracle.encode(np.zeros((8, 8, 3), np.uint8))).worst
    assert worst.tokens > 2000 + 1024
    assert worst.picodollars > 2000 * 1_250_000 + 1024 * 2_000_000


# --- what went wrong ---


@pytest.mark.parametrize(
    ("handler", "kind"),
    [
        (failing(400, "invalid_request_error", "messages: at least one message is required"), Rejected),
        (failing(400, "invalid_request_error", "Your credit balance is too low to access the API."), QuotaExceeded),
        (failing(400, "invalid_request_error", "You have reached your specified API usage limits."), QuotaExceeded),
        (failing(400, "invalid_request_error", "You have reached your specified workspace API usage limits."), QuotaExceeded),  # noqa: E501 - as the vendor says it
        (failing(401, "authentication_error", "invalid x-api-key"), KeyRefused),
        (failing(402, "billing_error", "check your payment"), QuotaExceeded),
        (failing(403, "permission_error", "not allowed"), Rejected),
        (failing(404, "not_found_error", "model: claude-x"), Rejected),
        (failing(413, "request_too_large", "too large"), Rejected),
        (failing(429, "rate_limit_error", "slow down", {"retry-after": "7"}), RateLimited),
        (
            failing(429, "rate_limit_error", "spent", details={"error_code": "enforced_spend_limit_reached"}),
            QuotaExceeded,
        ),
        (failing(500, "api_error", "internal"), OutcomeUnknown),
        (failing(529, "overloaded_error", "Overloaded", {"retry-after": "9"}), RateLimited),
    ],
)  # fmt: skip
async def test_refusals_have_the_meaning_for_the_money_that_the_vendor_gives_them(
    handler: Handler, kind: type[OracleError]
) -> None:
    """Used-up credit ends a run, whatever its status; overload is no work done; only a broken server is in doubt."""
    found = await ask(handler)

    assert type(found) is kind
    if kind is RateLimited:
        assert isinstance(found, OracleError)
        assert found.retry_after in (7, 9)


async def test_the_limits_that_a_response_names_are_learned() -> None:
    """Requests and tokens of the account, and when they are whole again, by the server's own clock."""
    headers = {
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "49",
        "anthropic-ratelimit-requests-reset": "2026-11-30T12:00:09Z",
        "Date": "Mon, 30 Nov 2026 12:00:00 GMT",
    }

    async with serving(always(lambda: web.json_response(message(words("cat")), headers=headers))) as url:
        oracle = await connected(url=url)
        async with contextlib.aclosing(oracle):
            await oracle.answer([oracle.encode(np.zeros((8, 8, 3), np.uint8))])

    assert oracle.rate_seen == RateSeen(requests=50, requests_left=49, requests_reset=9.0)


# --- the emulator ---


def emulator(**options: Any) -> AnthropicEmulator:
    inner = function.connect(lambda image: np.array([0.25, 0.75]), height=8, width=8, version="1", classes="cat|dog")
    return AnthropicEmulator(inner, **options)


@pytest.mark.parametrize(
    ("options", "kind"),
    [({"faults": Faults(overloaded=1.0)}, RateLimited), ({"faults": Faults(quota=1.0)}, QuotaExceeded), ({"key": "other"}, Rejected)],  # noqa: E501 - a case a line
)  # fmt: skip
async def test_the_emulator_refuses_as_the_vendor_does(options: dict[str, Any], kind: type[OracleError]) -> None:
    """Overload, used-up credit and a wrong key are told apart, and nothing is billed."""
    server = emulator(**options)
    async with server.running() as url:
        oracle = await connected(url=url)
        async with contextlib.aclosing(oracle):
            with pytest.raises(kind):
                await oracle.answer([oracle.encode(np.zeros((8, 8, 3), np.uint8))])

    assert server.bill.picodollars == 0


async def test_the_emulator_answers_with_its_model_and_bills_it() -> None:
    """One of the classes is named, a model that thinks is billed for its thoughts, and bill and cost agree."""
    server = emulator()
    async with server.running() as url:
        replies = []
        for name in SERVED:
            oracle = await connected(url=url, model=name, classes="cat|dog", size=0)
            async with contextlib.aclosing(oracle):
                replies += await oracle.answer([oracle.encode(np.zeros((50, 60, 3), np.uint8))])

    answers = [reply.answer for reply in replies if isinstance(reply, Reply)]
    assert answers[0] == Text("dog")  # at temperature 0 the likelier one; the others take no temperature
    assert set(answers) <= {Text("cat"), Text("dog")}
    costs = [reply.cost or Units() for reply in replies if isinstance(reply, Reply)]
    assert sum(cost.picodollars for cost in costs) == server.bill.picodollars > 0
    assert sum(cost.tokens for cost in costs) == server.bill.tokens


async def test_the_photos_own_size_is_sent_where_that_is_wanted() -> None:
    """size=0 leaves a photo as large as it is; any other is the side of a square."""
    views = [(await connected(size=size)).capabilities.view for size in (None, 64, 0)]

    assert views == [View(size=(224, 224)), View(size=(64, 64)), View()]


@pytest.mark.parametrize(
    "content",
    [
        {"max_tokens": 5, "messages": []},
        {"model": HAIKU, "messages": []},
        {"model": HAIKU, "max_tokens": 0, "messages": [{"role": "user", "content": []}]},
        {"model": HAIKU, "max_tokens": 5, "messages": [{"role": "user", "content": "no image"}]},
        {"model": "claude-opus-5-5", "max_tokens": 5, "temperature": 0, "messages": []},
        {"model": HAIKU, "max_tokens": 5, "bogus": 1, "messages": []},
        {"model": HAIKU, "max_tokens": 5, "output_config": {"effort": "lots"}, "messages": []},
    ],
)
async def test_the_emulator_checks_requests_as_the_vendor_does(content: dict[str, Any]) -> None:
    """What the vendor would refuse is refused here, with an error in its form."""
    import aiohttp

    server = emulator()
    headers = {"x-api-key": "any", "anthropic-version": "2023-06-01"}
    async with (
        server.running() as url,
        aiohttp.ClientSession() as session,
        session.post(f"{url}/v1/messages", json=content, headers=headers) as response,
    ):
        said = await response.json()

    assert response.status in (400, 404)
    assert said["type"] == "error"
    assert said["error"]["message"]
    assert server.bill.rejected == 1


async def test_ones_own_prices_go_before_the_tables(home: Path) -> None:
    """What the user's prices.toml says of a model holds, and is named as the source."""
    home.mkdir(exist_ok=True)
    (home / "prices.toml").write_text(f'[anthropic."{HAIKU}"]\ninput = "2"\noutput = "9"\n', encoding="utf-8")

    oracle = await connected(max_tokens=1)

    worst = oracle.quote(oracle.encode(np.zeros((8, 8, 3), np.uint8))).worst
    assert worst.picodollars == (worst.tokens - 1) * 2_500_000 + 9_000_000
    assert oracle.capabilities.price.source == "your file"
