"""The OpenAI emulator as the vendor's own package sees it: its protocol, real answers, faults, limits and bill."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import math
from typing import TYPE_CHECKING, Any

import aiohttp
import numpy as np
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from bbquery.errors import (
    MalformedAnswer,
    OracleError,
    OutcomeUnknown,
    QuotaExceeded,
    RateLimited,
    Rejected,
    Unreachable,
    UsageError,
)
from bbquery.prompt_templates import yes_no
from bbquery.types import NoAnswer, Reply, Text, Vector
from bbquery.units import Units
from oracles._http import waits
from oracles.emulators import _openai_answers as phrases
from oracles.emulators._openai_model import ChatModel
from oracles.emulators._openai_models import SERVED
from oracles.emulators._openai_refusals import duration
from oracles.emulators._openai_request import read
from oracles.emulators._openai_usage import pieces
from oracles.emulators.openai import Bill, Faults, OpenAIEmulator, serve
from tests.images.test_reading import png_header_of
from tests.support.http_helpers import base64_png
from tests.support.openai_helpers import KEY, MODELS, answered, ask, connect, connected, image, prepare
from tests.support.oracles import COLOURS, colour_oracle, share_of_colours

if TYPE_CHECKING:
    from bbquery.oracle import Oracle

CLASSES = "red|green|blue"
OUTCOMES: dict[str, type[object]] = {
    "rate_limited": RateLimited,
    "quota": QuotaExceeded,
    "server_error": OutcomeUnknown,
    "timeout": OutcomeUnknown,
    "dropped": OutcomeUnknown,
    "truncated": OutcomeUnknown,
    "junk": MalformedAnswer,
    "drip": Reply,
    "refusal": Reply,
    "content_filter": Reply,
}


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(monkeypatch)


def data_url(side: int = 8, seed: int = 0) -> str:
    return f"data:image/png;base64,{base64_png(image(side, seed))}"


def chat(question: str = "What is it?", detail: str = "low", **fields: Any) -> dict[str, Any]:
    """Return the arguments of a chat completion about one image."""
    parts = [
        {"type": "text", "text": question},
        {"type": "image_url", "image_url": {"url": data_url(), "detail": detail}},
    ]
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": parts}]} | fields


async def test_an_image_that_is_too_large_is_told_413() -> None:
    """A PNG of 9,000 × 9,000 pixels is judged by its header, and is the client's mistake, which is not billed."""
    body = chat()
    url_of_image = f"data:image/png;base64,{base64.b64encode(png_header_of(9000, 9000)).decode()}"
    body["messages"][0]["content"][1]["image_url"]["url"] = url_of_image
    emulator = OpenAIEmulator(colour_oracle())
    async with emulator.running() as url:
        status, content, _ = await post(url, body)

    assert status == 413
    assert content["error"]["code"] == "image_too_large"
    assert "9000 × 9000 pixels, and 64 megapixels are read at most" in content["error"]["message"]
    assert emulator.bill.picodollars == 0


async def test_requests_to_another_host_s_name_are_refused() -> None:
    """A web page whose name leads to this machine gets no answer."""
    async with OpenAIEmulator(colour_oracle()).running() as url:
        status, content, _ = await post(url, chat(), Host="evil.example")

    assert status == 421
    assert "evil.example" in content["error"]["message"]


def responses(question: str = "What is it?", **fields: Any) -> dict[str, Any]:
    """Return the arguments of a response about one image."""
    parts = [
        {"type": "input_text", "text": question},
        {"type": "input_image", "image_url": data_url(), "detail": "low"},
    ]
    return {"model": "gpt-4o", "input": [{"role": "user", "content": parts}]} | fields


def client(url: str, key: str = KEY) -> openai.AsyncOpenAI:
    """Return the vendor's client, which refuses replies that break the vendor's own types."""
    return openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0, _strict_response_validation=True)


def listing(classes: str = CLASSES) -> str:
    return "\n".join(("Which?", *(f"- {name}" for name in classes.split("|"))))


async def post(url: str, body: Any, path: str = "/chat/completions", **headers: str) -> tuple[int, Any, dict[str, str]]:
    """Ask without the vendor's package; return status, content and headers."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"Content-Type": "application/json"} | headers
    async with aiohttp.ClientSession() as session, session.post(url + path, data=data, headers=sent) as response:
        return response.status, json.loads(await response.read()), dict(response.headers)


async def outcome(oracle: Oracle) -> object:
    """Return what one attempt gives or raises."""
    try:
        (found,) = await oracle.answer([oracle.encode(image())])
    except OracleError as error:
        return error
    return found


# --- the vendor's package ---


async def test_the_vendors_package_gets_a_chat_completion() -> None:
    """Of the vendor's own types, about the likeliest classes of the model it wraps."""
    async with OpenAIEmulator(colour_oracle()).running() as url, client(url) as vendor:
        completion = await vendor.chat.completions.create(**chat(temperature=0))

    best = phrases.chosen(list(share_of_colours(image()).values), 0, ())
    assert completion.choices[0].finish_reason == "stop"
    assert f"shows a {('red', 'green', 'blue')[best]};" in str(completion.choices[0].message.content)
    assert completion.model == "gpt-4o-2024-08-06"
    assert completion.service_tier == "default"
    assert str(completion.system_fingerprint).startswith("fp_")


async def test_the_vendors_package_gets_a_response() -> None:
    """The other API says the same."""
    async with OpenAIEmulator(colour_oracle()).running() as url, client(url) as vendor:
        completion = await vendor.chat.completions.create(**chat(temperature=0))
        response = await vendor.responses.create(**responses(temperature=0))

    assert response.output_text == completion.choices[0].message.content
    assert response.status == "completed"
    assert completion.usage is not None
    assert response.usage is not None
    assert response.usage.input_tokens == completion.usage.prompt_tokens
    assert response.usage.total_tokens == completion.usage.total_tokens


async def test_the_vendors_package_lists_models() -> None:
    """And knows one from none."""
    async with OpenAIEmulator(colour_oracle()).running() as url, client(url) as vendor:
        names = [model.id async for model in vendor.models.list()]
        found = await vendor.models.retrieve("gpt-4o-2024-08-06")
        with pytest.raises(openai.NotFoundError):
            await vendor.models.retrieve("gpt-9")

    assert set(names) == set(SERVED)
    assert found.id == "gpt-4o-2024-08-06"


async def test_the_vendors_package_gets_log_probabilities() -> None:
    """Of the listed classes, from the model's own probabilities; as many alternatives as asked for."""
    wanted: dict[str, Any] = {"logprobs": True, "top_logprobs": 2, "temperature": 0}
    async with OpenAIEmulator(colour_oracle()).running() as url, client(url) as vendor:
        completion = await vendor.chat.completions.create(**chat(listing(), **wanted))

    probabilities = share_of_colours(image()).values
    logprobs = completion.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    (token,) = logprobs.content
    assert math.exp(token.logprob) == pytest.approx(probabilities.max())
    assert [math.exp(top.logprob) for top in token.top_logprobs] == pytest.approx(sorted(probabilities)[:0:-1])
    assert bytes(token.bytes or []).decode() == token.token == completion.choices[0].message.content


async def test_a_wrong_key_is_refused() -> None:
    """As the vendor refuses it; nothing is billed."""
    emulator = OpenAIEmulator(colour_oracle(), key=KEY)
    async with emulator.running() as url, client(url, "sk-wrong") as vendor:
        with pytest.raises(openai.AuthenticationError) as caught:
            await vendor.chat.completions.create(**chat())

    assert caught.value.code == "invalid_api_key"
    assert emulator.bill == Bill(requests=1, rejected=1)


async def test_a_request_can_be_told_apart() -> None:
    """Each has an identifier, for a log."""
    async with OpenAIEmulator(colour_oracle()).running() as url, client(url) as vendor:
        raw = [await vendor.chat.completions.with_raw_response.create(**chat()) for _ in range(2)]

    assert [response.request_id for response in raw] == ["req_0", "req_1"]


# --- wrong requests ---


WRONG: list[tuple[dict[str, Any], int, str | None]] = [
    (chat(model="gpt-9"), 404, "model_not_found"),
    (chat(model=5), 400, "invalid_type"),
    ({"messages": []}, 400, "missing_required_parameter"),
    ({"model": "gpt-4o"}, 400, "missing_required_parameter"),
    (chat(messages=[]), 400, "empty_array"),
    (chat(messages=["hello"]), 400, "invalid_value"),
    (chat(messages=[{"role": "user", "content": "no image"}]), 400, None),
    (chat(messages=[{"role": "user", "content": [5]}]), 400, "invalid_type"),
    (chat(messages=[{"role": "user", "content": [{"type": "audio"}]}]), 400, "invalid_value"),
    (chat(max_tokens=5, max_completion_tokens=5), 400, None),
    (chat(max_completion_tokens=0), 400, "integer_below_min_value"),
    (chat(max_completion_tokens="5"), 400, "invalid_type"),
    (chat(model="o4-mini", max_tokens=5), 400, "unsupported_parameter"),
    (chat(model="o4-mini", temperature=0), 400, "unsupported_parameter"),
    (chat(model="o4-mini", logprobs=True), 400, "unsupported_parameter"),
    (chat(model="o4-mini", reasoning_effort="none"), 400, "unsupported_value"),
    (chat(model="gpt-5.2", temperature=0, reasoning_effort="low"), 400, "unsupported_parameter"),
    (chat(reasoning_effort="low"), 400, "unsupported_value"),
    (chat(model="gpt-5.2", reasoning_effort="huge"), 400, "unsupported_value"),
    (chat(temperature=3), 400, None),
    (chat(temperature=True), 400, "invalid_type"),
    (chat(top_logprobs=3), 400, None),
    (chat(logprobs=True, top_logprobs=21), 400, None),
    (chat(service_tier="flex"), 400, "unsupported_value"),
    (chat(service_tier="first"), 400, "invalid_value"),
    (chat(stream=True), 400, "unsupported_value"),
    (chat(seeds=1), 400, "unknown_parameter"),
    (chat(detail="huge"), 400, None),
]


@pytest.mark.parametrize(("body", "status", "code"), WRONG)
async def test_a_wrong_request_is_told_so_and_not_billed(body: dict[str, Any], status: int, code: str | None) -> None:
    """In the vendor's JSON; the model is not asked."""
    fake = colour_oracle()
    emulator = OpenAIEmulator(fake)
    async with emulator.running() as url:
        found, content, _ = await post(url, body)

    assert (found, content["error"]["code"]) == (status, code)
    assert set(content["error"]) == {"message", "type", "param", "code"}
    assert emulator.bill == Bill(requests=1, rejected=1)
    assert fake.shown == []


@pytest.mark.parametrize("url", ["http://host/cat.png", "data:image/png;base64,%%%", "data:image/png;base64,AAAA"])
async def test_an_image_that_cannot_be_read_is_told_so(url: str) -> None:
    """The emulator fetches nothing."""
    body = chat(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}])
    async with OpenAIEmulator(colour_oracle()).running() as base:
        status, content, _ = await post(base, body)

    assert status == 400
    assert "image" in content["error"]["message"].lower()


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"[]", {}, 400),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b" " * 2000, {}, 413),
    ],
)
async def test_a_body_that_is_no_request_is_told_so(body: bytes, headers: dict[str, str], status: int) -> None:
    """A page in a browser cannot send JSON unasked."""
    async with OpenAIEmulator(colour_oracle(), largest_body=1000).running() as url:
        found, content, _ = await post(url, body, **headers)

    assert found == status
    assert content["error"]["message"]


async def test_a_wrong_response_is_told_so() -> None:
    """The other API has its own names and its own least cap."""
    async with OpenAIEmulator(colour_oracle()).running() as url:
        for wrong in ({"max_output_tokens": 15}, {"seed": 1}, {"top_logprobs": 21}, {"reasoning": {"effort": "low"}}):
            status, _, _ = await post(url, responses(**wrong), "/responses")
            assert status == 400


async def test_what_goes_with_a_question_counts() -> None:
    """Instructions and other messages are read and billed; the last one is the question."""
    said = {"role": "system", "content": "Be brief."}
    async with OpenAIEmulator(colour_oracle()).running() as url, client(url) as vendor:
        plain = await vendor.chat.completions.create(**chat(listing()))
        more = await vendor.chat.completions.create(**chat(messages=[said, *chat(listing())["messages"]]))
        told = await vendor.responses.create(**responses(listing(), instructions="Be brief."))

    assert plain.usage is not None
    assert more.usage is not None
    assert told.usage is not None
    assert more.usage.prompt_tokens == told.usage.input_tokens == plain.usage.prompt_tokens + 3 + 4
    assert more.choices[0].message.content in ("red", "green", "blue")


# --- real answers ---


async def test_the_likeliest_of_the_listed_classes_is_named() -> None:
    """Whichever are listed, by any of their names."""
    red = np.full((8, 8, 3), (255, 0, 128), dtype=np.uint8)
    async with OpenAIEmulator(colour_oracle()).running() as url:
        for classes, expected in (("red|green|blue", "red"), ("green|blue", "blue"), ("green|Scarlet", "Scarlet")):
            async with connected(url, classes=classes) as oracle:
                (reply,) = await oracle.answer([oracle.encode(red)])
            assert isinstance(reply, Reply)
            assert reply.answer == Text(expected)


async def test_yes_or_no_comes_with_the_probability_of_the_class() -> None:
    """Asked to confirm a class, it says the likelier word, with the log-probability that the model gives it."""
    question = yes_no(["red"])
    async with OpenAIEmulator(colour_oracle()).running() as url, client(url) as vendor:
        completion = await vendor.chat.completions.create(
            **chat(question, temperature=0, logprobs=True, top_logprobs=2)
        )

    red = float(share_of_colours(image()).values[0])
    logprobs = completion.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    said = {found.token: math.exp(found.logprob) for found in logprobs.content[0].top_logprobs}
    assert completion.choices[0].message.content == ("Yes" if red > 0.5 else "No")
    assert said == pytest.approx({"Yes": red, "No": 1 - red})


async def test_what_the_model_does_not_know_is_denied() -> None:
    """Asked to confirm a class that is none of the model's, it says no."""
    async with OpenAIEmulator(colour_oracle()).running() as url, client(url) as vendor:
        completion = await vendor.chat.completions.create(**chat(yes_no(["zebra"]), temperature=0))

    assert completion.choices[0].message.content == "No"


async def test_soft_scores_come_from_one_answer() -> None:
    """The alternatives to the first token carry the model's probabilities of all listed classes, in either API."""
    async with OpenAIEmulator(colour_oracle()).running() as url:
        for api in ("chat", "responses"):
            reply = await answered(url, classes=CLASSES, top_logprobs=3, api=api)
            assert isinstance(reply.answer, Text)
            found = {name: math.exp(logprob) for name, logprob in reply.answer.tokens[0].alternatives}
            assert [found[name] for name in CLASSES.split("|")] == pytest.approx(list(share_of_colours(image()).values))


names = st.lists(st.text("ab -", min_size=1, max_size=20).filter(lambda s: s == s.strip()), min_size=1, unique=True)


@given(names=names, data=st.data())
def test_log_probabilities_of_a_name_add_up(names: list[str], data: st.DataObject) -> None:
    """By the chain rule, if no name is the beginning of another."""
    cut = [pieces(name) for name in names]
    if any(a != b and a == b[: len(a)] for a in cut for b in cut):
        return
    weights = data.draw(st.lists(st.floats(0.01, 1), min_size=len(names), max_size=len(names)))
    probabilities = [weight / sum(weights) for weight in weights]
    choice = data.draw(st.integers(0, len(names) - 1))

    said = phrases.name_alone(names, probabilities, choice)

    assert "".join(piece.text for piece in said) == names[choice]
    assert math.exp(sum(piece.logprob for piece in said)) == pytest.approx(probabilities[choice])
    for piece in said:
        assert sum(math.exp(logprob) for _, logprob in piece.alternatives) == pytest.approx(1)
        assert [logprob for _, logprob in piece.alternatives] == sorted(
            (logprob for _, logprob in piece.alternatives), reverse=True
        )


def test_what_is_impossible_has_the_vendors_lowest_number() -> None:
    """-9999, where a logarithm has none."""
    (piece,) = phrases.name_alone(["red", "blue"], [1.0, 0.0], 0)

    assert piece.alternatives == (("red", 0.0), ("blue", -9999.0))


def test_a_sentence_mentions_the_likeliest_classes() -> None:
    """Three of them, each once, with the article they need."""
    said = phrases.sentence(["ant", "bee", "cat", "dog"], [0.1, 0.4, 0.2, 0.3], 1)

    text = "".join(piece.text for piece in said)
    assert text == "The image most likely shows a bee; it could also be a dog or a cat."
    assert math.exp(next(piece.logprob for piece in said if piece.text == " bee")) == pytest.approx(0.4)
    assert math.exp(next(piece.logprob for piece in said if piece.text == " dog")) == pytest.approx(0.3 / 0.6)


@pytest.mark.parametrize(("names", "text"), [(["ant"], "an ant."), (["ant", "bee"], "an ant; it could also be a bee.")])
def test_a_model_of_few_classes_makes_short_sentences(names: list[str], text: str) -> None:
    """There may be nothing else it could be."""
    said = phrases.sentence(names, [1 / len(names)] * len(names), 0)

    assert "".join(piece.text for piece in said) == f"The image most likely shows {text}"


def test_classes_that_a_model_does_not_know_are_equally_likely() -> None:
    """It cannot tell."""
    assert phrases.shares(["cat", "dog"], COLOURS, [0.2, 0.3, 0.5]) == [0.5, 0.5]


@pytest.mark.parametrize(("prompt", "found"), [("What?", []), ("Which?\n- cat\n - dog\n-\n- cat", ["cat", "dog"])])
def test_a_list_in_a_prompt_is_found(prompt: str, found: list[str]) -> None:
    """Lines that begin with a dash, each name once."""
    assert phrases.listed(prompt) == found


async def test_a_temperature_draws_from_the_probabilities() -> None:
    """Repeats differ, as often as the model's probabilities say; a seed repeats them."""
    async with OpenAIEmulator(colour_oracle()).running() as url:
        async with connected(url, classes=CLASSES, temperature=1.0) as oracle:
            drawn = {str(await outcome(oracle)).partition(",")[0] for _ in range(30)}
        async with connected(url, classes=CLASSES, temperature=2.0, seed=5) as oracle:
            seeded = {str(await outcome(oracle)).partition(",")[0] for _ in range(10)}

    assert len(drawn) == 3
    assert len(seeded) == 1


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_the_cap_cuts_an_answer_off(api: str) -> None:
    """A text is kept as far as it goes; a model that reasons may not come to any."""
    async with OpenAIEmulator(colour_oracle()).running() as url:
        cut = await answered(url, api=api, max_tokens=16)
        silent = await answered(url, api=api, model="o4-mini", max_tokens=20)

    assert isinstance(cut.answer, Text)
    assert cut.answer.text.startswith("The image most likely shows")
    assert not cut.answer.text.endswith(".")
    assert isinstance(silent.answer, NoAnswer)
    assert silent.answer.kind == "truncated"
    assert silent.cost is not None


async def test_an_image_of_any_size_is_fitted_to_the_model() -> None:
    """As the vendor does with its own."""
    fake = colour_oracle()
    async with OpenAIEmulator(fake).running() as url:
        assert isinstance(await ask(url, side=30, height=30, width=30), Reply)

    assert fake.shown[0].shape == (8, 8, 3)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
async def test_the_vendors_kinds_of_pictures_are_read(kind: str) -> None:
    """Whoever sends them."""
    file = io.BytesIO()
    Pillow.fromarray(image()).save(file, kind)
    url = f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"
    body = chat(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}])
    async with OpenAIEmulator(colour_oracle()).running() as base:
        status, _, _ = await post(base, body)

    assert status == 200


def test_only_probabilities_of_classes_can_be_phrased() -> None:
    """Another oracle is refused at once."""
    with pytest.raises(UsageError, match="colours does not give"):
        OpenAIEmulator(colour_oracle(answers="text"))


@pytest.mark.parametrize(
    "failing",
    [
        lambda pixels: Rejected("no"),
        lambda pixels: NoAnswer("no"),
        lambda pixels: _raised(OutcomeUnknown("lost")),
    ],
)
async def test_a_model_that_fails_is_a_server_error(failing: Any) -> None:
    """Nothing was answered, so nothing is billed here; the client cannot know."""
    emulator = OpenAIEmulator(colour_oracle(failing))
    async with emulator.running() as url:
        with pytest.raises(OutcomeUnknown, match="500"):
            await ask(url)

    assert emulator.bill == Bill(requests=1, server_errors=1)


def _raised(error: OracleError) -> Vector:
    raise error


# --- faults ---


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize("fault", OUTCOMES)
async def test_each_fault_is_reported_as_what_it_may_have_cost(fault: str, api: str) -> None:
    """On the client's side; and the server bills what its model was run for."""
    faults: dict[str, Any] = {fault: 1.0, "drip_seconds": 0.01}
    emulator = OpenAIEmulator(colour_oracle(), Faults(**faults))
    timeout = 0.3 if fault == "timeout" else 30.0
    async with emulator.running() as url, connected(url, api=api, timeout=timeout) as oracle:
        found = [await outcome(oracle) for _ in range(1 if fault == "timeout" else 6)]

    assert {type(each) for each in found} == {OUTCOMES[fault]}
    assert emulator.bill.images_answered == sum(emulator.faults.fate(i).billed for i in range(len(found)))
    assert (emulator.bill.picodollars > 0) == (emulator.bill.images_answered > 0)
    assert counted(emulator.bill, fault) == len(found)


def counted(bill: Bill, fault: str) -> int:
    names = {"server_error": "server_errors", "timeout": "timeouts", "drip": "dripped", "refusal": "refused"}
    return int(getattr(bill, names.get(fault, {"content_filter": "filtered"}.get(fault, fault))))


@pytest.mark.parametrize(("fault", "kind"), [("refusal", "refused"), ("content_filter", "filtered")])
@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_what_a_model_will_not_say_is_no_answer(fault: str, kind: str, api: str) -> None:
    """It is paid all the same."""
    faults: dict[str, Any] = {fault: 1.0}
    emulator = OpenAIEmulator(colour_oracle(), Faults(**faults))
    async with emulator.running() as url:
        reply = await answered(url, api=api)

    assert isinstance(reply.answer, NoAnswer)
    assert reply.answer.kind == kind
    assert reply.cost == units(emulator.bill)


async def test_the_seed_and_the_number_decide_a_fate() -> None:
    """The same rehearsal fails in the same way, and another seed in another."""

    async def kinds(seed: int) -> list[str]:
        faults = Faults(seed=seed, rate_limited=0.2, server_error=0.2, dropped=0.2, junk=0.2, refusal=0.5)
        async with OpenAIEmulator(colour_oracle(), faults).running() as url, connected(url) as oracle:
            found = [await outcome(oracle) for _ in range(12)]
        return [str(each.answer) if isinstance(each, Reply) else type(each).__name__ for each in found]

    assert await kinds(1) == await kinds(1)
    assert await kinds(1) != await kinds(2)


async def test_latency_passes_before_anything_is_done() -> None:
    """By the sleep that was given."""
    slept: list[float] = []

    async def sleep(passing: float) -> None:
        slept.append(passing)

    async with OpenAIEmulator(colour_oracle(), Faults(latency=2.0), sleep=sleep).running() as url:
        await answered(url)

    assert slept == [Faults(latency=2.0).fate(0).latency]


@pytest.mark.parametrize(
    "wrong",
    [
        {"refusal": 0.6, "content_filter": 0.6},
        {"cached": 1.1},
        {"cache_written": 1.1},
        {"tier_change": 1.1},
        {"refusal": -0.1},
        {"tokens_per_minute": float("inf")},
        {"rate_limited": 2.0},
    ],
)
def test_faults_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    """Shares above 1, and numbers below 0."""
    with pytest.raises(UsageError):
        Faults(**wrong)


async def test_another_fingerprint_answers_after_a_while() -> None:
    """So that a drift can be rehearsed."""
    async with OpenAIEmulator(colour_oracle(), Faults(drift_after=2)).running() as url:
        served = [(await answered(url)).served for _ in range(4)]

    assert served[0] == served[1] != served[2] == served[3]


# --- limits ---


class Clock:
    """Time that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_requests_above_the_limit_are_told_to_wait() -> None:
    """For as long as it takes; the headers say what is left, as the vendor's do."""
    clock = Clock()
    emulator = OpenAIEmulator(colour_oracle(), Faults(requests_per_minute=2), clock=clock)
    async with emulator.running() as url, connected(url) as oracle:
        await oracle.answer([oracle.encode(image())])
        clock.now = 110.0
        await oracle.answer([oracle.encode(image())])
        seen = oracle.rate_seen
        with pytest.raises(RateLimited) as caught:
            await oracle.answer([oracle.encode(image())])
        clock.now = 160.0
        await oracle.answer([oracle.encode(image())])

    assert seen is not None
    assert (seen.requests, seen.requests_left, seen.requests_reset) == (2, 0, 60.0)
    assert caught.value.retry_after == 50.0
    assert emulator.arrivals == [100.0, 110.0, 110.0, 160.0]
    assert emulator.bill.rate_limited == 1
    assert emulator.bill.images_answered == 3


async def test_tokens_above_the_limit_are_told_to_wait() -> None:
    """A request counts for its cap or its prompt, whichever is more."""
    clock = Clock()
    emulator = OpenAIEmulator(colour_oracle(), Faults(tokens_per_minute=5000), clock=clock)
    async with emulator.running() as url, connected(url) as oracle:
        await oracle.answer([oracle.encode(image())])
        seen = oracle.rate_seen
        with pytest.raises(RateLimited) as caught:
            await oracle.answer([oracle.encode(image())])

    assert seen is not None
    assert seen.tokens == 5000
    assert seen.tokens_left == 5000 - emulator.bill.prompt_tokens
    assert caught.value.retry_after == 60.0


async def test_a_request_above_the_whole_limit_is_told_no_time() -> None:
    """Waiting is no help."""
    async with OpenAIEmulator(colour_oracle(), Faults(tokens_per_minute=60)).running() as url:
        with pytest.raises(RateLimited, match="too large") as caught:
            await ask(url, model="gpt-4o", max_tokens=1000)

    assert caught.value.retry_after is None


async def test_without_a_limit_nothing_is_said_of_one() -> None:
    """There is nothing to learn."""
    async with OpenAIEmulator(colour_oracle()).running() as url, connected(url) as oracle:
        await oracle.answer([oracle.encode(image())])
        assert oracle.rate_seen is None


@given(st.floats(0, 100_000))
def test_durations_are_read_as_they_are_written(passing: float) -> None:
    """To the millisecond, rounded up: whoever waits so long is not refused again."""
    read_back = waits.duration(duration(passing))

    assert read_back is not None
    assert passing - 1e-9 <= read_back <= passing + 0.001 + 1e-9


@pytest.mark.parametrize(
    ("passing", "text"), [(0, "0ms"), (0.02, "20ms"), (1.5, "1.5s"), (360, "6m0s"), (61.5, "1m1.5s")]
)
def test_durations_look_like_the_vendors(passing: float, text: str) -> None:
    """As Go writes them."""
    assert duration(passing) == text


# --- the bill ---


def units(bill: Bill) -> Units:
    return Units(queries=bill.images_answered, tokens=bill.tokens, picodollars=bill.picodollars)


@settings(max_examples=40, deadline=None)
@given(
    model=st.sampled_from(MODELS),
    api=st.sampled_from(["chat", "responses"]),
    detail=st.sampled_from(["low", "high"]),
    prompt=st.none() | st.text("aé漢🙂 \n-", min_size=1, max_size=60).filter(str.strip),
    max_tokens=st.none() | st.integers(16, 200),
    side=st.integers(8, 80),
    cached=st.floats(0, 1),
    written=st.floats(0, 1),
    refusal=st.sampled_from([0.0, 0.5]),
    seed=st.integers(0, 99),
)
async def test_a_hold_covers_its_bill_and_the_settlement_is_the_bill(
    model: str,
    api: str,
    detail: str,
    prompt: str | None,
    max_tokens: int | None,
    side: int,
    cached: float,
    written: float,
    refusal: float,
    seed: int,
) -> None:
    """For any size, model, detail, prompt and cap, whatever is cached or refused; to the last token and picodollar."""
    faults = Faults(seed=seed, cached=cached, cache_written=written, refusal=refusal)
    emulator = OpenAIEmulator(colour_oracle(), faults)
    options = {"model": model, "api": api, "detail": detail, "prompt": prompt, "max_tokens": max_tokens}
    async with emulator.running() as url, connected(url, height=side, width=side, **options) as oracle:
        payload = oracle.encode(image(side, seed))
        (reply,) = await oracle.answer([payload])
        quote = oracle.quote(payload)

    assert isinstance(reply, Reply)
    assert reply.cost == units(emulator.bill)
    assert units(emulator.bill).within(quote.worst)


async def test_many_answers_are_billed_as_they_are_settled() -> None:
    """Through faults of every kind, what is known to be paid is at most the bill, and what is doubtful the rest."""
    faults = Faults(
        seed=3, rate_limited=0.05, server_error=0.05, dropped=0.05, truncated=0.05, junk=0.05, refusal=0.1, cached=0.3
    )
    emulator = OpenAIEmulator(colour_oracle(), faults)
    async with emulator.running() as url, connected(url, model="gpt-4.1-mini", classes=CLASSES) as oracle:
        payload = oracle.encode(image())
        hold = oracle.quote(payload).worst
        found = [await outcome(oracle) for _ in range(200)]

    settled, doubtful = Units(), Units()
    for each in found:
        if isinstance(each, Reply):
            settled = settled.plus(each.cost or hold)
        elif isinstance(each, OutcomeUnknown | MalformedAnswer):
            doubtful = doubtful.plus(hold)
    assert settled.within(units(emulator.bill))
    assert units(emulator.bill).within(settled.plus(doubtful))
    assert emulator.bill.requests == 200


@pytest.mark.parametrize(("tier_change", "factor"), [(0.0, 1), (1.0, 2)])
async def test_flex_is_half_price_unless_it_was_not_to_be_had(tier_change: float, factor: int) -> None:
    """Both sides follow the tier that served, and the answer says which."""
    emulator = OpenAIEmulator(colour_oracle(), Faults(tier_change=tier_change))
    async with emulator.running() as url:
        reply = await answered(url, model="gpt-5.2", tier="flex", classes=CLASSES)

    bill = emulator.bill
    full = bill.prompt_tokens * 1_750_000 + bill.completion_tokens * 14_000_000
    assert reply.cost == units(bill)
    assert bill.picodollars * 2 == full * factor
    assert str(reply.served).endswith("tier default") == bool(tier_change)


async def test_reasoning_is_paid_as_output() -> None:
    """The tokens of a thought are within the output, and are as many as its effort has."""
    bills = {}
    for effort in ("minimal", "low", "medium"):
        emulator = OpenAIEmulator(colour_oracle())
        async with emulator.running() as url:
            reply = await answered(url, model="o4-mini", reasoning_effort=effort, max_tokens=2000, classes=CLASSES)
        assert reply.cost == units(emulator.bill)
        bills[effort] = emulator.bill.completion_tokens

    assert bills == {"minimal": 1, "low": 65, "medium": 257}


async def test_the_bill_can_be_fetched() -> None:
    """By whoever runs the emulator in another process."""
    emulator = OpenAIEmulator(colour_oracle())
    async with emulator.running() as url, aiohttp.ClientSession() as session:
        await answered(url)
        async with session.get(f"{url}/bill") as response:
            content = await response.json()

    assert Bill(**content) == emulator.bill
    assert content["images_answered"] == 1


# --- without a server ---


async def test_requests_of_the_oracle_are_read_as_they_were_meant() -> None:
    """What the one writes the other understands, of either API."""
    for api in ("chat", "responses"):
        oracle = connect(api=api, model="gpt-4o", classes=CLASSES, max_tokens=33, top_logprobs=4, temperature=0.5)
        asked = read(api, json.loads(oracle.encode(image()).body))
        assert (asked.cap, asked.alternatives, asked.temperature, asked.tier) == (33, 4, 0.5, "default")
        assert asked.details == ["low"]
        np.testing.assert_array_equal(asked.images[0], image())
        outcome = await ChatModel(colour_oracle(), Faults()).answer(asked, 0)
        assert outcome.text in CLASSES.split("|")


# --- listening ---


async def test_the_emulator_serves_until_it_is_cancelled() -> None:
    """It tells the base URL once it can be asked; afterwards nobody listens."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(colour_oracle(), port=0, ready=ready.set_result))
    url = await ready
    reply = await ask(url)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)

    assert url.endswith("/v1")
    assert isinstance(reply, Reply)
    with pytest.raises(Unreachable):
        await ask(url)


async def test_the_emulator_listens_on_this_machine_only() -> None:
    """Another host is refused."""
    with pytest.raises(UsageError, match="this machine"):
        async with OpenAIEmulator(colour_oracle()).running(host="0.0.0.0"):
            pass
