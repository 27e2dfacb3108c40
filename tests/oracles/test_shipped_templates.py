"""Templates that come with bbquery: what all of them keep to, and what is said of names that there are not."""

from __future__ import annotations

import json
import traceback
from typing import Any

import numpy as np
import pytest
from aiohttp import web

import oracles.http
from bbquery.errors import OracleError, UnknownName, UsageError
from oracles._http.template import shipped
from tests.support.http_helpers import serving

MARKER = "marker-5eC12eT-of-a-vendor"
GIVEN: dict[str, dict[str, Any]] = {
    "@anthropic-messages": {"model": "claude-haiku-4-5"},
    "@gemini": {"model": "gemini-3.5-flash"},
    "@hugging-face": {"usd_per_query": "0.001"},
    "@ollama": {"model": "llava"},
}
"""What each needs to be asked."""

PINNED = {"@anthropic-messages": "eefa49ab", "@gemini": "8946575d", "@hugging-face": "c89f270f", "@ollama": "a2f65b8e"}
"""How the hashes begin under which their answers are stored."""

pytestmark = pytest.mark.usefixtures("home")


def test_every_template_has_a_case_here() -> None:
    """A new one is tested without being asked."""
    assert set(GIVEN) == set(PINNED) == set(shipped.names())


@pytest.mark.parametrize("name", shipped.names())
async def test_answers_stay_findable(name: str) -> None:
    """A template whose requests or reading change gives up all answers that were paid for: never by chance."""
    oracle = await oracles.http.connect(template=name, **{"url": "http://127.0.0.1:9"} | GIVEN[name])

    assert str(oracle.capabilities.identity["template"]).startswith(PINNED[name])


@pytest.mark.parametrize("name", shipped.names())
@pytest.mark.parametrize("status", [200, 401, 500])
async def test_a_key_is_nowhere(name: str, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However a server says it back, no message, traceback, repr, answer or identity shows it."""
    monkeypatch.setenv("KEY_OF_A_VENDOR", MARKER)
    sent: list[str] = []

    async def echo(request: web.Request) -> web.Response:
        found = [value for value in request.headers.values() if MARKER in value]
        sent.extend(found)
        return web.json_response({"error": {"message": found, "type": MARKER}}, status=status)

    async with serving(echo) as url:
        oracle = await oracles.http.connect(template=name, **{"url": url, "key_env": "KEY_OF_A_VENDOR"} | GIVEN[name])
        found: object
        try:
            (found,) = await oracle.answer([oracle.encode(np.zeros((8, 8, 3), np.uint8))])
        except OracleError as raised:
            found = raised
        await oracle.aclose()

    assert sent
    shown = [repr(found), repr(getattr(found, "__dict__", "")), repr(oracle), repr(oracle.capabilities)]
    shown += ["".join(traceback.format_exception(found)) if isinstance(found, Exception) else ""]
    assert MARKER not in "".join(shown)
    assert MARKER not in json.dumps(dict(oracle.capabilities.identity))


async def test_an_unknown_name_lists_the_known_ones() -> None:
    """And what was meant; a server that another oracle asks is said so."""
    with pytest.raises(UnknownName, match=r"known: @anthropic-messages.*did you mean '@anthropic-messages'\?"):
        await oracles.http.connect(template="@antropic-messages")
    with pytest.raises(UsageError, match=r"--oracle openai:model=DEPLOYMENT,base_url=https://RESOURCE\.openai"):
        await oracles.http.connect(template="@azure-openai")
    with pytest.raises(UsageError, match=r"--oracle openai:model=NAME,base_url=http://127\.0\.0\.1:8000/v1"):
        await oracles.http.connect(template="@vllm")
