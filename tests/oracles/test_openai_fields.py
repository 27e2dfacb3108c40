"""Any optional field of a request can be left out, and a refusal that names one says how."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web

from bbquery import load
from bbquery.errors import OracleError, Rejected, UsageError
from bbquery.types import Reply
from oracles._http.refusals import Complaint
from oracles._openai import failure
from tests.support.http_helpers import always, serving
from tests.support.openai_helpers import ask, completion, connect, image, mistake

OWN: dict[str, Any] = {"model": "mine", "image_tokens": 500, "input_usd": 0, "output_usd": 0, "key_env": None}
ALL: dict[str, Any] = {"max_tokens": 20, "top_logprobs": 2, "seed": 1, "reasoning_effort": "low", "temperature": 0.5}


def body(**options: Any) -> dict[str, Any]:
    """Return the request of an oracle with these options."""
    oracle = connect(**(OWN | options))
    found: dict[str, Any] = json.loads(oracle.encode(image()).body)
    return found


def sent(**options: Any) -> set[str]:
    """Return the names of the fields of a request, with that of its image's detail."""
    content = body(**options)
    parts = (content.get("messages") or content["input"])[0]["content"]
    detail = "detail" in parts[1] or (isinstance(parts[1]["image_url"], dict) and "detail" in parts[1]["image_url"])
    return {*content, *({"detail"} if detail else ())}


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"tier": None}, "service_tier"),
        ({"stream": None}, "stream"),
        ({"api": "responses", "stream": None}, "stream"),
        ({"temperature": None}, "temperature"),
        ({"detail": None}, "detail"),
        ({"cap_name": None, "max_tokens": 20}, "max_completion_tokens"),
        ({"api": "responses", "tier": None}, "service_tier"),
        ({"api": "responses", "temperature": None}, "temperature"),
        ({"api": "responses", "detail": None}, "detail"),
        ({"api": "responses", "cap_name": None, "max_tokens": 20}, "max_output_tokens"),
        ({"api": "responses", "store": None}, "store"),
        ({"model": "gpt-5.2", "reasoning_effort": "unset"}, "reasoning_effort"),
        ({"model": "o3", "api": "responses", "reasoning_effort": "unset"}, "reasoning"),
    ],
)
def test_a_field_is_left_out_where_one_says_so(options: dict[str, Any], field: str) -> None:
    """And it alone: all others are sent as ever."""
    usual = {key: value for key, value in options.items() if key in ("api", "model", "max_tokens")}

    assert sent(**usual) - sent(**options) >= {field}
    assert sent(**usual) - sent(**options) <= {field, "temperature"}  # which no model takes while it may reason


def test_nothing_but_the_question_need_be_sent() -> None:
    """Model, image and prompt are all that a server must know."""
    least = sent(tier=None, temperature=None, detail=None, cap_name=None, stream=None, max_tokens=20)

    assert least == {"model", "messages"}


async def test_a_command_says_none() -> None:
    """In a command the options are text."""
    text = (
        "openai:model=mine,image_tokens=500,input_usd=0,output_usd=0,key_env=none,height=8,width=8,max_tokens=20,"
        "tier=none,temperature=none,detail=none,cap_name=none,store=none,stream=none,reasoning_effort=unset"
    )
    oracle = await load.oracle(text)

    assert set(json.loads(oracle.encode(image()).body)) == {"model", "messages"}


def test_no_stream_is_asked_for() -> None:
    """An answer is read in one piece, so asking for a stream is refused before anything is sent."""
    with pytest.raises(UsageError, match="say stream=none to send none"):
        connect(**OWN, stream=True)


def test_what_is_left_out_is_another_question() -> None:
    """The server's own temperature, detail or cap may answer otherwise; at no tier of ours the model is the same."""
    usual = connect(**OWN, max_tokens=20).capabilities.identity

    others: list[dict[str, Any]] = [{"temperature": None}, {"detail": None}, {"cap_name": None}]
    same: list[dict[str, Any]] = [{"tier": None}, {"store": None}]

    assert all(connect(**OWN, max_tokens=20, **options).capabilities.identity != usual for options in others)
    assert all(connect(**OWN, max_tokens=20, **options).capabilities.identity == usual for options in same)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cap_name": None}, "state the most tokens that one takes, as max_tokens=500"),
        ({"model": "gpt-4o", "detail": None, "image_tokens": None}, "image_tokens=2000"),
    ],
)
def test_what_bounds_the_cost_is_stated_where_it_is_not_sent(options: dict[str, Any], said: str) -> None:
    """A cost without a bound is refused before a query."""
    with pytest.raises(UsageError, match=said):
        connect(**(OWN | options))


async def refused(status: int, content: Any, **options: Any) -> OracleError:
    """Return the error of an attempt that is refused with this body."""
    async with serving(always(lambda: web.json_response(content, status=status))) as url:
        with pytest.raises(OracleError) as caught:
            await ask(url, **(OWN | options))
    return caught.value


UNSUPPORTED = (
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
)
COLD = "Unsupported value: 'temperature' does not support 0 with this model."


@pytest.mark.parametrize(
    ("content", "options", "advice"),
    [
        (mistake("Unrecognized request argument supplied: service_tier"), {}, "say tier=none"),
        (mistake("Unknown parameter.", param="service_tier"), {}, "say tier=none"),
        ({"detail": [{"loc": ["body", "service_tier"], "msg": "Extra inputs are not permitted"}]}, {}, "say tier=none"),
        ({"object": "error", "message": "Extra inputs are not permitted: service_tier", "code": 400}, {}, "tier=none"),
        (mistake(UNSUPPORTED, param="max_tokens"), {"cap_name": "max_tokens"}, "say cap_name=max_completion_tokens"),
        (mistake("unknown field max_completion_tokens"), {}, "say cap_name=max_tokens"),
        (mistake(COLD, param="temperature"), {}, "say temperature=none"),
        (mistake("property 'seed' is unsupported"), {"seed": 1}, "leave out seed"),
        (mistake("`logprobs` is not supported with this model"), {"top_logprobs": 2}, "leave out top_logprobs"),
        (mistake("no", param="messages[0].content[1].image_url.detail"), {}, "say detail=none"),
        (mistake("Invalid 'reasoning_effort'"), {"reasoning_effort": "low"}, "say reasoning_effort=unset"),
        (mistake("Unknown parameter: 'store'."), {"api": "responses"}, "say store=none"),
        (mistake("x", param="reasoning.effort"), {"api": "responses", "reasoning_effort": "low"}, "effort=unset"),
    ],
)
async def test_a_refusal_that_names_a_field_says_how_to_leave_it_out(
    content: Any, options: dict[str, Any], advice: str
) -> None:
    """In the words of the option, for each kind of server."""
    error = await refused(400, content, **options)

    assert type(error) is Rejected
    assert advice in str(error)


@pytest.mark.parametrize(
    "said", ["the image is too large, see the details in store 5", "Invalid prompt seed phrase", "wrong"]
)
async def test_words_that_name_no_field_advise_nothing(said: str) -> None:
    """Nor does a field that was not sent."""
    for message in (said, "top_logprobs must be below 5"):
        assert "can do without" not in str(await refused(400, mistake(message)))


@pytest.mark.parametrize(
    ("content", "model"),
    [
        (mistake("The model `nope` does not exist", code="model_not_found"), "nope"),
        (mistake('model "llava" not found, try pulling it first'), "llava"),
        ({"object": "error", "message": "The model `x` does not exist.", "type": "NotFoundError", "code": 404}, "x"),
        (mistake("The API deployment for this resource does not exist.", code="DeploymentNotFound"), "gpt"),
        ({"error": {"message": "No endpoints found for acme/eye-2.", "code": 404}}, "acme/eye-2"),
    ],
)
async def test_a_404_of_a_model_advises_the_model(content: Any, model: str) -> None:
    """The address is right where the server knows what a model is."""
    error = str(await refused(404, content, model=model))

    assert f"check the option model={model}" in error
    assert "/v1" not in error.partition(";")[2]


@pytest.mark.parametrize("content", [{"detail": "Not Found"}, {"error": {"code": "404", "message": "Not found"}}])
async def test_a_404_of_an_address_advises_the_address(content: Any) -> None:
    """Where nothing is said of a model."""
    assert "Its base_url mostly ends in /v1" in str(await refused(404, content))


@pytest.mark.parametrize(
    ("url", "ending"),
    [
        ("https://me.models.azure.com/v1", "/openai/v1"),
        ("https://a.example/api", "/v1"),
        ("https://azure.com.a.b", "/v1"),
    ],
)
def test_a_404_advises_the_ending_of_the_vendor(url: str, ending: str) -> None:
    """An address of Azure ends in /openai/v1, every other in /v1."""
    said = failure.advice(404, Complaint("Not found"), model="eye-2", url=url, variable=None, optional={})

    assert said.endswith(f"Its base_url mostly ends in {ending}")


@pytest.mark.parametrize(
    "base",
    [
        "https://me.openai.azure.com",
        "https://me.openai.azure.com/",
        "https://me.openai.azure.com/openai",
        "https://me.openai.azure.com/openai/deployments/eye",
        "https://ME.OpenAI.Azure.com/openai/v1/chat/completions",
    ],
)
def test_another_address_of_azure_is_refused_before_a_query(base: str) -> None:
    """Its API begins at /openai/v1, and the error gives the whole address."""
    with pytest.raises(UsageError, match=r"give https://me\.openai\.azure\.com/openai/v1$"):
        connect(base, **OWN)


@pytest.mark.parametrize(
    "base",
    [
        "https://me.openai.azure.com/openai/v1",
        "https://me.services.ai.azure.com/openai/v1/",
        "https://me.services.ai.azure.com/models",
        "https://models.inference.ai.azure.com",
        "https://openrouter.ai/api/v1",
    ],
)
def test_addresses_that_may_be_right_are_taken(base: str) -> None:
    """Of Azure's other services, too."""
    assert connect(base, **OWN).capabilities.identity["url"] == base.rstrip("/")


async def test_a_field_that_is_left_out_is_answered() -> None:
    """By a server that refuses it."""

    async def picky(request: web.Request) -> web.Response:
        content = await request.json()
        if "service_tier" in content:
            return web.json_response(mistake("Unrecognized request argument supplied: service_tier"), status=400)
        return web.json_response(completion("cat", service_tier="default"))

    async with serving(picky) as url:
        reply = await ask(url, **OWN, tier=None)

    assert isinstance(reply, Reply)
    assert reply.served == "gpt-4o-mini-2024-07-18"
