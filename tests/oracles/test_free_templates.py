"""Ollama and Hugging Face by the templates that come with bbquery, and vLLM by the oracle `openai`."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest
from aiohttp import web

import oracles.http
import oracles.openai
from bbquery.errors import OracleError, RateLimited, Rejected, UnknownPrice
from bbquery.types import Label, Labels, NoAnswer, Reply, Text
from bbquery.units import Units
from oracles import function
from oracles.emulators import hugging_face
from oracles.emulators.hugging_face import HuggingFaceEmulator
from oracles.emulators.ollama import OllamaEmulator
from tests.support.http_helpers import saying, serving

pytestmark = pytest.mark.usefixtures("hugging_face_token", "home")


def model() -> Any:
    return function.connect(lambda image: np.array([0.25, 0.75]), height=8, width=8, version="1", classes="cat|dog")


async def ask(oracle: Any) -> Reply | OracleError:
    async with contextlib.aclosing(oracle):
        replies: list[Reply | OracleError] = await oracle.answer([oracle.encode(np.zeros((8, 8, 3), np.uint8))])
    return replies[0]


# --- Ollama ---


async def test_ollama_is_free_on_this_machine_and_nowhere_else() -> None:
    """Asked where it listens by itself, it costs nothing; on another machine the price must be stated, if only as 0."""
    oracle = await oracles.http.connect(template="@ollama", model="llava")

    assert oracle.quote(oracle.encode(np.zeros((8, 8, 3), np.uint8))).worst == Units(queries=1)
    with pytest.raises(UnknownPrice):
        await oracles.http.connect(template="@ollama", model="llava", url="https://ollama.com")


async def test_ollama_is_asked_for_one_whole_answer() -> None:
    """Nothing is streamed, the image stands beside the question, and thought is only mentioned where one says so."""
    bodies: list[dict[str, Any]] = []

    async def keep(request: web.Request) -> web.Response:
        bodies.append(await request.json())
        return web.json_response({"model": "llava", "message": {"content": "cat"}, "done_reason": "stop"})

    async with serving(keep) as url:
        await ask(await oracles.http.connect(template="@ollama", model="llava", url=url, prompt="What?"))
        await ask(await oracles.http.connect(template="@ollama", model="qwen3-vl", url=url, effort="none"))

    first, second = bodies
    assert (first["stream"], first["messages"][0]["content"]) == (False, "What?")
    assert first["options"] == {"num_predict": 256, "temperature": 0, "seed": 0}
    assert "think" not in first
    assert second["think"] is False


@pytest.mark.parametrize(
    ("message", "reason", "answer"),
    [
        ({"content": "A cat."}, "stop", Text("A cat.")),
        ({"content": "A tab"}, "length", Text("A tab")),
        ({"content": "", "thinking": "Let me see"}, "length", "truncated"),
        ({"content": ""}, "load", "empty"),
    ],
)
async def test_ollamas_answers_and_their_absence(message: dict[str, str], reason: str, answer: Text | str) -> None:
    """What is thought is no answer; one that is cut off in thought is truncated."""
    body = {"model": "llava", "message": {"role": "assistant", **message}, "done": True, "done_reason": reason}
    async with serving(saying(body)) as url:
        reply = await ask(await oracles.http.connect(template="@ollama", model="llava", url=url))

    assert isinstance(reply, Reply)
    assert (reply.answer.kind if isinstance(reply.answer, NoAnswer) else reply.answer) == answer
    assert (reply.served, reply.cost) == ("llava", Units(queries=1))


async def test_the_emulator_of_ollama_answers_with_its_model() -> None:
    """At temperature 0 the likelier class is named."""
    async with OllamaEmulator(model()).running() as url:
        reply = await ask(await oracles.http.connect(template="@ollama", model="llava", url=url, classes="cat|dog"))

    assert isinstance(reply, Reply)
    assert reply.answer == Text("dog")


# --- Hugging Face ---


async def test_labels_of_an_endpoint_are_read_with_their_scores() -> None:
    """The image travels as it is, and the labels come best first; what a query costs is what one states."""
    async with HuggingFaceEmulator(model(), key="hf_marker").running() as url:
        reply = await ask(await oracles.http.connect(template="@hugging-face", url=url, usd_per_query="0.001"))

    assert isinstance(reply, Reply)
    assert reply.answer == Labels((Label("dog", 0.75), Label("cat", 0.25)))
    assert reply.cost == Units(queries=1, picodollars=10**9)


async def test_the_price_of_an_endpoint_must_be_stated() -> None:
    """It is paid by the hour, and nobody but its owner knows what that makes for a query."""
    with pytest.raises(UnknownPrice, match="usd_per_query"):
        await oracles.http.connect(template="@hugging-face", url="https://x.endpoints.huggingface.cloud")


async def test_a_model_that_is_being_loaded_is_waited_for() -> None:
    """The body says for how long; nothing was done, so nothing is held."""
    faults = hugging_face.Faults(loading=1, loading_seconds=20.5)
    async with HuggingFaceEmulator(model(), faults).running() as url:
        oracle = await oracles.http.connect(template="@hugging-face", url=url)
        with pytest.raises(RateLimited) as waiting:
            await ask(oracle)
        reply = await ask(oracle)

    assert waiting.value.retry_after == 20.5
    assert isinstance(reply, Reply)


async def test_a_wrong_token_is_refused() -> None:
    """The emulator tells it as an endpoint does."""
    async with HuggingFaceEmulator(model(), key="another").running() as url:
        with pytest.raises(Rejected, match="401"):
            await ask(await oracles.http.connect(template="@hugging-face", url=url))


# --- vLLM ---


async def test_vllm_is_asked_by_the_oracle_of_openai() -> None:
    """A completion as vLLM writes it, with members of its own and empty details, is read; no key is needed."""
    choice = {
        "index": 0, "message": {"role": "assistant", "content": "cat", "refusal": None, "reasoning": None,
        "annotations": None, "audio": None, "function_call": None, "tool_calls": []}, "logprobs": None,
        "finish_reason": "stop", "stop_reason": None, "token_ids": None,
    }  # fmt: skip
    body = {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "Qwen/Qwen2.5-VL-7B-Instruct",
        "choices": [choice], "service_tier": None, "system_fingerprint": None, "prompt_logprobs": None,
        "usage": {"prompt_tokens": 90, "total_tokens": 92, "completion_tokens": 2, "prompt_tokens_details": None},
        "kv_transfer_params": None,
    }  # fmt: skip
    async with serving(saying(body)) as url:
        oracle = oracles.openai.connect(
            model="Qwen/Qwen2.5-VL-7B-Instruct",
            base_url=f"{url}/v1",
            key_env=None,
            tier=None,
            detail=None,
            image_tokens=2000,
            input_usd=0,
            output_usd=0,
        )
        reply = await ask(oracle)

    assert isinstance(reply, Reply)
    assert (reply.answer, reply.cost) == (Text("cat"), Units(queries=1, tokens=92))
    assert reply.served == "Qwen/Qwen2.5-VL-7B-Instruct"
