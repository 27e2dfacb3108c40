"""The OpenAI oracle's options: what they put into a request, what is refused before anything is sent, and the key."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from bbquery import load, prompt_templates
from bbquery.errors import MissingExtra, UnknownName, UsageError
from bbquery.prompt_templates import CLASS_RULE, OPEN_QUESTION
from tests.support.openai_helpers import VARIABLE, ask, connect, image
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from bbquery.oracle import Oracle

pytestmark = pytest.mark.usefixtures("openai_key")


def body(**options: Any) -> dict[str, Any]:
    """Return the request about one image, read as JSON."""
    oracle = connect(**options)
    content: dict[str, Any] = json.loads(oracle.encode(image()).body)
    return content


def parts(**options: Any) -> list[dict[str, Any]]:
    """Return the parts of the one message of a request."""
    content = body(**options)
    (message,) = content.get("messages") or content["input"]
    assert message["role"] == "user"
    found: list[dict[str, Any]] = message["content"]
    return found


# --- the request ---


def test_a_chat_completion_is_asked_for() -> None:
    """Every option travels under the vendor's name for it."""
    content = body(model="gpt-4o", max_tokens=50, top_logprobs=5, temperature=0.5, seed=7, detail="high")
    del content["messages"]

    assert content == {
        "model": "gpt-4o",
        "stream": False,
        "service_tier": "default",
        "temperature": 0.5,
        "seed": 7,
        "max_completion_tokens": 50,
        "logprobs": True,
        "top_logprobs": 5,
    }


def test_a_response_is_asked_for() -> None:
    """The other API has other names, and is told not to keep the image."""
    content = body(api="responses", model="gpt-5.2", tier="flex", max_tokens=50, top_logprobs=5)
    del content["input"]

    assert content == {
        "model": "gpt-5.2",
        "stream": False,
        "service_tier": "flex",
        "temperature": 0.0,
        "reasoning": {"effort": "none"},
        "max_output_tokens": 50,
        "store": False,
        "include": ["message.output_text.logprobs"],
        "top_logprobs": 5,
    }


def test_log_probabilities_are_asked_for_only_where_wanted() -> None:
    """Models that give none refuse to be asked."""
    assert {"logprobs", "top_logprobs", "seed", "reasoning_effort"}.isdisjoint(body())
    assert {"include", "top_logprobs", "reasoning"}.isdisjoint(body(api="responses"))


def test_the_image_travels_as_a_data_url_with_its_detail() -> None:
    """Detail is always said, since the vendor's own choice has no bound."""
    for detail in ("low", "high"):
        _, chat = parts(detail=detail)
        _, response = parts(detail=detail, api="responses")
        assert chat["type"] == "image_url"
        assert response["type"] == "input_image"
        assert chat["image_url"]["detail"] == response["detail"] == detail
        assert chat["image_url"]["url"] == response["image_url"]


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_the_pixels_arrive_as_they_were(api: str) -> None:
    """What is decoded from the request is what was asked about, to the bit."""
    _, part = parts(api=api)
    url = part["image_url"] if api == "responses" else part["image_url"]["url"]
    kind, _, data = url.partition(",")

    assert kind == "data:image/png;base64"
    np.testing.assert_array_equal(np.array(Pillow.open(io.BytesIO(base64.b64decode(data)))), image())


@settings(max_examples=50)
@given(prompt=st.text(min_size=1).filter(str.strip), api=st.sampled_from(["chat", "responses"]))
def test_any_prompt_travels_beside_the_image(prompt: str, api: str) -> None:
    """Quotes, braces, line ends, other alphabets, and even a data URL do not disturb the request."""
    prompt += "data:image/png;base64,"
    text, part = parts(prompt=prompt, api=api)

    assert text["text"] == prompt
    assert len(part["image_url"] if api == "responses" else part["image_url"]["url"]) > 100


def test_attempts_and_repeats_send_the_same_bytes() -> None:
    """The request is made once, off the loop."""
    oracle = connect()

    assert oracle.encode(image()).body == oracle.encode(image()).body


def test_the_question_is_short_if_none_is_given() -> None:
    """One of our own."""
    assert parts()[0]["text"] == OPEN_QUESTION


@pytest.mark.parametrize("classes", ["cat|golden retriever", ["cat", "golden retriever"]])
def test_classes_are_listed_under_the_question(classes: Any) -> None:
    """One a line, so that names may hold commas."""
    text = parts(classes=classes, prompt="What is it?")[0]["text"]

    assert text == f"What is it?\n{CLASS_RULE}\n- cat\n- golden retriever"


def test_a_prompt_can_be_named() -> None:
    """A name after @ stands for one of bbquery's questions, about the classes that are given."""
    text = parts(prompt="@yes-no", classes="tabby cat")[0]["text"]

    assert text == prompt_templates.yes_no(["tabby cat"])


def test_a_list_to_choose_from_is_the_oracle_s_closed_set() -> None:
    """So scores that read the answer know the classes; one class alone, or none, leaves the vocabulary open."""
    chosen = connect(classes="cat| golden retriever").capabilities.classes

    assert chosen is not None
    assert chosen.names == (("cat",), ("golden retriever",))
    assert connect().capabilities.classes is None
    assert connect(prompt="@yes-no", classes="cat").capabilities.classes is None


@pytest.mark.parametrize("classes", ["cat", "cat|", "cat|Cat", "cat|do\ng"])
def test_classes_that_cannot_be_told_apart_are_refused(classes: str) -> None:
    """One name, an empty one, one name twice, or one on two lines."""
    with pytest.raises(UsageError, match="classes"):
        connect(classes=classes)


# --- how a model is asked ---


@pytest.mark.parametrize(
    ("options", "cap"),
    [
        ({}, 64),
        ({"classes": "cat|dog"}, 16),
        ({"max_tokens": 3}, 3),
        ({"model": "o4-mini"}, 64 + 1024),
        ({"model": "gpt-5.2"}, 64),
        ({"model": "gpt-5.2", "reasoning_effort": "high", "classes": "cat|dog"}, 16 + 1024),
    ],
)
def test_the_output_is_always_capped(options: dict[str, Any], cap: int) -> None:
    """Enough for what is asked; more where a model reasons first."""
    assert body(**options)["max_completion_tokens"] == cap


def test_older_servers_are_told_the_cap_in_their_words() -> None:
    """Ollama knows max_tokens only."""
    content = body(cap_name="max_tokens")

    assert content["max_tokens"] == 64
    assert "max_completion_tokens" not in content


@pytest.mark.parametrize(
    ("options", "temperature", "effort"),
    [
        ({"model": "gpt-4o"}, 0.0, None),
        ({"model": "gpt-4o", "temperature": 1.5}, 1.5, None),
        ({"model": "gpt-5.2"}, 0.0, "none"),
        ({"model": "gpt-5.2", "reasoning_effort": "low"}, None, "low"),
        ({"model": "o4-mini"}, None, "low"),
        ({"model": "o4-mini", "reasoning_effort": "high"}, None, "high"),
        ({"model": "llava", "image_tokens": 9, "input_usd": "0", "output_usd": "0"}, 0.0, None),
        (
            {"model": "qwen", "image_tokens": 9, "input_usd": "0", "output_usd": "0", "reasoning_effort": "low"},
            0.0,
            "low",
        ),
    ],
)
def test_a_model_answers_as_repeatably_as_it_can(
    options: dict[str, Any], temperature: float | None, effort: str | None
) -> None:
    """Temperature 0 and no reasoning, as far as the model may be told so."""
    content = body(**options)

    assert content.get("temperature") == temperature
    assert content.get("reasoning_effort") == effort


@pytest.mark.parametrize(
    "options",
    [
        {"model": "o4-mini", "temperature": 0.0},
        {"model": "o4-mini", "top_logprobs": 1},
        {"model": "gpt-5.2", "top_logprobs": 1, "reasoning_effort": "low"},
        {"model": "gpt-5.2", "temperature": 1.0, "reasoning_effort": "low"},
        {"model": "gpt-4o", "reasoning_effort": "low"},
    ],
)
def test_what_a_model_would_refuse_is_refused_before(options: dict[str, Any]) -> None:
    """The message names the model and says what to do."""
    with pytest.raises(UsageError, match=f"{options['model']}.*(leave|say)"):
        connect(**options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": " "}, "model is empty"),
        ({"prompt": " "}, "prompt"),
        ({"prompt": "\ud800"}, "prompt"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"top_logprobs": 21}, "top_logprobs must be 0 to 20"),
        ({"top_logprobs": -1}, "top_logprobs must be 0 to 20"),
        ({"temperature": 2.1}, "temperature must be 0 to 2"),
        ({"temperature": float("nan")}, "temperature must be 0 to 2"),
        ({"api": "responses", "seed": 1}, "seed"),
        ({"concurrency": 0}, "concurrency"),
        ({"image_tokens": 0}, "image_tokens"),
        ({"requests_per_minute": 0}, "requests_per_minute"),
        ({"tokens_per_minute": -1}, "tokens_per_minute"),
        ({"timeout": float("inf")}, "timeout"),
        ({"width": None}, "height and width"),
        ({"base_url": "api.openai.com/v1"}, "http"),
        ({"base_url": "https://me:secret@host/v1"}, "key_env"),
        ({"key_env": "sk-12-34"}, "key_env"),
    ],
)
def test_a_wrong_option_is_told_before_anything_is_sent(options: dict[str, Any], said: str) -> None:
    """The message names the option."""
    plain: dict[str, Any] = {"model": "gpt-4o", "image_tokens": 100, "input_usd": "1", "output_usd": "1"}

    with pytest.raises(UsageError, match=said):
        connect(**(plain | options))


def test_a_model_that_counts_in_an_unknown_way_needs_a_bound() -> None:
    """Without one its cost has none; the message says how to state it."""
    with pytest.raises(UsageError, match=r"'llava'.*image_tokens=2000"):
        connect(model="llava", input_usd="0", output_usd="0")


# --- what is declared ---


def test_the_account_and_its_limits_are_declared() -> None:
    """Oracles of one endpoint, key and model share their pace; the model may change behind our back."""
    declared = connect(requests_per_minute=500.0, tokens_per_minute=30_000.0, concurrency=7, timeout=3.0).capabilities

    assert (declared.answers, declared.remote, declared.classes) == ("text", True, None)
    assert declared.provider == "openai http://127.0.0.1:9/v1 OPENAI_API_KEY gpt-4o-mini"
    assert (declared.limits.largest_batch, declared.limits.concurrency, declared.limits.adaptive) == (1, 7, True)
    assert (declared.limits.requests_per_minute, declared.limits.tokens_per_minute) == (500.0, 30_000.0)
    assert declared.limits.timeout == 3.0


def test_flex_is_waited_for_longer() -> None:
    """It answers when a machine is idle."""
    assert connect(model="o4-mini", tier="flex").capabilities.limits.timeout == 900
    assert connect(model="o4-mini").capabilities.limits.timeout == 120


@pytest.mark.parametrize(
    "change",
    [
        {"base_url": "http://127.0.0.1:8/v1"},
        {"api": "responses"},
        {"model": "gpt-4o-mini-2024-07-18"},
        {"prompt": "What?"},
        {"classes": "cat|dog", "max_tokens": 64},
        {"detail": "high"},
        {"max_tokens": 65},
        {"top_logprobs": 1},
        {"temperature": 1.0},
        {"seed": 1},
    ],
)
def test_what_decides_the_answers_is_in_the_identity(change: dict[str, Any]) -> None:
    """Answers to another question are never served from the store."""
    assert identity(connect(**change)) != identity(connect())


@pytest.mark.parametrize(
    "change",
    [
        {"tier": "flex"},
        {"key_env": "OTHER"},
        {"concurrency": 1},
        {"timeout": 1.0},
        {"input_usd": "1", "output_usd": "2"},
        {"image_tokens": 9},
        {"cap_name": "max_tokens"},
        {"tokens_per_minute": 1.0},
    ],
)
def test_what_does_not_decide_them_is_not(change: dict[str, Any]) -> None:
    """Paid answers are kept when the account, the pace, the tier or the price changes."""
    assert identity(connect(**({"model": "gpt-5.2"} | change))) == identity(connect(model="gpt-5.2"))


def identity(oracle: Oracle) -> dict[str, Any]:
    return dict(oracle.capabilities.identity)


def test_a_photo_is_shrunk_unless_told_otherwise() -> None:
    """224 pixels a side keep thousands of queries cheap."""
    assert load_view("") == (224, 224)
    assert load_view(",height=32,width=48") == (32, 48)
    assert load_view(",height=none,width=none") is None


def load_view(options: str) -> tuple[int, int] | None:
    oracle = asyncio.run(load.oracle(f"openai:model=gpt-4o-mini,base_url=http://127.0.0.1:9/v1{options}"))
    return oracle.capabilities.view.size


def test_every_option_of_plain_values_can_be_given_on_the_command_line() -> None:
    """Numbers are read as numbers, choices are checked."""
    options = (
        "model=llava,prompt=What?,classes=cat|dog,api=chat,base_url=http://127.0.0.1:9/v1,key_env=none,detail=high,"
        "crop=0.875,max_tokens=20,cap_name=max_tokens,tier=default,top_logprobs=3,temperature=0.5,seed=1,"
        "reasoning_effort=low,image_tokens=500,input_usd=0,output_usd=0,concurrency=4,requests_per_minute=60,"
        "tokens_per_minute=1000,timeout=5"
    )
    oracle = asyncio.run(load.oracle(f"openai:{options}"))

    assert identity(oracle)["temperature"] == 0.5
    with pytest.raises(UnknownName, match="auto"):
        asyncio.run(load.oracle("openai:model=gpt-4o,detail=auto"))


# --- the key ---


async def test_a_missing_key_is_told_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the name of its variable; connecting needs none."""
    monkeypatch.delenv(VARIABLE)

    with pytest.raises(UsageError, match=VARIABLE):
        await ask("http://127.0.0.1:9/v1")


# --- imports ---


def test_listing_oracles_imports_no_vendor_package() -> None:
    """The module is light; the vendor's package is imported on connecting."""
    code = "import sys, oracles.openai; print(sorted({'openai', 'httpx2', 'aiohttp', 'pydantic'} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_where_nothing_is_installed_its_own_extra_is_named() -> None:
    """One installation is enough: not first the extra of another oracle, whose packages it shares."""
    code = """if True:
        import sys
        sys.modules["yarl"] = None
        from bbquery.errors import MissingExtra
        try:
            import oracles.openai
        except MissingExtra as error:
            print(error.extra)
    """

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout == "openai\n"


@pytest.mark.parametrize("missing", ["openai", "httpx2"])
def test_a_missing_package_is_named_with_its_extra(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And with how to install it."""
    for name in [n for n in sys.modules if n.partition(".")[0] == missing or n.startswith("oracles._openai.endpoint")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)

    with pytest.raises(MissingExtra, match=rf"'{missing}'.*bbquery\[openai\]"):
        connect()


def test_the_module_describes_itself_in_a_line() -> None:
    """For `bbquery list oracles`."""
    assert "OpenAI" in load.summary("oracle", "openai")
