"""The OpenAI emulator as the vendor's own package sees it: its protocol, real answers, and where it listens."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import math
from typing import Any

import aiohttp
import numpy as np
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from bbquery.errors import (
    OracleError,
    OutcomeUnknown,
    Rejected,
    Unreachable,
    UsageError,
)
from bbquery.prompt_templates import yes_no
from bbquery.types import NoAnswer, Reply, Text, Vector
from oracles.emulators import _phrases as phrases
from oracles.emulators._openai_model import ChatModel
from oracles.emulators._openai_models import SERVED
from oracles.emulators._openai_request import read
from oracles.emulators._phrases import pieces
from oracles.emulators.openai import Bill, Faults, OpenAIEmulator, serve
from tests.support.images import png_header_of
from tests.support.openai_helpers import KEY, answered, ask, connect, connected, image
from tests.support.openai_requests import CLASSES, chat, names, outcome, responses
from tests.support.oracles import COLOURS, colour_oracle, share_of_colours

pytestmark = pytest.mark.usefixtures("openai_key")


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


# --- wrong requests ---


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
