"""An odd optional part never makes a paid answer unreadable: every optional field of every oracle, with odd values."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from aiohttp import web
from openai.types import Batch

from bbquery.batch_oracle import BatchOracle
from bbquery.types import AnswerKind, Label, Labels, NoAnswer, Reply, Text, Token, Vector
from oracles import function
from oracles._http.template.boxes import Size
from oracles._http.template.file import read_template
from oracles._http.wire import answers as wire
from oracles._http.wire import fields as wire_fields
from oracles._http.wire.model import unpack_model
from oracles._openai.batch_result import result
from oracles._openai.reply import usage
from tests.support.http_helpers import saying, serving
from tests.support.odd_parts import with_odd
from tests.support.openai_helpers import (
    choice,
    completion,
    connect,
    connected,
    image,
    read,
    response,
    text_part,
)

LISTED = [{"token": "cat", "logprob": -0.25, "bytes": [1], "top_logprobs": [{"token": "dog", "logprob": -2.0}]}]
DETAILS = {"cached_tokens": 1, "cache_write_tokens": 1}
CHAT = choice("cat", logprobs={"content": LISTED, "refusal": None}) | {
    "usage": {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": DETAILS, "total_tokens": 10},
    "system_fingerprint": "fp",
    "service_tier": "default",
    "metadata": {},
}
MESSAGE: tuple[str | int, ...] = ("choices", 0, "message")
LOGPROBS: tuple[str | int, ...] = ("choices", 0, "logprobs")
OF_CHAT: list[tuple[str | int, ...]] = [
    ("id",), ("object",), ("created",), ("model",), ("system_fingerprint",), ("service_tier",), ("metadata",),
    ("usage",), ("usage", "prompt_tokens"), ("usage", "completion_tokens"), ("usage", "total_tokens"),
    ("usage", "prompt_tokens_details"), ("usage", "prompt_tokens_details", "cached_tokens"),
    ("usage", "prompt_tokens_details", "cache_write_tokens"), ("usage", "completion_tokens_details"),
    ("choices", 0, "index"), ("choices", 0, "finish_reason"), ("choices", 1),
    (*MESSAGE, "role"), (*MESSAGE, "refusal"), (*MESSAGE, "annotations"), (*MESSAGE, "tool_calls"),
    (*MESSAGE, "reasoning"), (*MESSAGE, "reasoning_content"),
    LOGPROBS, (*LOGPROBS, "content"), (*LOGPROBS, "refusal"), (*LOGPROBS, "content", 0),
    (*LOGPROBS, "content", 0, "token"), (*LOGPROBS, "content", 0, "logprob"), (*LOGPROBS, "content", 0, "bytes"),
    (*LOGPROBS, "content", 0, "top_logprobs"), (*LOGPROBS, "content", 0, "top_logprobs", 0),
    (*LOGPROBS, "content", 0, "top_logprobs", 0, "token"), (*LOGPROBS, "content", 0, "top_logprobs", 0, "logprob"),
]  # fmt: skip
RESPONSE = response(text_part("cat", logprobs=LISTED)) | {
    "usage": {"input_tokens": 9, "output_tokens": 1, "input_tokens_details": DETAILS},
    "service_tier": "default",
    "incomplete_details": None,
    "error": None,
}
PART: tuple[str | int, ...] = ("output", 0, "content", 0)
OF_RESPONSES: list[tuple[str | int, ...]] = [
    ("id",), ("object",), ("status",), ("model",), ("service_tier",), ("metadata",), ("incomplete_details",),
    ("incomplete_details", "reason"), ("usage",), ("usage", "input_tokens"), ("usage", "output_tokens"),
    ("usage", "input_tokens_details"), ("usage", "input_tokens_details", "cached_tokens"),
    ("output", 0, "id"), ("output", 0, "role"), ("output", 0, "status"), (*PART, "annotations"), (*PART, "logprobs"),
    (*PART, "logprobs", 0), (*PART, "logprobs", 0, "logprob"), (*PART, "logprobs", 0, "top_logprobs"),
    (*PART, "logprobs", 0, "top_logprobs", 0, "logprob"),
]  # fmt: skip


pytestmark = pytest.mark.usefixtures("openai_key")


def body_of(document: Any) -> bytes:
    """Return JSON as Python's own writer has it: NaN and infinities are in it, half a surrogate pair is escaped."""
    return json.dumps(document).encode()


def of_openai(document: Any, **options: Any) -> Reply:
    """Return what the oracle makes of the body of a success."""
    reply = connect(**options)._read(body_of(document))  # type: ignore[attr-defined]  # what a server's answer meets
    assert isinstance(reply, Reply), str(reply)
    return reply


@pytest.mark.parametrize("path", OF_CHAT, ids=lambda path: ".".join(map(str, path)))
def test_no_optional_part_of_a_completion_makes_it_unreadable(path: tuple[str | int, ...]) -> None:
    """Whatever stands in an optional field of a chat completion, its text is read, and at most its hold is posted."""
    document: dict[str, Any] = dict(CHAT)
    if path[:2] == ("choices", 1):
        document["choices"] = [*CHAT["choices"], {}]
    for value, changed in with_odd(document, path):
        if path[-1] == "refusal" and isinstance(value, str) and value.strip():
            continue  # a refusal in so many words
        reply = of_openai(changed)
        assert isinstance(reply.answer, Text), (value, reply.answer)
        assert reply.answer.text == "cat"
        assert reply.cost is None or reply.cost.tokens < 2**40
        assert reply.served is None or reply.served.isprintable()


@pytest.mark.parametrize("path", OF_RESPONSES, ids=lambda path: ".".join(map(str, path)))
def test_no_optional_part_of_a_response_makes_it_unreadable(path: tuple[str | int, ...]) -> None:
    """Whatever stands in an optional field of the responses API, its text is read."""
    document = dict(RESPONSE, incomplete_details={}) if path[:1] == ("incomplete_details",) else RESPONSE
    for value, changed in with_odd(document, path):
        reply = of_openai(changed, api="responses")
        assert isinstance(reply.answer, Text), (value, reply.answer)
        assert reply.answer.text == "cat"


def tokens_in(listed: Any) -> tuple[Token, ...]:
    answer = read("chat", body_of(choice("a cat", logprobs={"content": listed}))).answer
    assert isinstance(answer, Text)
    return answer.tokens


def test_a_log_probability_that_is_missing_is_taken_from_the_alternatives() -> None:
    """A token is listed among its own alternatives: its number there is as good."""
    token = {"token": "a", "logprob": None, "top_logprobs": [{"token": "a", "logprob": -0.5}]}

    assert tokens_in([token]) == (Token("a", -0.5, (("a", -0.5),)),)


def test_tokens_end_where_a_log_probability_is_nowhere() -> None:
    """What follows an unknown number is worth nothing; what came before it is kept."""
    known, unknown = {"token": "a", "logprob": -0.5}, {"token": " cat", "logprob": math.nan}

    assert tokens_in([known, unknown, known]) == (Token("a", -0.5),)


@pytest.mark.parametrize("number", [None, "x", True, math.nan, math.inf, -math.inf, 10**400, 3.5])
def test_an_alternative_without_a_log_probability_is_left_out(number: Any) -> None:
    """Also one above 0, which is no log-probability; the others stay."""
    others = [{"token": "b", "logprob": number}, {"token": "c", "logprob": -3}]

    assert tokens_in([{"token": "a", "logprob": -0.5, "top_logprobs": others}]) == (Token("a", -0.5, (("c", -3.0),)),)


def test_a_log_probability_may_round_above_0() -> None:
    """It counts as 0."""
    assert tokens_in([{"token": "a", "logprob": 1e-7}]) == (Token("a", 0.0),)


def test_usage_beyond_all_requests_is_not_said() -> None:
    """No request takes a billion tokens; the hold counts instead."""
    assert usage({"prompt_tokens": 10**30, "completion_tokens": 1}) is None
    assert usage({"prompt_tokens": 2**62, "completion_tokens": 1}) is None


def test_whole_numbers_may_be_written_with_a_point() -> None:
    """Gateways in other languages write 100.0 for 100."""
    assert usage({"prompt_tokens": 100.0, "completion_tokens": 3.0}) == usage(
        {"prompt_tokens": 100, "completion_tokens": 3}
    )


async def test_an_answer_at_a_tier_without_a_price_is_kept_and_nothing_more_is_sent() -> None:
    """The paid answer is read and posted at its hold; the next query is refused before it is sent, with the mend."""
    async with serving(saying(completion(service_tier="priority"))) as url, connected(url, model="gpt-4o") as oracle:
        payload = oracle.encode(image())
        (reply,) = await oracle.answer([payload])
        with pytest.raises(Exception, match="priority") as refused:
            await oracle.answer([payload])

    assert isinstance(reply, Reply)
    assert (reply.answer, reply.cost) == (Text("cat"), None)
    assert getattr(refused.value, "outcome", None) == "voided"


# --- batches ---

LINE = {
    "id": "r",
    "custom_id": "q0",
    "response": {"status_code": 200, "request_id": "x", "body": CHAT},
    "error": None,
    "metadata": {},
}


@pytest.mark.parametrize("path", [("id",), ("error",), ("metadata",), ("response", "request_id")], ids=".".join)
def test_no_optional_part_of_a_line_of_results_makes_it_unreadable(path: tuple[str | int, ...]) -> None:
    """A line that holds an answer is that answer, whatever stands beside it."""
    oracle = connect()
    for value, changed in with_odd(LINE, path):
        name, reply = result(body_of(changed), oracle._read_in_batch, "openai")  # type: ignore[attr-defined]  # as above
        assert name == "q0"
        assert isinstance(reply, Reply), (value, reply)
        assert isinstance(reply.answer, Text)


BATCH = {
    "id": "batch_1",
    "object": "batch",
    "status": "completed",
    "output_file_id": "file-1",
    "request_counts": {"total": 1, "completed": 1, "failed": 0},
    "errors": {"data": [{"code": "c", "message": "m", "line": 1}]},
    "metadata": {"bbquery": "b"},
}
OF_A_BATCH: list[tuple[str | int, ...]] = [
    ("object",), ("error_file_id",), ("request_counts",), ("request_counts", "total"), ("request_counts", "failed"),
    ("request_counts", "completed"), ("errors",), ("errors", "data"), ("errors", "data", 0),
    ("errors", "data", 0, "code"), ("errors", "data", 0, "message"), ("errors", "data", 0, "line"), ("metadata",),
    ("usage",), ("expires_at",),
]  # fmt: skip


@pytest.mark.parametrize("path", OF_A_BATCH, ids=lambda path: ".".join(map(str, path)))
def test_no_optional_part_of_a_batch_hides_that_it_ended(path: tuple[str | int, ...]) -> None:
    """How a batch stands is known, in whole numbers and words, whatever its optional fields hold."""
    batches = connect()._batches  # type: ignore[attr-defined]  # what a vendor's answer meets
    for value, changed in with_odd(BATCH, path):
        state = batches._state(Batch.construct(**changed))
        assert state.ended, value
        assert [type(count) for count in (state.total, state.answered, state.failed)] == [int] * 3, value
        assert state.reason.isprintable()


async def test_the_results_of_an_oddly_described_batch_are_fetched() -> None:
    """It is found by name and its answers are read, beside fields that make no sense."""
    odd = {"request_counts": {"completed": "x"}, "errors": "x", "error_file_id": "\ud800", "usage": math.nan}
    described, other = BATCH | odd, {"id": "batch_0", "object": "batch", "metadata": "x"}

    async def handler(request: web.Request) -> web.Response:
        if request.path.endswith("/content"):
            return web.Response(body=body_of(LINE))
        content = {"object": "list", "data": [other, described]} if request.path.endswith("/batches") else described
        return web.Response(body=body_of(content), content_type="application/json")

    async with serving(handler) as url, connected(url) as oracle:
        assert isinstance(oracle, BatchOracle)
        assert await oracle.submitted("b") == "batch_1"
        ((name, reply),) = [named async for named in oracle.batch_results("batch_1")]

    assert name == "q0"
    assert isinstance(reply, Reply)


# --- HTTP: our own protocol, and templates ---

ITEMS: dict[AnswerKind, dict[str, Any]] = {
    "probabilities": {"probabilities": [0.25, 0.75]},
    "scores": {"scores": [2.5, -1]},
    "labels": {"labels": [{"name": "dog", "score": 0.75}, {"name": "cat", "score": 0.25}]},
    "text": {"text": "a cat"},
}
UNREAD = ("refused", "error")  # a text there says that there is no answer


@pytest.mark.parametrize("kind", ITEMS)
@pytest.mark.parametrize("field", ["served", "refused", "error", "unknown"])
def test_no_optional_part_of_an_answer_over_http_makes_it_unreadable(kind: AnswerKind, field: str) -> None:
    """Beside an answer only a text says that the image was refused, and nothing that is empty that it failed."""
    for value, item in with_odd(ITEMS[kind], (field,)):
        if field == "error" and (wire.failure(item) is not None):
            assert bool(value), value  # something is said
            continue
        answer = wire.unpack_answer(item, kind, None)
        if field == "refused" and isinstance(value, str) and value:
            assert answer == NoAnswer(value)
            continue
        assert answer == wire.unpack_answer(ITEMS[kind], kind, None) or isinstance(answer, Vector), value
        assert wire.served(item) is None or str(wire.served(item)).isprintable()


def test_a_label_without_a_score_that_can_be_read_is_listed_without_one() -> None:
    """The other labels keep theirs; as long as one can be read, the answer can."""
    for value, item in with_odd(ITEMS["labels"], ("labels", 1, "score")):
        answer = wire.unpack_answer(item, "labels", None)
        assert isinstance(answer, Labels), value
        expected = float(value) if type(value) in (int, float) and abs(value) < 2**200 else None
        assert set(answer.labels) == {Label("dog", 0.75), Label("cat", expected)}, value


@pytest.mark.parametrize("score", ["x", math.nan, math.inf, True, []])
def test_labels_of_which_no_score_can_be_read_are_malformed(score: Any) -> None:
    """Without a score they would count as certain: what is said and cannot be read is not left out in silence."""
    with pytest.raises(wire_fields.WireError, match="label 'cat' must be a finite number"):
        wire.unpack_answer({"labels": [{"name": "cat", "score": score}]}, "labels", None)


TEMPLATE: dict[str, Any] = {
    "request": {"path": "/", "body": "raw"},
    "answer": {
        "kind": "labels", "names": "$.found[*].label", "scores": "$.found[*].score", "refused": "$.refused",
        "error": "$.error", "served": "$.version",
    },
}  # fmt: skip
FOUND = {"found": [{"label": "dog", "score": 0.75}, {"label": "cat", "score": 0.25}]}


@pytest.mark.parametrize(
    "path",
    [("version",), ("refused",), ("error",), ("found", 1, "score"), ("found", 1, "box")],
    ids=lambda path: ".".join(map(str, path)),
)
def test_no_optional_part_that_a_template_reads_makes_an_answer_unreadable(path: tuple[str | int, ...]) -> None:
    """What may be left out may be odd; an error or a refusal is one where something is said."""
    reader = read_template(TEMPLATE).reader
    for value, content in with_odd(FOUND, path):
        (item,) = reader.split(body_of(content), [Size(1, 1)])
        answer, failed = reader.answer(item), reader.failure(item)
        if path[0] in UNREAD and (isinstance(answer, NoAnswer) or failed is not None):
            assert bool(value), value  # something is said
            continue
        assert isinstance(answer, Labels), value
        assert answer.labels[0].name == "dog" or path[0] == "found"
        served = reader.served(item)
        assert served is None or served.isprintable()


@pytest.mark.parametrize("body", [b'\xef\xbb\xbf{"text": "a"}', b'{"text": "a", "x": NaN}', b'{"text": "a\\ud800"}'])
def test_json_as_other_writers_write_it_is_read(body: bytes) -> None:
    """NaN, half surrogate pairs and a byte order mark make no answer unreadable."""
    assert wire_fields.loads(body)["text"].startswith("a")


def test_a_description_may_hold_null_for_what_it_leaves_out() -> None:
    """As the protocol says: null is as good as nothing."""
    described: dict[str, Any] = {
        "name": "m",
        "identity": {},
        "answers": "text",
        "largest_batch": None,
        "concurrency": None,
    }

    assert unpack_model(body_of(described)).largest_batch == 1


# --- functions ---


@pytest.mark.parametrize("score", [None, math.nan, math.inf, -math.inf, 10**400, "x", True])
async def test_one_odd_score_makes_no_list_of_a_function_unreadable(score: Any) -> None:
    """The label is there without a score."""
    oracle = function.connect(lambda _: [("dog", 0.75), ("cat", score)], answers="labels")

    (reply,) = await oracle.answer([image()])

    assert isinstance(reply, Reply)
    assert reply.answer == Labels((Label("dog", 0.75), Label("cat")))
    await oracle.aclose()
