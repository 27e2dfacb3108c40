"""A model behind HTTP, in whatever form its server is asked and answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from bbquery.errors import MalformedAnswer, OutcomeUnknown, Rejected
from bbquery.oracle import Quote
from bbquery.types import NoAnswer, Reply
from oracles._http import refusals
from oracles._http.transport import Connections
from oracles._http.wire.fields import WireError, parsed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bbquery.errors import OracleError
    from bbquery.oracle import Capabilities, RateSeen
    from bbquery.types import Answer, Image
    from bbquery.units import Units
    from oracles._http.transport import HttpEndpoint

MARK = b'"error'  # without it there is no failure to look for, which spares most answers a second reading


class Form(Protocol):
    """How a server is asked and how it answers; what it sends wrong is a `WireError`."""

    method: str
    path: str

    def encode(self, image: Image) -> Any:
        """Return an image as it travels; all work on pixels is done here."""

    def join(self, payloads: Sequence[Any]) -> tuple[bytes, Mapping[str, str]]:
        """Return a request's body and the headers that belong to it."""

    def split(self, body: bytes, payloads: Sequence[Any]) -> list[Any]:
        """Return one item for each image of the request, not yet read."""

    def failure(self, item: Any) -> str | None:
        """Return why an image failed alone, None where it did not."""

    def answer(self, item: Any) -> Answer:
        """Return the answer in an item."""

    def served(self, item: Any) -> str | None:
        """Return which model answered, None where it is not said."""


class Costs(Protocol):
    """What a query costs, before and after."""

    def quote(self, payload: Any) -> Quote:
        """Return what one query with this payload may cost."""

    def bill(self, item: Any) -> Units | None:
        """Return what the answer in an item cost; None where it does not say, which counts as the whole hold."""


class CostOfQuery:
    """A price a query, whatever is asked and answered."""

    def __init__(self, cost: Units) -> None:
        self._cost = cost
        self._quote = Quote(worst=cost, expected=cost)

    def quote(self, payload: Any) -> Quote:  # noqa: ARG002 - every image costs the same
        """Return what one query costs."""
        return self._quote

    def bill(self, item: Any) -> Units:  # noqa: ARG002 - likewise every answer
        """Return what one query costs."""
        return self._cost


class RemoteOracle:
    """A model behind HTTP. call: what connects it again, for its repr."""

    def __init__(self, endpoint: HttpEndpoint, form: Form, capabilities: Capabilities, costs: Costs, call: str) -> None:
        self.capabilities = capabilities
        self._endpoint, self._form, self._costs, self._call = endpoint, form, costs, call
        self._connections = Connections(endpoint, capabilities.limits.concurrency)

    def __repr__(self) -> str:
        return self._call

    def encode(self, image: Image) -> Any:
        """Return a uint8 (H, W, 3) image as it will stand in the request.

        Raises:
            UsageError: it is no such image.
        """
        return self._form.encode(image)

    def quote(self, payload: Any) -> Quote:
        """Return what one query with this payload may cost; the worst is never below the bill."""
        return self._costs.quote(payload)

    @property
    def rate_seen(self) -> RateSeen | None:
        """What the server's last response said of its limits."""
        return self._endpoint.rate_seen

    def check_key(self) -> None:
        """See that every secret of its headers is set; nothing is sent.

        Raises:
            KeyMissing: one is unset. UsageError: one holds what no header can carry.
        """
        self._endpoint.headers.sent()

    async def answer(self, payloads: Sequence[Any]) -> list[Reply | OracleError]:
        """Make one attempt at these images; an item that failed alone, or cannot be read, is an error in the list.

        Raises:
            UsageError: a key is unset; nothing was sent. OracleError: the whole attempt failed, or (MalformedAnswer)
                does not hold one answer for each image.
        """
        form = self._form
        body = await self._connections.attempt(form.method, form.path, *form.join(payloads))
        if isinstance(body, NoAnswer):
            return self._refused(body, len(payloads))
        failed = self._failure_in(body)
        try:
            items = form.split(body, payloads)
        except WireError as fault:
            if failed is not None:
                return self._failed(failed, len(payloads))
            raise self._endpoint.error(MalformedAnswer, f"{form.method} {form.path}: {fault}") from None
        replies = [self._read(row, item) for row, item in enumerate(items)]
        if failed is None or any(isinstance(r, Reply) and isinstance(r.answer, NoAnswer) for r in replies):
            return replies  # where a template says what stands under "error" for a refusal, it is one
        return self._failed(failed, len(payloads))

    def _failure_in(self, body: bytes) -> OracleError | NoAnswer | None:
        """Return what a success tells of a failure of the whole request; None for nothing, as in nearly all."""
        if MARK not in body:
            return None
        try:
            complaint = refusals.within(parsed(body))
        except WireError:
            return None
        return None if complaint is None else self._endpoint.failure_in(self._form.path, complaint)

    def _failed(self, failed: OracleError | NoAnswer, asked: int) -> list[Reply | OracleError]:
        return self._refused(failed, asked) if isinstance(failed, NoAnswer) else [failed] * asked

    def _refused(self, refusal: NoAnswer, asked: int) -> list[Reply | OracleError]:
        """Return a refusal of the whole request: of its image where it has one, else nobody knows of which."""
        if asked == 1:
            return [Reply(refusal)]  # a server may charge for it and not say: the whole hold counts
        error = self._endpoint.error(Rejected, f"{refusal.reason}; of {asked} images: say largest_batch=1")
        return [error] * asked

    def _read(self, row: int, item: Any) -> Reply | OracleError:
        reason = self._form.failure(item)
        if reason is not None:
            return self._endpoint.error(OutcomeUnknown, f"image {row} of the request failed: {reason}")
        try:
            answer = self._form.answer(item)
        except WireError as fault:
            said = f"answer {row} of the request: {fault}"
            return self._endpoint.error(MalformedAnswer, said, cost=self._costs.bill(item))
        return Reply(answer, cost=self._costs.bill(item), served=self._form.served(item))

    async def aclose(self) -> None:
        """Close this loop's connections; those of others are closed as they end. A later attempt opens new ones."""
        await self._connections.aclose()
