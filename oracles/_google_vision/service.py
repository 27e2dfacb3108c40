"""The oracle itself: photos in, one call for up to 16 of them, answers or honest errors out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bbquery.errors import MalformedAnswer, OracleError, Unreachable, UsageError
from bbquery.images.png import png, size_of
from bbquery.oracle import Capabilities, Quote
from bbquery.types import Labels, Reply, Text
from oracles._google_vision import answers, failures
from oracles._google_vision.account import Account
from oracles._google_vision.connection import Connection, NoConnection
from oracles._google_vision.endpoint import LARGEST_BATCH
from oracles._google_vision.vendor import DecodeError, GoogleAPICallError, vision_v1
from oracles._http.tls import advice
from oracles._shared.loops import OnePerLoop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.types import Answer, Image
    from bbquery.units import Units
    from oracles._google_vision.endpoint import ServiceHost
    from oracles._google_vision.features import TextForm

LARGEST_IMAGE = 20_000_000  # bytes
LONGEST_CONNECT = 20.0  # seconds, as gRPC
ROOTS = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"  # names whom gRPC trusts, instead of those that it brings along


@dataclass(frozen=True, kw_only=True)
class FeatureRequest:
    """The feature that is asked of every image.

    feature: the vendor's name of it. max_results: things at most. texts: how a text is answered.
    """

    feature: str
    max_results: int
    model: str
    texts: TextForm = "whole"


class GoogleVision:
    """Google Cloud Vision behind the protocol `Oracle`; made by `oracles.google_vision.connect`."""

    def __init__(self, endpoint: ServiceHost, wanted: FeatureRequest, capabilities: Capabilities, cost: Units) -> None:
        self.capabilities = capabilities
        self._endpoint, self._wanted, self._cost = endpoint, wanted, cost
        self._account = Account()
        self._connections: OnePerLoop[Connection] = OnePerLoop(Connection.aclose)
        self._feature = vision_v1.Feature.pb(
            vision_v1.Feature(
                type_=getattr(vision_v1.Feature.Type, wanted.feature),
                max_results=wanted.max_results,
                model=wanted.model,
            )
        )

    def __repr__(self) -> str:
        wanted = self._wanted
        texts = "" if wanted.texts == "whole" else f"texts={wanted.texts!r}, "
        return (
            f"oracles.google_vision.connect(feature={wanted.feature!r}, {texts}max_results={wanted.max_results}, "
            f"model={wanted.model!r}, endpoint={self._endpoint.host!r})"
        )

    @property
    def rate_seen(self) -> None:
        """Always None: the service says nothing of its limits until they are met."""
        return

    def encode(self, image: Image) -> bytes:
        """Return the request for a uint8 (H, W, 3) image, a PNG and what is asked of it, in the vendor's wire format.

        Requests joined byte by byte are one request for all their images: so protocol buffers merge repeated fields.

        Raises:
            UsageError: it is no such image, or its PNG is larger than the service takes.
        """
        encoded = png(image)
        if len(encoded) > LARGEST_IMAGE:
            raise UsageError(
                f"an image of {image.shape[1]} × {image.shape[0]} pixels is a PNG of {len(encoded):,} bytes, and "
                f"Google takes {LARGEST_IMAGE:,}: give the oracle height and width"
            )
        request = vision_v1.BatchAnnotateImagesRequest.pb()()
        one = request.requests.add()
        one.image.content = encoded
        one.features.append(self._feature)
        packed: bytes = request.SerializeToString()
        return packed

    def quote(self, payload: bytes) -> Quote:  # noqa: ARG002 - every image costs the same
        """Return the feature's price. The free units of a month are never counted on: others may have used them."""
        return Quote(worst=self._cost, expected=self._cost)

    def check_key(self) -> None:
        """See that there are credentials, where some are sent; Google is not asked whether it accepts them.

        Raises:
            KeyMissing: the variable is unset. UsageError: the file that it names cannot be read.
        """
        if not self._endpoint.local:
            self._account.check()

    async def answer(self, payloads: Sequence[bytes]) -> list[Reply | OracleError]:
        """Make one attempt at up to 16 images; an image that failed alone is an error in the list.

        Raises:
            UsageError: more images, or no credentials; nothing was sent.
            OracleError: the whole attempt failed, or (MalformedAnswer) its response cannot be read.
        """
        if len(payloads) > LARGEST_BATCH:
            raise UsageError(f"{len(payloads)} images in a request: Google takes at most {LARGEST_BATCH}")
        loop, timeout = asyncio.get_running_loop(), self.capabilities.limits.timeout
        deadline = loop.time() + timeout
        connection = await self._connected(min(LONGEST_CONNECT, timeout / 2))
        request = vision_v1.BatchAnnotateImagesRequest.deserialize(b"".join(payloads))
        try:
            response = await connection.annotate(request, max(0.0, deadline - loop.time()))
        except (GoogleAPICallError, DecodeError, ValueError) as error:  # the latter two: its details cannot be read
            # `from None`: the vendor's error repeats the message, in which secrets are not yet hidden
            raise failures.failure(failures.of_call(error), "the request", self._account.hide) from None
        return self._read(response, [one.image.content for one in request.requests])

    async def aclose(self) -> None:
        """Close this loop's channel; those of others are closed as they end. A later attempt opens a new one."""
        await self._connections.aclose()

    async def _connected(self, seconds: float) -> Connection:
        """Return a connection over which requests can be sent now."""
        connection = await self._opened()
        try:
            await connection.connected(seconds)
        except NoConnection as error:
            why = self._account.hide(str(error))
            said = f"cannot connect to {self._endpoint.host}: {why}{advice(why, ROOTS)}"
            raise Unreachable(said, oracle=failures.NAME) from None
        return connection

    async def _opened(self) -> Connection:
        credentials = None if self._endpoint.local else await self._account.credentials()
        return await self._connections.here(lambda: Connection(self._endpoint, credentials))

    def _read(self, response: Any, images: Sequence[bytes]) -> list[Reply | OracleError]:
        """Return an outcome for each of the images, which are PNGs."""
        if response is None:
            raise MalformedAnswer("a response that cannot be read", oracle=failures.NAME, cost=self._cost)
        if len(response.responses) != len(images):
            message = f"{len(response.responses)} answers to {len(images)} images"
            raise MalformedAnswer(message, oracle=failures.NAME, cost=self._cost)
        sent = [answers.Sent(*size_of(image)) for image in images]
        return [self._read_one(row, one, sent[row]) for row, one in enumerate(response.responses)]

    def _read_one(self, row: int, response: Any, sent: answers.Sent) -> Reply | OracleError:
        """Return the answer, if there is one: what is filled in is right even when an error is set, says the vendor."""
        try:
            found = answers.answer(response, self._wanted.feature, sent, self._wanted.texts)
        except answers.Impossible as fault:
            said = f"image {row} of the request cannot be read: {fault}"
            return MalformedAnswer(said, oracle=failures.NAME, cost=self._cost)
        if answers.is_nothing(found) and response.error.code:
            failed = failures.of_image(response.error)
            return failures.failure(failed, f"image {row} of the request", self._account.hide)
        return Reply(self._without_secrets(found), cost=self._cost)

    def _without_secrets(self, found: Answer) -> Answer:
        match found:
            case Labels(labels):
                return Labels(tuple(replace(label, name=self._account.hide(label.name)) for label in labels))
            case Text(text):
                return Text(self._account.hide(text))
        return found
