"""What servers say went wrong, however a gateway wraps it: the message, what it costs, and whether to ask again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

import oracles.http
from bbquery.errors import KeyRefused, OracleError, OutcomeUnknown, QuotaExceeded, RateLimited, Rejected
from bbquery.types import NoAnswer, Reply, Text
from oracles._http import refusals
from tests.support import openai_helpers
from tests.support.http_helpers import Handler, always, answering, saying, serving
from tests.support.images import tiny_images
from tests.support.openai_helpers import choice, completion, response, text_part

TEMPLATE: dict[str, Any] = {
    "name": "captions",
    "identity": {"version": 1},
    "request": {"body": "json", "json": {"image": "${image_base64}"}},
    "answer": {"kind": "text", "text": "$.caption"},
}
BEHIND = {"error": {"code": "content_policy_violation", "message": "Your request was rejected by our content policy"}}
AZURE = {
    "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
    "type": None,
    "param": "prompt",
    "code": "content_filter",
    "status": 400,
    "innererror": {
        "code": "ResponsibleAIPolicyViolation",
        "content_filter_result": {"violence": {"filtered": True, "severity": "medium"}},
    },
}
MODERATED = {
    "message": "openai/gpt-4o requires moderation on OpenRouter. Your input was flagged.",
    "code": 403,
    "metadata": {"reasons": ["violence"], "flagged_input": "...", "provider_name": "OpenAI"},
}
VETOES = {
    "the vendor itself": (400, {"error": {"message": "Your input image may contain x", "code": "moderation_blocked"}}),
    "an inner error's code": (400, {"error": AZURE}),
    "an inner code alone": (400, {"error": {"message": "no", "innererror": {"code": "ResponsibleAIPolicyViolation"}}}),
    "the provider's error as text": (
        400,
        {"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": json.dumps(BEHIND)}}},
    ),
    "reasons of a moderation": (403, {"error": MODERATED}),
    "reasons alone": (403, {"error": MODERATED | {"message": "Forbidden"}}),
    "words alone": (400, {"error": {"message": "litellm.ContentPolicyViolationError: no", "code": "400"}}),
    "words in a failure": (500, {"error": {"message": "rejected by our content policy", "type": None, "code": "500"}}),
    "a detail": (422, {"detail": "Input data may contain inappropriate content."}),
    "data inspection": (400, {"error": {"code": "data_inspection_failed", "message": "Input data is suspected"}}),
    "words as they are": (451, "Blocked: this request violates our usage policies"),
}
NO_VETOES = {
    "a model one may not ask": (403, {"error": {"message": "Project has no access to model gpt-5", "code": "no"}}),
    "a policy about data": (404, {"error": {"message": "No endpoints match your data policy (Paid model training)"}}),
    "a key": (401, {"error": {"message": "invalid; see our usage policies", "code": "invalid_api_key"}}),
    "a bad field": (400, {"error": {"message": "Invalid value for 'detail'", "code": "invalid_value"}}),
}


async def openai_of(handler: Handler, **options: Any) -> Reply | OracleError:
    """Return the outcome of one attempt through the openai oracle."""
    async with serving(handler) as url:
        try:
            return await openai_helpers.ask(url, key_env=None, **options)
        except OracleError as error:
            return error


async def http_of(handler: Handler, *, template: Any = None, images: int = 1, **options: Any) -> Reply | OracleError:
    """Return the outcome of one attempt through the http oracle."""
    async with answering(handler, answers="text", classes=None, largest_batch=4) as url:
        oracle = await oracles.http.connect(url=url, template=template, **options)
        try:
            return (await oracle.answer([oracle.encode(image) for image in tiny_images(images)]))[0]
        except OracleError as error:
            return error
        finally:
            await oracle.aclose()


async def templated(handler: Handler) -> Reply | OracleError:
    """Return the outcome of one attempt through a template."""
    return await http_of(handler, template=TEMPLATE)


ORACLES = {"openai": openai_of, "http": http_of, "a template": templated}


def refusing(status: int, body: Any) -> Handler:
    """Return a handler that refuses with this status and body."""
    if isinstance(body, str):
        return always(lambda: web.Response(status=status, text=body))
    return always(lambda: web.json_response(body, status=status))


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("veto", VETOES)
async def test_a_veto_is_recognised_however_it_is_wrapped(name: str, veto: str) -> None:
    """The image is filtered, the whole hold counts, and the run goes on."""
    reply = await ORACLES[name](refusing(*VETOES[veto]))

    assert isinstance(reply, Reply)
    assert isinstance(reply.answer, NoAnswer)
    assert reply.answer.kind == "filtered"
    assert reply.cost is None


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("refusal", NO_VETOES)
async def test_what_concerns_no_image_is_no_veto(name: str, refusal: str) -> None:
    """A key, a model or a field that is refused would be refused for every image: the run ends."""
    expected = KeyRefused if NO_VETOES[refusal][0] == 401 else Rejected
    assert type(await ORACLES[name](refusing(*NO_VETOES[refusal]))) is expected


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        ({"error": {"message": "Provider is busy", "code": 429}}, RateLimited, "Provider is busy"),
        ({"error": {"message": "slow down", "code": "rate_limit_exceeded"}}, RateLimited, "slow down"),
        ({"choices": [], "error": {"message": "Upstream exploded", "code": 502}}, OutcomeUnknown, "Upstream exploded"),
        ({"error": {"message": "Internal"}}, OutcomeUnknown, "Internal"),
        ({"error": "model runner has stopped"}, OutcomeUnknown, "model runner has stopped"),
        ({"error": {"message": "no credits", "code": 402}}, QuotaExceeded, "no credits"),
        ({"error": {"message": "no", "code": "insufficient_quota"}}, QuotaExceeded, "no"),
        ({"error": {"message": "no such model", "code": 404}}, Rejected, "no such model"),
        (
            {"object": "error", "message": "bad request", "type": "BadRequestError", "code": 400},
            Rejected,
            "bad request",
        ),
        (
            {"error": {"message": "Provider returned error", "metadata": {"raw": '{"error":{"message":"on fire"}}'}}},
            OutcomeUnknown,
            "on fire",
        ),
    ],
)
async def test_a_failure_inside_a_success_is_a_failure(
    name: str, body: dict[str, Any], kind: type[OracleError], said: str
) -> None:
    """Status 200 does not make an answer of an error: its own code and message count."""
    error = await ORACLES[name](saying(body))

    assert type(error) is kind
    assert said in str(error)


@pytest.mark.parametrize("name", ORACLES)
async def test_a_veto_inside_a_success_is_a_veto(name: str) -> None:
    """Also where a gateway says it with status 200."""
    reply = await ORACLES[name](saying({"error": AZURE}))

    assert isinstance(reply, Reply)
    assert isinstance(reply.answer, NoAnswer)
    assert reply.answer.kind == "filtered"


@pytest.mark.parametrize("error", [None, False, 0, "", {}, [], {"code": 0, "message": ""}, {"code": None}, "none"])
async def test_an_error_field_that_tells_of_none_is_none(error: object) -> None:
    """Many servers always send the field."""
    for reply in (
        await openai_of(saying(completion("cat", error=error))),
        await openai_of(saying(response(text_part("cat"), error=error)), api="responses"),
        await templated(saying({"caption": "cat", "error": error})),
    ):
        assert isinstance(reply, Reply), reply
        assert isinstance(reply.answer, Text)


async def test_a_response_that_failed_is_a_failure_or_a_veto() -> None:
    """The other API says it with a status of its own."""
    vetoed = {"code": "image_content_policy_violation", "message": "no"}

    reply = await openai_of(saying(response(status="failed", error=vetoed)), api="responses")
    silent = await openai_of(saying(response(status="failed", error=None)), api="responses")

    assert isinstance(reply, Reply)
    assert isinstance(reply.answer, NoAnswer)
    assert reply.answer.kind == "filtered"
    assert type(silent) is OutcomeUnknown


async def test_half_an_answer_that_ended_in_an_error_is_asked_again() -> None:
    """Half a text is never taken for the answer, nor does the run end."""
    broken = choice("The im", ended="error", error={"code": 502, "message": "provider hung up"})
    silent = choice("The im", ended="error")

    for body, said in ((broken, "provider hung up"), (silent, "broke off")):
        error = await openai_of(saying(body))
        assert type(error) is OutcomeUnknown
        assert error.retryable
        assert said in str(error)


async def test_a_failure_that_used_tokens_keeps_its_hold() -> None:
    """What says that it was refused, and that tokens were used, may be billed."""
    error = await openai_of(saying(completion(choices=[], error={"message": "busy", "code": 429})))

    assert type(error) is OutcomeUnknown


async def test_a_template_that_reads_errors_itself_is_obeyed() -> None:
    """Where a template says that what stands under "error" is a refusal, it is one."""
    answer = TEMPLATE["answer"] | {"refused": "$.error.message"}

    reply = await http_of(saying({"error": {"message": "no", "code": 402}}), template=TEMPLATE | {"answer": answer})

    assert isinstance(reply, Reply)
    assert reply.answer == NoAnswer("no")


async def test_a_veto_of_several_images_says_to_send_one() -> None:
    """Nobody knows which of them was meant."""
    error = await http_of(refusing(400, BEHIND), images=3)

    assert type(error) is Rejected
    assert "largest_batch=1" in str(error)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["error", "code", "message", "detail", "metadata", "raw"]), inner, max_size=4
            )
        ),
    )
)
def test_whatever_an_error_holds_it_is_read(content: object) -> None:
    """Any JSON is a complaint, and none makes reading it fail."""
    complaint = refusals.of(content)

    assert isinstance(complaint.message, str)
    assert complaint.status is None or 400 <= complaint.status < 600
    assert refusals.within(content) is None or isinstance(content, dict)


def test_errors_nested_without_end_are_read() -> None:
    """Depth is bounded, in objects and in JSON texts within them."""
    deep: Any = {"message": "the end"}
    for _ in range(50):
        deep = {"error": deep}
    assert refusals.of(deep).message
    assert refusals.of_body(b'{"error":' * 100_000).message


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        ({"error": {"message": "Unrecognized argument", "param": "top_k"}}, "sends 'top_k': leave it out"),
        (
            {"detail": [{"loc": ["body", "parameters", "mode"], "msg": "Extra inputs are not permitted"}]},
            "sends 'mode'",
        ),
        ({"error": "unknown field `mode`"}, "sends 'mode': leave it out, or change it"),
        ({"error": "in this mode the image cannot be read"}, None),
        ({"error": "unknown field `other`"}, None),
    ],
)
async def test_a_refusal_that_names_a_field_of_a_template_says_so(content: Any, advice: str | None) -> None:
    """The user wrote the field, and so can leave it out."""
    request = {"body": "json", "json": {"image": "${image_base64}", "parameters": {"top_k": 3, "mode": "fast"}}}

    error = await http_of(refusing(422, content), template=TEMPLATE | {"request": request})

    assert type(error) is Rejected
    assert ("the template sends" in str(error)) == (advice is not None)
    assert advice is None or advice in str(error)


@pytest.mark.parametrize("name", ORACLES)
async def test_a_failure_says_how_long_to_wait(name: str) -> None:
    """A server that fails and names a time with it (503 and Retry-After) is left alone as long."""
    handler = always(lambda: web.json_response({"error": "maintenance"}, status=503, headers={"Retry-After": "70"}))
    failure = await ORACLES[name](handler)

    assert isinstance(failure, OutcomeUnknown)
    assert failure.retry_after == 70
