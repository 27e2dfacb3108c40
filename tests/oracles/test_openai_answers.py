"""How the OpenAI oracle reads what comes back: answers of every kind, log-probabilities, usage, cost and who served."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from bbquery.errors import MalformedAnswer, OutcomeUnknown
from bbquery.types import NoAnswer, Reply, Text, Token
from bbquery.units import Units
from oracles._openai.reply import ApiReply, Unreadable, failure_in, usage
from oracles._shared.token_cost import TokenCounts
from tests.support.http_helpers import always, saying, serving
from tests.support.openai_helpers import (
    answer_in,
    answered,
    ask,
    choice,
    completion,
    read,
    response,
    text_part,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


Api = Literal["chat", "responses"]


pytestmark = pytest.mark.usefixtures("openai_key")


async def reply_to(content: Any, **options: Any) -> Reply:
    """Return the reply read from a success with this body."""
    async with serving(saying(content)) as url:
        return await answered(url, **options)


# --- answers ---


@pytest.mark.parametrize("content", [completion("A cat."), response(text_part("A cat."))])
def test_a_text_is_a_text(content: dict[str, Any]) -> None:
    """Exactly as it was said."""
    assert answer_in(content) == Text("A cat.")


def test_a_text_in_parts_is_one_text() -> None:
    """Reasoning and other items of a response are no part of it."""
    content = response(text_part("A "), {"type": "other"}, text_part("cat."))
    content["output"] = [{"type": "reasoning", "summary": []}, *content["output"]]

    assert answer_in(content) == Text("A cat.")


@pytest.mark.parametrize(
    "content",
    [
        choice(None, refusal="I can't."),
        choice("Well,", refusal="I can't."),
        response({"type": "refusal", "refusal": "I can't."}),
        response(text_part("Well,"), {"type": "refusal", "refusal": "I can't."}),
    ],
)
def test_a_refusal_is_no_answer(content: dict[str, Any]) -> None:
    """It says why, in the model's words."""
    assert answer_in(content) == NoAnswer("I can't.", "refused")


@pytest.mark.parametrize(
    "content",
    [
        choice("A c", ended="content_filter"),
        choice("", ended="content_filter"),
        response(text_part("A c"), status="incomplete", incomplete_details={"reason": "content_filter"}),
    ],
)
def test_a_filters_veto_is_no_answer(content: dict[str, Any]) -> None:
    """Even where it comes after some words."""
    answer = answer_in(content)

    assert isinstance(answer, NoAnswer)
    assert answer.kind == "filtered"


CUT = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}


@pytest.mark.parametrize("content", [choice("A c", ended="length"), response(text_part("A c"), **CUT)])
def test_a_text_that_the_cap_cuts_off_is_a_text(content: dict[str, Any]) -> None:
    """Its beginning was answered and paid."""
    assert answer_in(content) == Text("A c")


@pytest.mark.parametrize("content", [choice("", ended="length"), choice(None, ended="length"), response(**CUT)])
def test_a_cap_reached_before_any_text_is_truncated(content: dict[str, Any]) -> None:
    """It says to raise the cap: a model that reasons may spend all of it."""
    answer = answer_in(content)

    assert isinstance(answer, NoAnswer)
    assert answer.kind == "truncated"
    assert "max_tokens" in answer.reason


@pytest.mark.parametrize(
    "content", [choice(""), choice(" \n"), choice(None), response(), response(text_part("")), response(output=[])]
)
def test_an_answer_without_text_is_empty(content: dict[str, Any]) -> None:
    """Blank counts as nothing."""
    answer = answer_in(content)

    assert isinstance(answer, NoAnswer)
    assert answer.kind == "empty"


def test_a_long_refusal_is_shortened() -> None:
    """To a line that fits a report."""
    answer = answer_in(choice(None, refusal="no\n" * 1000))

    assert isinstance(answer, NoAnswer)
    assert len(answer.reason) < 300
    assert "\n" not in answer.reason


LISTED: list[dict[str, Any]] = [
    {
        "token": "A",
        "logprob": -0.25,
        "bytes": [65],
        "top_logprobs": [{"token": "A", "logprob": -0.25}, {"token": "The", "logprob": -2}],
    },
    {"token": " cat", "logprob": -9999.0, "bytes": None, "top_logprobs": []},
]


@pytest.mark.parametrize(
    "content", [choice("A cat", logprobs={"content": LISTED}), response(text_part("A cat", logprobs=LISTED))]
)
def test_log_probabilities_come_with_their_alternatives(content: dict[str, Any]) -> None:
    """In the vendor's order, best first."""
    assert answer_in(content) == Text(
        "A cat", (Token("A", -0.25, (("A", -0.25), ("The", -2.0))), Token(" cat", -9999.0))
    )


@pytest.mark.parametrize("absent", [None, {}, {"content": None}, {"content": []}, "none"])
def test_a_text_without_log_probabilities_is_a_text(absent: Any) -> None:
    """Servers that do not know them leave them out."""
    assert answer_in(choice("cat", logprobs=absent)) == Text("cat")


CANNOT: list[tuple[Api, bytes]] = [
    ("chat", b""),
    ("chat", b"<html>"),
    ("chat", b'{"choices": [{"mess'),
    ("chat", b"\xff\xfe"),
    ("chat", b"[" * 100_000),
    ("chat", b"[]"),
    ("chat", b'"cat"'),
    ("chat", json.dumps(completion(choices=[])).encode()),
    ("chat", json.dumps(completion(choices=None)).encode()),
    ("chat", json.dumps(completion(choices=[{"message": "cat"}])).encode()),
    ("chat", json.dumps(choice(5)).encode()),  # type: ignore[arg-type]  # the point
    ("chat", json.dumps(response(text_part("cat"))).encode()),
    ("responses", json.dumps(completion("cat")).encode()),
    ("responses", json.dumps(response(status="in_progress")).encode()),
    ("responses", json.dumps(response(output="cat")).encode()),
]


# --- what cannot be read ---


@pytest.mark.parametrize(("api", "body"), CANNOT)
def test_junk_is_a_malformed_answer(api: Api, body: bytes) -> None:
    """It was answered, so it was billed."""
    with pytest.raises(Unreadable):
        read(api, body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


fields = st.sampled_from(["choices", "usage", "model", "service_tier", "output", "status", "error", "message"])


@given(
    api=st.sampled_from(["chat", "responses"]),
    replaced=st.dictionaries(fields, json_values, max_size=3),
    deep=json_values,
)
def test_no_body_crashes_the_reader(api: Api, replaced: dict[str, Any], deep: Any) -> None:
    """Whatever a server says is a failure that it admits, an answer, or unreadable."""
    content = choice("a", logprobs=deep) if api == "chat" else response(text_part("a", logprobs=deep), error=deep)

    try:
        failed = failure_in(content | replaced)
        said = read(api, json.dumps(content | replaced).encode())
    except Unreadable:
        return

    assert isinstance(said, ApiReply)
    assert failed is None or isinstance(failed.message, str)


async def test_a_malformed_answer_costs_what_it_says() -> None:
    """Where the usage can be read, the rest need not be."""
    async with serving(saying(completion(choices=[]))) as url:
        error = await ask(url, model="gpt-4o")

    assert isinstance(error, MalformedAnswer)
    assert error.cost == Units(queries=1, tokens=103, picodollars=100 * 2_500_000 + 3 * 10_000_000)


async def test_a_malformed_answer_that_says_nothing_costs_its_hold() -> None:
    """None stands for the whole hold."""
    async with serving(always(lambda: web.Response(text="<html>"))) as url:
        error = await ask(url)

    assert isinstance(error, MalformedAnswer)
    assert error.cost is None
    assert "not JSON" in str(error)


async def test_a_response_that_failed_may_be_billed() -> None:
    """The server says so with a success's status."""
    async with serving(saying(response(status="failed", error={"code": "server_error", "message": "oops"}))) as url:
        error = await ask(url, api="responses")

    assert isinstance(error, OutcomeUnknown)
    assert "the server failed: oops" in str(error)


# --- usage and cost ---


async def test_a_reply_costs_what_it_used() -> None:
    """Input that was in a cache is cheaper; details are within the sums."""
    used = {
        "prompt_tokens": 1000,
        "completion_tokens": 20,
        "prompt_tokens_details": {"cached_tokens": 200, "cache_write_tokens": 100, "image_tokens": 85},
        "completion_tokens_details": {"reasoning_tokens": 15},
    }

    reply = await reply_to(completion(usage=used), model="gpt-4o")

    assert reply.cost is not None
    assert reply.cost.tokens == 1020
    assert reply.cost.picodollars == 700 * 2_500_000 + 200 * 1_250_000 + 100 * 3_125_000 + 20 * 10_000_000


async def test_usage_of_a_response_is_read_under_its_names() -> None:
    """The other API calls them input and output."""
    used = {"input_tokens": 50, "output_tokens": 2, "input_tokens_details": {"cached_tokens": 10}}

    reply = await reply_to(response(text_part("cat"), usage=used), api="responses", model="gpt-4o")

    assert reply.cost == Units(queries=1, tokens=52, picodollars=40 * 2_500_000 + 10 * 1_250_000 + 2 * 10_000_000)


@pytest.mark.parametrize(
    "said",
    [
        None,
        "many",
        {},
        {"prompt_tokens": 5},
        {"prompt_tokens": 5, "completion_tokens": -1},
        {"prompt_tokens": "5", "completion_tokens": 1},
        {"prompt_tokens": True, "completion_tokens": 1},
        {"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 6}},
    ],
)
def test_usage_that_cannot_be_is_not_used(said: Any) -> None:
    """The hold counts instead."""
    assert usage(said) is None


@pytest.mark.parametrize("details", [None, {}, {"cached_tokens": None}])
def test_details_of_usage_may_be_left_out(details: Any) -> None:
    """Servers other than the vendor's give sums only."""
    assert usage({"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": details}) == TokenCounts(5, 1)


async def test_a_reply_without_usage_costs_its_hold() -> None:
    """None stands for it."""
    assert (await reply_to(completion(usage=None))).cost is None


# --- who served ---


@pytest.mark.parametrize(
    ("said", "served"),
    [
        ({}, "gpt-4o-mini-2024-07-18"),
        ({"system_fingerprint": "fp_1"}, "gpt-4o-mini-2024-07-18 fp_1"),
        ({"model": None}, None),
        ({"service_tier": "default"}, "gpt-4o-mini-2024-07-18"),
        ({"service_tier": None}, "gpt-4o-mini-2024-07-18"),
    ],
)
async def test_the_snapshot_and_fingerprint_that_answered_are_kept(said: Mapping[str, Any], served: str | None) -> None:
    """As the vendor names them: a change marks drift."""
    assert (await reply_to(completion(**said))).served == served


async def test_another_tier_costs_what_it_costs_and_is_reported() -> None:
    """Flex that was not to be had is paid in full: more than was held, which stops the run."""
    reply = await reply_to(completion(service_tier="default"), model="o4-mini", tier="flex")

    assert reply.cost == Units(queries=1, tokens=103, picodollars=100 * 1_100_000 + 3 * 4_400_000)
    assert reply.served == "gpt-4o-mini-2024-07-18, tier default"


async def test_a_stated_price_holds_at_any_tier() -> None:
    """Other servers have tiers of their own."""
    reply = await reply_to(completion(service_tier="on_demand"), input_usd="1", output_usd="2")

    assert reply.cost == Units(queries=1, tokens=103, picodollars=100 * 1_000_000 + 3 * 2_000_000)
