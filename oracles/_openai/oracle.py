"""The oracle itself: a photo in a request, one attempt, and its reply with what it cost; or the same in a batch."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bbquery import money
from bbquery.errors import MalformedAnswer, OracleError, OutcomeUnknown, Rejected, UnknownPrice
from bbquery.images.png import png
from bbquery.types import NoAnswer, Reply
from oracles._http import refusals
from oracles._openai import batch_file
from oracles._openai.reply import ApiReply, Unreadable, failure_in, parsed, understood, usage
from oracles._openai.request import PATHS, ImageRequest
from oracles._shared.texts import shortened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from bbquery.batch_oracle import BatchLimits, BatchState
    from bbquery.oracle import Capabilities, Quote, RateSeen
    from bbquery.types import Image
    from bbquery.units import Units
    from oracles._http.refusals import Complaint
    from oracles._openai.batches import Batches
    from oracles._openai.cost import Cost
    from oracles._openai.endpoint import OpenAIEndpoint
    from oracles._shared.token_cost import TokenCounts

BATCH = "batch"  # the service tier that a batch is, in tables of prices


@dataclass(frozen=True)
class Payload:
    """A whole request as it travels, and the sides of its image, which decide its cost."""

    body: bytes
    height: int
    width: int


class OpenAIOracle:
    """A vision model behind OpenAI's API, behind the protocol `Oracle`."""

    def __init__(self, endpoint: OpenAIEndpoint, request: ImageRequest, cost: Cost, capabilities: Capabilities) -> None:
        self.capabilities = capabilities
        self._endpoint, self._request, self._cost = endpoint, request, cost
        self._unpriced: str | None = None  # the service tier without a price at which an answer was served

    def __repr__(self) -> str:
        return f"<{self.capabilities.name} at {self._endpoint.url}>"

    def encode(self, image: Image) -> Payload:
        """Return the whole request about an image (H, W, 3) uint8; attempts and repeats send the same bytes.

        Raises:
            UsageError: it is no such image.
        """
        return Payload(self._request.body(png(image)), *image.shape[:2])

    def quote(self, payload: Payload) -> Quote:
        """Return what one query with this image may cost; the worst is never below the bill."""
        return self._cost.quote(payload.height, payload.width, self._request.price_tier)

    @property
    def rate_seen(self) -> RateSeen | None:
        """What the last response's headers said of the account's limits."""
        return self._endpoint.rate_seen

    def check_key(self) -> None:
        """See that the key is set, where one is sent; nothing is sent.

        Raises:
            KeyMissing: it is unset. UsageError: it holds what an HTTP header cannot carry.
        """
        self._endpoint.check_key()

    async def answer(self, payloads: Sequence[Payload]) -> list[Reply | OracleError]:
        """Make one attempt at one image.

        Raises:
            UsageError: the key is unset; nothing was sent. OracleError: as `oracles._openai.failure` says; Rejected
                also where an answer came at a service tier without a price, since no cap is safe then.
        """
        if self._unpriced is not None:
            raise Rejected(
                f"nothing more is sent, for an answer was served at the service tier {self._unpriced!r}, whose price "
                f"is not known (it is kept, and its hold is posted): state the price in {money.user_file()}, or as the "
                "options input_usd and output_usd",
                oracle=self.capabilities.name,
            )
        (payload,) = payloads
        path = PATHS[self._request.api]
        received = await self._endpoint.post(path, payload.body)
        # A vendor may charge for an image that its filter refused, and does not say: the whole hold counts.
        return [Reply(received) if isinstance(received, NoAnswer) else self._read(received)]

    @property
    def batch_limits(self) -> BatchLimits:
        """The most that one file may hold."""
        return batch_file.LIMITS

    def batch_quote(self, payload: Payload) -> Quote:
        """Return what one query with this image may cost in a batch; the worst is never below the bill.

        Raises:
            UnknownPrice: nobody stated the model's price in a batch; says how to.
        """
        return self._cost.quote(payload.height, payload.width, BATCH)

    def batch_line(self, payload: Payload, line: str) -> bytes:
        """Return the line of the file that asks about this image, named `line`, with its end."""
        return batch_file.line(line, PATHS[self._request.api], self._request.in_batch(payload.body))

    @functools.cached_property
    def _batches(self) -> Batches:
        from oracles._openai.batches import Batches  # noqa: PLC0415 - as `_endpoint`

        return Batches(self._endpoint, PATHS[self._request.api])

    async def submit(self, lines: Path, batch: str) -> str:
        """Submit the file as the batch of our name `batch`, in one attempt; return the vendor's name for it.

        Raises:
            UsageError: the key is unset. OSError: the file cannot be read. OracleError: with outcome "voided" nothing
                was submitted; otherwise it may have been: ask `submitted`, whose list may lag behind by moments.
        """
        return await self._batches.submit(lines, batch)

    async def submitted(self, batch: str) -> str | None:
        """Return the vendor's name for the newest batch of our name; None where it lists none.

        Raises:
            UsageError: the key is unset. OracleError: the vendor could not be asked.
        """
        return await self._batches.find(batch)

    async def batch_state(self, vendor: str) -> BatchState:
        """Return how a batch stands, by the vendor's name.

        Raises:
            UsageError: the key is unset. OracleError: the vendor could not be asked, or does not know it.
        """
        return await self._batches.state(vendor)

    async def batch_results(self, vendor: str) -> AsyncIterator[tuple[str, Reply | OracleError]]:
        """Give the results of a batch that ended; the name is "" where a line cannot be read that far.

        Raises:
            UnknownPrice: nobody states the model's price in a batch any more. UsageError: the key is unset.
            OracleError: it has not ended, or the results could not be fetched whole; they can be fetched again.
        """
        self._cost.prices.at(BATCH)
        async for named in self._batches.results(vendor, self._read_in_batch):
            yield named

    async def cancel_batch(self, vendor: str) -> None:
        """Ask the vendor to work on a batch no more; one that has ended is left as it is.

        Raises:
            UsageError: the key is unset. OracleError: the vendor could not be asked, or does not know it.
        """
        await self._batches.cancel(vendor)

    def _read_in_batch(self, content: dict[str, Any]) -> Reply | OracleError:
        return self._made_of(lambda: content, BATCH)

    def _read(self, body: bytes) -> Reply | OracleError:
        return self._made_of(lambda: parsed(body), None)

    def _made_of(self, read: Callable[[], dict[str, Any]], tier: str | None) -> Reply | OracleError:
        """Return what an answer comes to, at the price of a service tier; None for that which it names itself."""
        name = self.capabilities.name
        try:
            content = read()
            if (complaint := failure_in(content)) is not None:
                return self._failed(complaint, usage(content.get("usage")))
            said = understood(self._request.api, content)
            served = self._served(said) if tier is None else said.served
            return Reply(said.answer, self._billed(said.usage, tier or said.tier), served)
        except Unreadable as fault:
            return MalformedAnswer(f"the answer cannot be read: {fault}", oracle=name, cost=self._paid(fault, tier))

    def _billed(self, used: TokenCounts | None, tier: str | None) -> Units | None:
        """Return what was used; None, the whole hold, at a tier without a price, after which no more is sent."""
        try:
            return self._cost.bill(used, tier)
        except UnknownPrice:
            self._unpriced = tier
            return None

    def _failed(self, complaint: Complaint, used: TokenCounts | None) -> Reply | OracleError:
        """Return what a success comes to that tells of a failure: what used tokens may be billed, whatever it says."""
        said = f"the server failed: {shortened(complaint.message)}"
        found = refusals.outcome(complaint, said, oracle=self.capabilities.name, status=complaint.status)
        if isinstance(found, NoAnswer):
            return Reply(found)
        if used is not None and used.output and found.outcome == "voided":
            return OutcomeUnknown(said, oracle=self.capabilities.name)
        return found

    def _paid(self, fault: Unreadable, tier: str | None) -> Units | None:
        return self._cost.bill(fault.usage, tier)

    def _served(self, said: ApiReply) -> str | None:
        """Return the snapshot and fingerprint that answered, and the service tier if it is not the pinned one."""
        other = said.tier not in (None, "auto", self._request.price_tier)
        return f"{said.served or 'unnamed'}, tier {said.tier}" if other else said.served

    async def aclose(self) -> None:
        """Close this loop's connections; those of others are closed as they end. A later attempt opens new ones."""
        await self._endpoint.aclose()
