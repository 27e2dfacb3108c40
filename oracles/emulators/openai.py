"""OpenAI's API on this machine, for the unmodified `openai` package: chat, responses, moderation of images, models.

How it works, and what holds:

1. Real answers come from the oracle it wraps, any that gives probabilities of classes. A prompt that lists classes
   (lines that begin with "- ") is answered with one of them, with real log-probabilities; any other question with a
   sentence about the likeliest classes, whatever was asked: that exercises the protocol, not understanding of images.
2. Requests are checked as the vendor checks them: a wrong key (401), an unknown model (404), a wrong body (400) and
   rates above the limits (429) are refused in the vendor's JSON, unbilled.
3. A request is numbered as it arrives. Its number and the seed alone decide its fate (`Faults`).
4. An answer is billed when the model has given it, whether or not it arrives: money is lost where it is lost at the
   vendor's. The bill counts tokens and prices by formulae of its own, and knows nothing of the client's ledger.
5. It listens on loopback only and takes only application/json, which a page in a browser cannot send unasked; where it
   takes anything else it turns browsers away.
6. EmulatedBatches wait for nobody's clock: each time that one is looked at, all of them get on by a step
   (`oracles.emulators._openai_batches`). Their answers cost half.
"""

from __future__ import annotations

import asyncio
import functools
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeAlias

from bbquery.errors import MissingExtra
from oracles._http.wire.fields import WireError, dumps, loads
from oracles.emulators import _server, _usage
from oracles.emulators._faults import SlidingLimit
from oracles.emulators._openai_batch_routes import BatchRoutes
from oracles.emulators._openai_batches import LINES_A_POLL, EmulatedBatches
from oracles.emulators._openai_bill import Bill
from oracles.emulators._openai_faults import NO_FAULTS, Faults
from oracles.emulators._openai_model import ChatModel
from oracles.emulators._openai_models import BY_NAME, SERVED
from oracles.emulators._openai_moderation import image_of, moderation
from oracles.emulators._openai_refusals import TooFast, broken, duration, spent
from oracles.emulators._openai_reply import error, model, prompt_tokens, reply
from oracles.emulators._openai_request import Refused, read

try:
    from aiohttp import web
except ImportError as missing:
    raise MissingExtra("http", "serving a model over HTTP", "aiohttp") from missing

if TYPE_CHECKING:
    from bbquery.oracle import Oracle
    from oracles.emulators._faults import Fate
    from oracles.emulators._openai_request import Api

__all__ = ["NO_FAULTS", "Bill", "Faults", "OpenAIEmulator", "serve"]

Answered: TypeAlias = "Callable[[Mapping[str, Any], Fate, int], Awaitable[dict[str, Any] | None]]"
"""What a request's JSON is answered with, given its fate and its number; None where the model is not run."""

ROOT, AZURE_ROOT = "/v1", "/openai/v1"
LARGEST_BODY = 64 * 2**20  # bytes
ODD_JUNK = b'{"object": "chat.completion", "choices": []}'  # of odd requests: JSON, and still no answer


class OpenAIEmulator:
    """Serves `oracle`, which gives probabilities of classes; closing it stays with its owner.

    key: the only one accepted; None accepts any, and none. largest_body: bytes of a request, above which it is answered
    413. batch_lines: that each batch gets on by when any is looked at. sleep: how latency passes. clock: seconds that
    never go back. arrivals: when each request arrived. batches: what was submitted and charged as batches.

    Raises:
        UsageError: the oracle gives no probabilities of classes.
    """

    def __init__(
        self,
        oracle: Oracle,
        faults: Faults = NO_FAULTS,
        *,
        key: str | None = None,
        largest_body: int = LARGEST_BODY,
        batch_lines: int = LINES_A_POLL,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.oracle, self.faults, self.bill = oracle, faults, Bill()
        self.usage = _usage.Usage(self.bill)
        self.arrivals: list[float] = []
        self._model = ChatModel(oracle, faults)
        self.batches = EmulatedBatches(self._model, faults, self.bill, lines_a_poll=batch_lines)
        self._key, self._largest_body, self._sleep, self._clock = key, largest_body, sleep, clock
        self._requests = SlidingLimit(faults.requests_per_minute, faults.window)
        self._tokens = SlidingLimit(faults.tokens_per_minute, faults.window)

    @asynccontextmanager
    async def running(self, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
        """Listen while the context is open, and give the base URL for the vendor's package; port 0 is any free one.

        Raises:
            UsageError: the host is not this machine's loopback, or the port cannot be had.
        """
        application = web.Application(client_max_size=self._largest_body)
        application.router.add_get(f"{ROOT}/bill", self._show_bill)
        application.router.add_get(f"{ROOT}{_usage.PATH}", _server.reporting(self.usage))
        for root in (ROOT, AZURE_ROOT):
            application.router.add_get(f"{root}/models", self._show_models)
            application.router.add_get(f"{root}/models/{{name}}", self._show_model)
            application.router.add_post(f"{root}/chat/completions", self._chat)
            application.router.add_post(f"{root}/responses", self._responses)
            application.router.add_post(f"{root}/moderations", self._moderations)
        BatchRoutes(self.batches, self._authorise).add_to(application, ROOT)
        async with _server.listening(application, host=host, port=port) as url:
            yield url + ROOT

    async def _show_bill(self, _: web.Request) -> web.Response:
        return _json(asdict(self.bill))

    async def _show_models(self, _: web.Request) -> web.Response:
        return _json({"object": "list", "data": [model(name) for name in SERVED]})

    async def _show_model(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name in BY_NAME:
            return _json(model(name))
        return _json(error(Refused(404, f"The model '{name}' does not exist", code="model_not_found")), status=404)

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        return await self._post(request, functools.partial(self._answered, "chat"))

    async def _responses(self, request: web.Request) -> web.StreamResponse:
        return await self._post(request, functools.partial(self._answered, "responses"))

    async def _moderations(self, request: web.Request) -> web.StreamResponse:
        return await self._post(request, self._moderated)

    async def _post(self, request: web.Request, answered: Answered) -> web.StreamResponse:
        now, number = self._clock(), self.bill.requests
        self.arrivals.append(now)
        self.bill.requests += 1
        try:
            self._admit(self._requests, now, 1, "requests")
            fate = self.faults.fate(number)
            if fate.latency:
                await self._sleep(fate.latency)
            content = await answered(await self._content(request), fate, number)
        except Refused as refused:
            return self._refused(number, refused)
        return await self._sent(request, fate, number, content)

    async def _answered(self, api: Api, content: Mapping[str, Any], fate: Fate, number: int) -> dict[str, Any] | None:
        """Return the reply to a question about an image, once it is billed; None where the model is not run."""
        asked = await asyncio.to_thread(read, api, content)
        self._admit(self._tokens, self._clock(), max(asked.cap, prompt_tokens(asked)), "tokens")
        self._turn_away(fate)
        if not fate.billed:
            return None
        outcome = await self._model.answer(asked, number)
        self.bill.add(outcome)
        return reply(outcome)

    async def _moderated(self, content: Mapping[str, Any], fate: Fate, number: int) -> dict[str, Any] | None:
        """Return the scores of an image; None where the model is not run."""
        pixels = await asyncio.to_thread(image_of, content)
        self._turn_away(fate)
        if not fate.billed:
            return None
        probabilities = await self._model.probabilities(pixels)
        self.bill.images_answered += 1
        return moderation(content.get("model", ""), number, probabilities)

    async def _content(self, request: web.Request) -> dict[str, Any]:
        self._authorise(request)
        if request.content_type != _server.JSON:
            raise Refused(415, f"Unsupported content type {request.content_type}: send {_server.JSON}.")
        try:
            return loads(await request.read())
        except web.HTTPRequestEntityTooLarge as large:
            raise Refused(413, "The request is too large.") from large
        except WireError as fault:
            raise Refused(400, f"We could not parse the JSON body of your request: {fault}") from fault

    def _authorise(self, request: web.Request) -> None:
        sent = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self._key is not None and not hmac.compare_digest(sent.encode(), self._key.encode()):
            raise Refused(401, f"Incorrect API key provided: {sent}.", code="invalid_api_key")

    def _admit(self, limit: SlidingLimit, now: float, amount: int, unit: str) -> None:
        wait = limit.take(now, amount)
        if wait:
            raise TooFast(unit, wait)

    def _turn_away(self, fate: Fate) -> None:
        if fate.kind == "rate_limited":
            raise TooFast("requests", self.faults.retry_after)
        if fate.kind == "quota":
            raise spent()
        if fate.kind == "server_error" and not fate.billed:
            raise broken(fate.status)

    def _refused(self, number: int, refused: Refused) -> web.Response:
        waits = refused.headers if isinstance(refused, TooFast) else {}
        self.bill.turn_away(refused)
        return _json(error(refused), status=refused.status, headers=self._headers(number) | waits)

    async def _sent(
        self, request: web.Request, fate: Fate, number: int, content: dict[str, Any] | None
    ) -> web.StreamResponse:
        """Send an answer as its fate has it; there is none where the connection drops before the model is run."""
        if fate.kind == "server_error":
            return self._refused(number, broken(fate.status))
        self.bill.lose(fate.kind)
        if fate.kind == "junk" and number % 2:
            return web.Response(body=ODD_JUNK, content_type=_server.JSON)
        answer = web.Response() if content is None else _json(content, headers=self._headers(number))
        seconds = self.faults.drip_seconds
        return await _server.delivered(request, answer, fate.kind, seconds=seconds, sleep=self._sleep)

    def _headers(self, number: int) -> dict[str, str]:
        headers = {"x-request-id": f"req_{number}", "openai-version": "2020-10-01"}
        now = self._clock()
        limits = {"requests": self._requests, "tokens": self._tokens}
        rates = {"requests": self.faults.requests_per_minute, "tokens": self.faults.tokens_per_minute}
        for unit, limit in limits.items():
            if limit.most is not None:
                headers[f"x-ratelimit-limit-{unit}"] = f"{rates[unit]:.0f}"
                headers[f"x-ratelimit-remaining-{unit}"] = str(limit.left(now))
                headers[f"x-ratelimit-reset-{unit}"] = duration(limit.reset(now))
        return headers


async def serve(
    oracle: Oracle,
    *,
    port: int,
    host: str = "127.0.0.1",
    faults: Faults = NO_FAULTS,
    largest_body: int = LARGEST_BODY,
    batch_lines: int = LINES_A_POLL,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve `oracle` until cancelled; `ready` gets the base URL once it can be asked.

    Raises:
        UsageError: the oracle gives no probabilities, the host is not this machine's loopback, or the port is taken.
    """
    emulator = OpenAIEmulator(oracle, faults, largest_body=largest_body, batch_lines=batch_lines)
    async with emulator.running(host=host, port=port) as url:
        if ready is not None:
            ready(url)
        await asyncio.Event().wait()


def _json(content: object, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=dumps(content), status=status, headers=headers, content_type=_server.JSON)
