"""Gemini by the template that comes with bbquery: what is sent, what answers mean, and what they cost."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest
from aiohttp import web

import oracles.http
from bbquery.errors import OracleError, OutcomeUnknown, QuotaExceeded, RateLimited, Rejected, UnknownName, UsageError
from bbquery.types import NoAnswer, Reply, Text
from bbquery.units import Units
from oracles import function
from oracles.emulators.gemini import SERVED, Faults, GeminiEmulator
from tests.support.http_helpers import Handler, always, saying, serving

KEY = "AIza-marker-5eC12eT"
FLASH, LITE = "gemini-3.5-flash", "gemini-2.5-flash-lite"
USAGE = {"promptTokenCount": 300, "candidatesTokenCount": 5, "thoughtsTokenCount": 60, "totalTokenCount": 365}


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch, home: object) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", KEY)


def response(*parts: dict[str, Any], ended: str = "STOP", **fields: Any) -> dict[str, Any]:
    """Return the body of a success."""
    content = {"role": "model", "parts": list(parts)} if parts else {"role": "model"}
    whole = {"candidates": [{"content": content, "finishReason": ended, "index": 0}], "usageMetadata": USAGE}
    return whole | {"modelVersion": FLASH} | fields


async def connected(**options: Any) -> Any:
    return await oracles.http.connect(**({"template": "@gemini", "model": FLASH} | options))


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


async def sent_by(**options: Any) -> tuple[str, dict[str, Any]]:
    """Return the path and the body of a request."""
    seen: list[tuple[str, dict[str, Any]]] = []

    async def keep(request: web.Request) -> web.Response:
        assert request.headers["x-goog-api-key"] == KEY
        seen.append((request.path, await request.json()))
        return web.json_response(response({"text": "cat"}))

    await ask(keep, **options)
    return seen[0]


async def test_a_request_is_what_the_vendor_describes() -> None:
    """The model is in the path; the image is inline, before the question; the output and the resolution are bounded."""
    path, body = await sent_by(prompt="What is it?", max_tokens=300, detail="medium", effort="high")

    assert path == f"/v1beta/models/{FLASH}:generateContent"
    image, text = body["contents"][0]["parts"]
    assert (image["inlineData"]["mimeType"], text) == ("image/png", {"text": "What is it?"})
    assert body["generationConfig"] == {
        "maxOutputTokens": 300,
        "mediaResolution": "MEDIA_RESOLUTION_MEDIUM",
        "thinkingConfig": {"thinkingLevel": "high"},
    }


async def test_the_older_models_have_a_budget_of_thought() -> None:
    """They are asked not to think, at temperature 0; a level of thought is refused before anything is sent."""
    _, body = await sent_by(model=LITE)

    assert body["generationConfig"] == {
        "maxOutputTokens": 64,
        "temperature": 0,
        "mediaResolution": "MEDIA_RESOLUTION_LOW",
        "thinkingConfig": {"thinkingBudget": 0},
    }
    with pytest.raises(UnknownName, match="value of effort 'low'; known: none"):
        await connected(model=LITE, effort="low")


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (response({"text": "A "}, {"thoughtSignature": "x"}, {"text": "cat."}), Text("A cat.")),
        (response({"text": "A tabby"}, ended="MAX_TOKENS"), Text("A tabby")),
        (response(ended="MAX_TOKENS"), "truncated"),
        (response(ended="SAFETY"), "filtered"),
        (response({"text": "I"}, ended="PROHIBITED_CONTENT"), "filtered"),
        ({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": USAGE}, "filtered"),
        (response({"text": " "}), "empty"),
    ],
)
async def test_answers_and_their_absence_are_told_apart(body: dict[str, Any], answer: Text | str) -> None:
    """Texts are joined; a blocked prompt, a filtered answer, and a cap that was reached in thought have their kinds."""
    reply = await ask(saying(body))

    assert isinstance(reply, Reply)
    assert (reply.answer.kind if isinstance(reply.answer, NoAnswer) else reply.answer) == answer


@pytest.mark.parametrize(
    ("usage", "spent"),
    [
        (USAGE, Units(1, 365, 300 * 1_500_000 + 65 * 9_000_000)),
        (USAGE | {"cachedContentTokenCount": 100}, Units(1, 365, 200 * 1_500_000 + 100 * 150_000 + 65 * 9_000_000)),
        ({"promptTokenCount": 300, "thoughtsTokenCount": 60}, Units(1, 360, 300 * 1_500_000 + 60 * 9_000_000)),
        ({"promptTokenCount": 300}, None),
    ],
)
async def test_thoughts_are_billed_as_output(usage: dict[str, int], spent: Units | None) -> None:
    """What a response says is added up; cached tokens are part of the prompt; no output said counts as the hold."""
    reply = await ask(saying(response({"text": "cat"}, usageMetadata=usage)))

    assert isinstance(reply, Reply)
    assert reply.cost == spent


async def test_an_image_is_held_by_its_resolution() -> None:
    """Whatever its size, an image takes what its resolution allows; a model that is not known is not guessed."""
    counts = [(await connected(detail=detail))._costs._cost.image.of(999, 9) for detail in (None, "medium", "high")]

    assert counts == [280, 560, 1120]
    with pytest.raises(UsageError, match="image_tokens=2000"):
        await connected(model="gemini-4-argon")


def failing(status: int, name: str, said: str, *details: dict[str, Any]) -> Handler:
    error = {"error": {"code": status, "message": said, "status": name, "details": list(details)}}
    return always(lambda: web.json_response(error, status=status))


RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "46s"}


@pytest.mark.parametrize(
    ("handler", "kind", "wait"),
    [
        (failing(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."), Rejected, None),
        (failing(402, "RESOURCE_EXHAUSTED", "Prepay credits are depleted"), QuotaExceeded, None),
        (failing(403, "PERMISSION_DENIED", "no"), Rejected, None),
        (failing(404, "NOT_FOUND", "models/x is not found"), Rejected, None),
        (failing(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota", RETRY), RateLimited, 46),
        (failing(429, "RESOURCE_EXHAUSTED", "Quota exceeded. Please retry in 9h54m2.5s."), RateLimited, 35642.5),
        (failing(503, "UNAVAILABLE", "The model is overloaded."), RateLimited, None),
        (failing(504, "DEADLINE_EXCEEDED", "too late"), OutcomeUnknown, None),
    ],
)
async def test_refusals_have_the_meaning_for_the_money_that_the_vendor_gives_them(
    handler: Handler, kind: type[OracleError], wait: float | None
) -> None:
    """The body says how long to wait; depleted credit ends a run; 500 and 503 are not charged, 504 may be."""
    found = await ask(handler)

    assert isinstance(found, OracleError)
    assert (type(found), found.retry_after) == (kind, wait)


async def test_the_emulator_answers_with_its_model_and_bills_it() -> None:
    """Each model names a class; bill and cost agree, thoughts included."""
    inner = function.connect(lambda image: np.array([0.25, 0.75]), height=8, width=8, version="1", classes="cat|dog")
    server = GeminiEmulator(inner)
    async with server.running() as url:
        replies = []
        for name in SERVED:
            oracle = await connected(url=url, model=name, classes="cat|dog")
            async with contextlib.aclosing(oracle):
                replies += await oracle.answer([oracle.encode(np.zeros((50, 60, 3), np.uint8))])

    answered = [reply for reply in replies if isinstance(reply, Reply)]
    assert answered[0].answer == Text("dog")  # at temperature 0 the likelier one
    assert {reply.answer for reply in answered} <= {Text("cat"), Text("dog")}
    assert sum((reply.cost or Units()).picodollars for reply in answered) == server.bill.picodollars > 0


@pytest.mark.parametrize(("faults", "kind"), [({"content_filter": 1.0}, "filtered"), ({"refusal": 1.0}, "filtered")])
async def test_the_emulator_withholds_answers_as_the_vendor_does(faults: dict[str, Any], kind: str) -> None:
    """Of a blocked prompt there is no candidate, of a withheld answer its reason; both are billed."""
    inner = function.connect(lambda image: np.array([0.25, 0.75]), height=8, width=8, version="1", classes="cat|dog")
    server = GeminiEmulator(inner, Faults(**faults))
    async with server.running() as url:
        oracle = await connected(url=url)
        async with contextlib.aclosing(oracle):
            (reply,) = await oracle.answer([oracle.encode(np.zeros((8, 8, 3), np.uint8))])

    assert isinstance(reply.answer, NoAnswer)
    assert reply.answer.kind == kind
    assert server.bill.images_answered == 1
