"""Options, models, costs and endings of templates: what they come to, and what is said of those that will not do."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import numpy as np
import pytest

import oracles.http
from bbquery.errors import MalformedAnswer, UnknownName, UnknownPrice, UsageError
from bbquery.oracle import View
from bbquery.types import Classes, NoAnswer, Reply, Text
from bbquery.units import Units
from oracles._http.template.file import Given, read_template
from oracles._http.template.paths import read_path
from oracles._http.wire.fields import WireError
from tests.support.http_helpers import saying, serving

pytestmark = pytest.mark.usefixtures("home")

TEMPLATE: dict[str, Any] = {
    "name": "eye ${model}",
    "url": "http://127.0.0.1:9",
    "options": {
        "model": {"needed": True},
        "prompt": {},
        "max_tokens": {"default": 10},
        "effort": {"values": {"none": False, "low": {"level": 1}}},
        "size": {"default": 8},
    },
    "models": [
        {"like": "small-.*", "options": {"max_tokens": {"default": 5}}, "image_tokens": 7},
        {"like": "large", "image_tokens": {"patch": 4, "most": 100}},
        {"like": "bare"},
    ],
    "request": {
        "path": "/${model}",
        "body": "json",
        "json": {"q": "${prompt}", "n": "${max_tokens}", "think": {"how": "${effort}"}, "i": "${image_base64}"},
    },
    "pixels": {"size": "${size}"},
    "answer": {"kind": "text", "text": "$.text", "ended": "$.end", "endings": {"cut": "truncated", "no": "refused"}},
    "cost": {
        "vendor": "eyes",
        "model": "${model}",
        "input": ["$.use.in", "$.use.more"],
        "output": "$.use.out",
        "most_output": "${max_tokens}",
        "likely_output": 7,
    },
}
ANSWER = {"answer": {"kind": "text", "text": "$.t"}}
PRICES: dict[str, Any] = {"input_usd": 1, "output_usd": 2}


def changed(table: str, **keys: Any) -> dict[str, Any]:
    """Return the template with these keys in one of its tables; None takes one out."""
    made = {**TEMPLATE[table], **keys}
    return TEMPLATE | {table: {key: value for key, value in made.items() if value is not None}}


async def connected(template: dict[str, Any] = TEMPLATE, **options: Any) -> Any:
    return await oracles.http.connect(**({"template": template, "model": "large"} | PRICES | options))


async def sent(**options: Any) -> tuple[str, dict[str, Any]]:
    """Return the path and the body of a request, but for its image."""
    oracle = await connected(**options)
    body = json.loads(oracle._form.join([oracle.encode(np.zeros((8, 8, 3), np.uint8))])[0])
    return oracle._form.path, {key: value for key, value in body.items() if key != "i"}


# --- options ---


async def test_options_stand_where_the_template_has_them() -> None:
    """A value keeps its kind, a choice is sent as the template says, and what has no value is left out."""
    question = {"q": "What?"}

    assert await sent(prompt="What?") == ("/large", {**question, "n": 10})
    assert await sent(prompt="What?", effort="low") == ("/large", {**question, "n": 10, "think": {"how": {"level": 1}}})
    assert (await sent(prompt="What?", effort="none"))[1]["think"] == {"how": False}
    assert (await sent(prompt="What?", max_tokens=3))[1]["n"] == 3
    assert (await sent(prompt="What?", model="small-1"))[1]["n"] == 5


def test_a_template_without_options_is_as_it_is_written() -> None:
    """What it holds is sent, null and JSON in a text too, and answers stay stored under what they always were."""
    plain = {"request": {"body": "json", "json": '{"i": "${image_base64}", "stop": null, "p": {}}'}, **ANSWER}

    assert read_template(plain).identity == {"template": "893f97113c8773ec1550bdafb2a103bc"}


async def test_a_value_cannot_leave_its_place() -> None:
    """In a path it is quoted, in JSON it is a text, whatever it holds."""
    path, body = await sent(model="a/b?key=c#d", prompt='"}, ${image_base64} ${n}', image_tokens=1)

    assert path == "/a%2Fb%3Fkey%3Dc%23d"
    assert body["q"] == '"}, ${image_base64} ${n}'


async def test_what_decides_answers_is_in_the_identity() -> None:
    """Another question, cap or effort is another oracle; prices and what an image takes are not."""
    same = [await connected(), await connected(image_tokens=50), await connected(input_usd=3, output_usd=4)]
    others = [await connected(prompt="x"), await connected(max_tokens=9), await connected(effort="low")]

    assert len({oracle.capabilities.identity["template"] for oracle in same}) == 1
    assert len({oracle.capabilities.identity["template"] for oracle in (*others, same[0])}) == 4
    assert same[0].capabilities.identity["model"] == "large"
    assert same[0].capabilities.name == "eye large"


async def test_the_size_of_the_image_is_an_option() -> None:
    """The template's own, another, or the photo's."""
    assert [(await connected(size=size)).capabilities.view for size in (None, 16, 0)] == [
        View(size=(8, 8)), View(size=(16, 16)), View(),
    ]  # fmt: skip


async def test_classes_are_listed_under_the_question() -> None:
    """They are the closed set that the answer is chosen from."""
    oracle = await connected(classes="cat|dog")

    assert oracle.capabilities.classes == Classes((("cat",), ("dog",)))
    assert (await sent(classes="cat|dog"))[1]["q"].endswith("- cat\n- dog")


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"model": None}, r"the template needs the option model: give model="),
        ({"detail": "low"}, r"unknown option of this template 'detail'; known: model, prompt"),
        ({"effort": "high"}, r"unknown value of effort 'high'; known: none, low"),
        ({"max_tokens": 0}, r"max_tokens must be at least 1"),
        ({"model": "bare"}, r"not known for the model 'bare'.*image_tokens=2000"),
        ({"model": "other"}, r"not known for the model 'other'"),
        ({"output_usd": None}, r"give both input_usd and output_usd"),
        ({"usd_per_query": 1}, r"input_usd and output_usd are prices of tokens, and here queries are paid"),
    ],
)
async def test_options_that_will_not_do_are_named(options: dict[str, Any], fault: str) -> None:
    """Before anything is sent."""
    with pytest.raises(UsageError, match=fault):
        await connected(**options)


async def test_a_server_that_describes_itself_has_no_options() -> None:
    """Options of templates, given without one, are not passed over."""
    with pytest.raises(UsageError, match="takes none of a template's options"):
        await oracles.http.connect(url="http://127.0.0.1:9", model="x")
    with pytest.raises(UsageError, match="say where the server is"):
        await oracles.http.connect()


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        (changed("options", model={"needed": "yes"}), "options.model.needed must be true or false"),
        (changed("options", model={"bogus": 1}), "unknown key of options.model 'bogus'"),
        (changed("options", model=5), "options.model must be a table"),
        (TEMPLATE | {"models": [{"like": "("}]}, "models.like is no pattern"),
        (TEMPLATE | {"models": [{"like": "a", "options": {"other": {}}}]}, r"option in models.options 'other'"),
        (TEMPLATE | {"models": [{"like": "a", "bogus": 1}]}, "unknown key of models 'bogus'"),
        (TEMPLATE | {"models": [{"like": "large", "image_tokens": {"patch": 0}}]}, "image_tokens must be a number"),
        (changed("cost", bogus=1), "unknown key of cost 'bogus'"),
        (changed("cost", input=None), "cost.input and cost.output say where"),
        (changed("cost", vendor=None), "the template needs cost.vendor"),
        (changed("cost", output="use"), r"cost.output must be a JSON path"),
        (changed("answer", endings={"no": "never"}), "unknown meaning of answer.endings.no 'never'"),
        (changed("answer", kind="labels", text=None, names="$.n"), "answer.ended says why a text ended"),
    ],
)  # fmt: skip
async def test_tables_that_will_not_do_are_named(template: dict[str, Any], fault: str) -> None:
    """A key that is misspelled or of a wrong kind is found before anything is sent."""
    with pytest.raises(UsageError, match=fault):
        await connected(template)


def test_classes_without_a_question_are_refused() -> None:
    """A template that asks nothing in words has no place for them."""
    plain = {"request": {"body": "raw"}, "answer": {"kind": "text", "text": "$.t"}}

    with pytest.raises(UsageError, match="the template asks none"):
        read_template(plain, Given(classes=("cat", "dog")))


# --- costs ---


async def test_a_template_without_a_price_is_refused() -> None:
    """The vendor of its table of costs is looked up in the tables of prices."""
    with pytest.raises(UnknownPrice, match=r'\[eyes\."large"\]'):
        await connected(input_usd=None, output_usd=None)


async def test_a_price_a_query_takes_the_place_of_tokens() -> None:
    """Behind a gateway that bills by the query, that is what is held and posted."""
    oracle = await connected(input_usd=None, output_usd=None, usd_per_query="0.002")

    assert oracle.quote(oracle.encode(np.zeros((8, 8, 3), np.uint8))).worst == Units(1, 0, 2 * 10**9)


@pytest.mark.parametrize(
    ("use", "spent"),
    [
        ({"in": 10, "out": 2}, Units(1, 12, 14 * 10**6)),
        ({"in": 10, "more": 5, "out": 0}, Units(1, 15, 15 * 10**6)),
        ({"in": "10", "out": 2}, None),
        ({"in": 10}, None),
        ({}, None),
    ],
)
async def test_what_was_used_is_added_up(use: dict[str, Any], spent: Units | None) -> None:
    """Paths that find nothing count as 0; where none finds a count, the cost is not known."""
    reply = await _asked({"text": "cat", "use": use})

    assert isinstance(reply, Reply)
    assert reply.cost == spent


async def _asked(body: dict[str, Any]) -> Any:
    async with serving(saying(body)) as url:
        oracle = await connected(url=url)
        async with contextlib.aclosing(oracle):
            return (await oracle.answer([oracle.encode(np.zeros((8, 8, 3), np.uint8))]))[0]


# --- endings ---


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"text": "cat", "end": "fine"}, Text("cat")),
        ({"text": "cat"}, Text("cat")),
        ({"text": "ca", "end": "cut"}, Text("ca")),
        ({"end": "cut"}, "truncated"),
        ({"text": "cat", "end": "no"}, "refused"),
        ({"text": "", "end": "fine"}, "empty"),
    ],
)
async def test_an_ending_tells_what_an_answer_is(body: dict[str, Any], answer: Text | str) -> None:
    """A refusal has no text, whatever stands there; a text that is cut off is one."""
    reply = await _asked(body)

    assert (reply.answer.kind if isinstance(reply.answer, NoAnswer) else reply.answer) == answer


async def test_a_text_that_is_missing_is_no_empty_one() -> None:
    """Unless the end says why it is missing, the answer cannot be read."""
    assert isinstance(await _asked({"end": "fine"}), MalformedAnswer)


# --- paths ---


def test_a_path_may_choose_elements() -> None:
    """By a member's value, or by having the member at all, in order; none chosen is none found."""
    parts = [{"kind": "a", "text": "1"}, {"kind": "b"}, 5, {"kind": "a", "text": "2"}]

    assert read_path("$[?@.kind=='a'].text", "p").select(parts) == ["1", "2"]
    assert read_path("$[?@.text].text", "p").select(parts) == ["1", "2"]
    assert read_path("$[?@.kind == 'c'].text", "p").select(parts) == []
    assert read_path("$[?@.kind=='a']", "p").is_choice
    assert not read_path("$[*].text", "p").is_choice
    with pytest.raises(WireError):
        read_path("$[?@.kind=='a']", "p").select({"kind": "a"})


@pytest.mark.parametrize("text", ["$[?@.kind==a]", "$[?kind=='a']", "$[?@.kind!='a']", "$[?@['kind']=='a']"])
def test_other_filters_are_refused(text: str) -> None:
    """The path says where it can no longer be read."""
    with pytest.raises(UsageError, match="cannot be read from"):
        read_path(text, "answer.text")


def test_an_unknown_key_of_the_template_is_named() -> None:
    """Also where it has options."""
    with pytest.raises(UnknownName, match="unknown key of the template 'bogus'"):
        read_template(TEMPLATE | {"bogus": 1}, Given(options={"model": "large"}, image_tokens=1, usd_per_query=0))
