"""OpenAI's moderation of images: what is sent, what is read, and the vendor's own package at our emulator."""

from __future__ import annotations

import base64
import contextlib
import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import openai
import pytest
from aiohttp import web
from PIL import Image as Pillow

from bbquery.errors import MalformedAnswer, OracleError, OutcomeUnknown, QuotaExceeded, UnknownPrice, UsageError
from bbquery.types import NoAnswer, Reply, Vector
from bbquery.units import Units
from oracles import function, openai_moderation
from oracles.emulators.openai import OpenAIEmulator
from oracles.openai_moderation import IMAGE_CATEGORIES
from tests.support.http_helpers import always, saying, serving
from tests.support.openai_helpers import image, mistake

if TYPE_CHECKING:
    from pathlib import Path

    from openai.types import ModerationImageURLInputParam

pytestmark = pytest.mark.usefixtures("openai_key", "home")

SCORES = {name: place / 10 for place, name in enumerate(IMAGE_CATEGORIES)}


def judged(**fields: Any) -> dict[str, Any]:
    """Return the body of a success."""
    result = {"flagged": False, "categories": {}, "category_scores": SCORES | {"hate": 0.0}}
    return {"id": "modr-1", "model": "omni-moderation-2024-09-26", "results": [result]} | fields


async def ask(url: str, **options: Any) -> Reply | OracleError:
    oracle = openai_moderation.connect(base_url=url, height=8, width=8, **options)
    async with contextlib.aclosing(oracle):
        (reply,) = await oracle.answer([oracle.encode(image())])
    return reply


async def test_scores_are_in_the_order_of_the_classes() -> None:
    """Whatever order the vendor has, each number stands for its class; categories of texts are left out."""
    async with serving(saying(judged())) as url:
        reply = await ask(url)

    assert isinstance(reply, Reply)
    assert isinstance(reply.answer, Vector)
    assert reply.answer.values.tolist() == list(SCORES.values())
    assert reply.served == "omni-moderation-2024-09-26"
    assert reply.cost == Units(queries=1)


async def test_the_image_travels_as_it_is_and_alone() -> None:
    """A request holds the model and one image, as a PNG of the same pixels."""
    bodies = []

    async def keep(request: web.Request) -> web.Response:
        assert request.path == "/moderations"
        bodies.append(json.loads(await request.read()))
        return web.json_response(judged())

    async with serving(keep) as url:
        await ask(url, model="omni-moderation-2024-09-26")

    (body,) = bodies
    (part,) = body.pop("input")
    assert body == {"model": "omni-moderation-2024-09-26"}
    png = base64.b64decode(part["image_url"]["url"].removeprefix("data:image/png;base64,"))
    with Pillow.open(io.BytesIO(png)) as picture:
        assert np.array_equal(np.array(picture), image())


@pytest.mark.parametrize(
    "body",
    [
        judged(results=[]),
        judged(results=[{"category_scores": SCORES | {"sexual": 1.5}}]),
        judged(results=[{"category_scores": {name: SCORES[name] for name in IMAGE_CATEGORIES[1:]}}]),
        [],
    ],
)
async def test_an_answer_without_all_scores_is_no_answer(body: Any) -> None:
    """A category that is missing or no number from 0 to 1 is never read as 0."""
    async with serving(saying(body)) as url:
        assert isinstance(await ask(url), MalformedAnswer)


async def test_refusals_mean_what_they_mean_in_chat() -> None:
    """The vendor's quota ends a run, and an image that it will not look at is an answer."""
    quota, veto = mistake("used up", code="insufficient_quota"), mistake("no", code="content_policy_violation")

    async with serving(always(lambda: web.json_response(quota, status=429))) as url:
        with pytest.raises(QuotaExceeded):
            await ask(url)
    async with serving(always(lambda: web.json_response(veto, status=400))) as url:
        refused = await ask(url)
    async with serving(saying(judged(error={"message": "the model is gone", "code": "x"}))) as url:
        assert isinstance(await ask(url), OutcomeUnknown)

    assert isinstance(refused, Reply)
    assert isinstance(refused.answer, NoAnswer)


def test_it_is_free_by_the_table_and_nothing_else_is() -> None:
    """The known models cost nothing, also dated ones; a model that nobody priced is refused."""
    for model in ("omni-moderation-latest", "omni-moderation-2024-09-26", "omni-moderation-2027-01-01"):
        oracle = openai_moderation.connect(model=model)
        assert oracle.quote(b"").worst == Units(queries=1)
        assert "free to use 2026-11-30" in oracle.capabilities.price.source
    with pytest.raises(UnknownPrice, match="prices"):
        openai_moderation.connect(model="text-moderation-latest")


def test_a_price_of_ones_own_overrides_the_table(home: Path) -> None:
    """Behind a gateway that charges, each query is held and posted at the price that you state."""
    home.mkdir(exist_ok=True)
    (home / "prices.toml").write_text('[openai_moderation."omni-moderation-latest"]\nthousand = "0.10"\n')

    assert openai_moderation.connect().quote(b"").worst == Units(queries=1, picodollars=10**8)


def test_odd_options_are_refused() -> None:
    """A mistake is named before anything is sent."""
    with pytest.raises(UsageError, match="model is empty"):
        openai_moderation.connect(model=" ")
    with pytest.raises(UsageError, match="concurrency must be at least 1"):
        openai_moderation.connect(concurrency=0)


async def test_the_vendors_own_package_understands_the_emulator() -> None:
    """`client.moderations.create` reads the emulator's answer, which names the categories of images alone as judged."""
    inner = function.connect(lambda image: np.array([0.25, 0.75]), height=8, width=8, version="1", classes="a|b")
    url = f"data:image/png;base64,{base64.b64encode(_png()).decode()}"
    picture: ModerationImageURLInputParam = {"type": "image_url", "image_url": {"url": url}}
    async with OpenAIEmulator(inner).running() as base, openai.AsyncOpenAI(api_key="any", base_url=base) as client:
        answer = await client.moderations.create(model="omni-moderation-latest", input=[picture])
        with pytest.raises(openai.BadRequestError):
            await client.moderations.create(input="no image")
        with pytest.raises(openai.NotFoundError):
            await client.moderations.create(model="text-moderation-latest", input="text")

    (result,) = answer.results
    assert (result.category_scores.sexual, result.category_scores.self_harm) == (0.25, 0.75)
    assert result.category_scores.hate == 0
    assert (result.categories.self_harm, result.categories.sexual) == (True, False)
    assert result.category_applied_input_types.violence == ["image"]


def _png() -> bytes:
    content = io.BytesIO()
    Pillow.fromarray(image()).save(content, "PNG")
    return content.getvalue()
