"""Moderation of images: one request about one image, and the scores of its categories."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bbquery.errors import MalformedAnswer, OracleError
from bbquery.images.png import png
from bbquery.oracle import Quote
from bbquery.types import Classes, NoAnswer, Reply, Vector
from bbquery.units import Units
from oracles._http import refusals
from oracles._http.wire.answers import served_as, vector
from oracles._http.wire.fields import WireError, loads
from oracles._openai.reply import failure_in
from oracles._openai.request import DATA_URL
from oracles._shared.texts import shortened

if TYPE_CHECKING:
    from bbquery.oracle import Capabilities, RateSeen
    from bbquery.types import Image
    from oracles._openai.endpoint import OpenAIEndpoint

PATH = "/moderations"


class ModerationOracle:
    """OpenAI's moderation, behind the protocol `Oracle`. picodollars: what a query costs."""

    def __init__(self, endpoint: OpenAIEndpoint, capabilities: Capabilities, model: str, picodollars: int) -> None:
        self.capabilities = capabilities
        self._endpoint, self._classes = endpoint, capabilities.classes or Classes(())
        self._cost = Units(queries=1, picodollars=picodollars)
        image = {"type": "image_url", "image_url": {"url": DATA_URL}}
        before, mark, after = json.dumps({"model": model, "input": [image]}).rpartition(DATA_URL)
        self._around = (before + mark).encode(), after.encode()

    def __repr__(self) -> str:
        return f"<{self.capabilities.name} at {self._endpoint.url}>"

    def encode(self, image: Image) -> bytes:
        """Return the whole request about an image (H, W, 3) uint8.

        Raises:
            UsageError: it is no such image.
        """
        before, after = self._around
        return b"".join((before, base64.b64encode(png(image)), after))

    def quote(self, payload: bytes) -> Quote:  # noqa: ARG002 - every image costs the same
        """Return what one query costs."""
        return Quote(worst=self._cost, expected=self._cost)

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

    async def answer(self, payloads: Sequence[bytes]) -> list[Reply | OracleError]:
        """Make one attempt at one image.

        Raises:
            UsageError: the key is unset; nothing was sent. OracleError: as `oracles._openai.failure` says.
        """
        (payload,) = payloads
        received = await self._endpoint.post(PATH, payload)
        return [Reply(received) if isinstance(received, NoAnswer) else self._read(received)]

    def _read(self, body: bytes) -> Reply | OracleError:
        name = self.capabilities.name
        try:
            content = loads(body)
            if (complaint := failure_in(content)) is not None:
                said = f"the server failed: {shortened(complaint.message)}"
                found = refusals.outcome(complaint, said, oracle=name, status=complaint.status)
                return Reply(found) if isinstance(found, NoAnswer) else found
            return Reply(_scores(content, self._classes), self._cost, served_as(content.get("model")))
        except WireError as fault:
            return MalformedAnswer(f"the answer cannot be read: {fault}", oracle=name, cost=self._cost)

    async def aclose(self) -> None:
        """Close this loop's connections; those of others are closed as they end. A later attempt opens new ones."""
        await self._endpoint.aclose()


def _scores(content: dict[str, Any], classes: Classes) -> Vector:
    """Return the scores of the categories, in the order of the classes.

    Raises:
        WireError: one is missing, or is no number from 0 to 1.
    """
    match content:
        case {"results": [{"category_scores": dict(scores)}]}:
            return vector([scores.get(names[0]) for names in classes.names], "probabilities", classes)
    raise WireError("it holds no result with scores of categories")
