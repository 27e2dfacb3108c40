"""OpenAI's models at Azure, by the oracle `openai`: deployments, their prices, and the filter."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np
import openai
import pytest
from aiohttp import web

import oracles.openai
from bbquery.errors import UnknownPrice, UsageError
from bbquery.money import token_price
from bbquery.types import NoAnswer, Reply
from oracles import function
from oracles.emulators.openai import AZURE_ROOT, ROOT, OpenAIEmulator
from tests.support.http_helpers import always, serving
from tests.support.openai_helpers import completion, image

if TYPE_CHECKING:
    from bbquery.oracle import Oracle

URL = "https://me.openai.azure.com/openai/v1"
pytestmark = pytest.mark.usefixtures("openai_key", "home")


def connect(**options: Any) -> Oracle:
    usual: dict[str, Any] = {"base_url": URL, "height": 8, "width": 8}
    return oracles.openai.connect(**(usual | options))


def test_a_deployment_of_any_name_costs_what_its_model_does() -> None:
    """Its price and how it counts an image are those of the model it is said to be of; the request has its own name."""
    deployed, plain = connect(model="eyes", deployment_of="gpt-4.1-mini"), connect(model="gpt-4.1-mini")

    quotes = [oracle.quote(oracle.encode(image())).worst for oracle in (deployed, plain)]
    assert quotes[0] == quotes[1]
    assert b'"model":"eyes"' in deployed.encode(image()).body
    assert deployed.capabilities.identity["model"] == "eyes"


def test_a_deployment_of_an_unnamed_model_is_refused_with_what_to_say() -> None:
    """A name that is no model's tells neither tokens nor price."""
    with pytest.raises(UsageError, match=r"deployment_of=gpt-4\.1-mini"):
        connect(model="eyes")
    with pytest.raises(UnknownPrice, match=r'\[azure\."gpt-9"\]'):
        connect(model="eyes", deployment_of="gpt-9", image_tokens=500)


def test_azure_has_prices_of_its_own() -> None:
    """Held is what a deployment within a zone costs, which is dearer than OpenAI's own price."""
    at_azure, at_openai = connect(model="gpt-4.1-mini"), connect(model="gpt-4.1-mini", base_url=oracles.openai.OPENAI)

    dearer, usual = (oracle.quote(oracle.encode(image())).worst for oracle in (at_azure, at_openai))
    assert dearer.tokens == usual.tokens
    assert dearer.picodollars > usual.picodollars
    assert token_price("azure", "gpt-4.1-mini").input > token_price("openai", "gpt-4.1-mini").input


async def test_what_the_filter_withholds_is_an_answer() -> None:
    """Azure refuses a prompt with status 400 and names its policy, or ends an answer with "content_filter"."""
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"violence": {"filtered": True}}}
    refused = {"error": {"message": "The prompt triggered the content management policy.", "code": "content_filter",
                         "status": 400, "innererror": inner}}  # fmt: skip
    choice = {"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "content_filter",
              "content_filter_results": {"sexual": {"filtered": True, "severity": "high"}}}  # fmt: skip
    withheld = completion(choices=[choice], prompt_filter_results=[{"prompt_index": 0}])
    kinds = []
    for status, body in ((400, refused), (200, withheld)):
        async with serving(always(lambda s=status, b=body: web.json_response(b, status=s))) as url:  # type: ignore[misc]  # a default binds the loop's value
            oracle = connect(model="gpt-4.1-mini", base_url=f"{url}/openai/v1")
            async with contextlib.aclosing(oracle):
                (reply,) = await oracle.answer([oracle.encode(image())])
        assert isinstance(reply, Reply)
        assert isinstance(reply.answer, NoAnswer)
        kinds.append(reply.answer.kind)

    assert kinds == ["filtered", "filtered"]


async def test_the_emulator_answers_at_azures_address() -> None:
    """The vendor's own package asks it there as it does anywhere, and the oracle too."""
    inner = function.connect(lambda image: np.array([0.25, 0.75]), height=8, width=8, version="1", classes="cat|dog")
    server = OpenAIEmulator(inner)
    async with server.running() as url:
        base = url.removesuffix(ROOT) + AZURE_ROOT
        async with openai.AsyncOpenAI(api_key="any", base_url=base) as client:
            assert (await client.models.retrieve("gpt-4o-mini")).id == "gpt-4o-mini"
        oracle = connect(model="gpt-4o-mini", base_url=base)
        async with contextlib.aclosing(oracle):
            (reply,) = await oracle.answer([oracle.encode(image())])

    assert isinstance(reply, Reply)
    assert server.bill.images_answered == 1
