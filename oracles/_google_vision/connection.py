"""A channel to the service, and the vendor's client on it: one attempt, and certainty that nothing was sent before it.

gRPC tells a connection that was never made and one that broke by their messages alone, and a server may relay just such
a message from a machine behind it. So the channel is connected first, and only then is a request handed over:

1. What fails in `connected` has sent no request. `NoConnection` says why.
2. What fails in `annotate` may have been sent, whatever it says of itself.
3. An attempt is one attempt: the client's retries are off, and so are gRPC's own.
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any

from oracles._google_vision.vendor import (
    ClientOptions,
    ImageAnnotatorGrpcAsyncIOTransport,
    ServiceUnavailable,
    grpc,
    vision_v1,
)
from oracles._http.bodies import LARGEST

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

    from oracles._google_vision.endpoint import ServiceHost

OPTIONS = (
    ("grpc.max_send_message_length", -1),  # unlimited; 4 MB by default, which a batch exceeds
    ("grpc.max_receive_message_length", LARGEST),
    ("grpc.enable_retries", 0),
    # By default 1,000 to 120,000: longer than a client waits between its attempts, which would fail untried.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
)
WITHOUT_PROXY = ("grpc.enable_http_proxy", 0)
MOMENT = 0.1  # seconds
HARMLESS = "/grpc.health.v1.Health/Check"


class NoConnection(Exception):
    """No connection was made, so no request was sent."""


class Connection:
    """A channel and its client; made in the event loop that it belongs to."""

    def __init__(self, endpoint: ServiceHost, credentials: Credentials | None) -> None:
        self._client = _local(endpoint.host) if credentials is None else _at_google(endpoint.host, credentials)
        transport: Any = self._client.transport
        self._channel = transport.grpc_channel

    async def connected(self, seconds: float) -> None:
        """Wait until requests can be sent.

        Raises:
            NoConnection: they cannot, or not within so many seconds.
        """
        channel, states = self._channel, grpc.ChannelConnectivity
        try:
            async with asyncio.timeout(seconds):
                while (state := channel.get_state(try_to_connect=True)) is not states.READY:
                    if state is states.TRANSIENT_FAILURE:
                        raise NoConnection(await self._why())
                    await channel.wait_for_state_change(state)
        except TimeoutError:
            raise NoConnection(f"no connection within {seconds:g} s") from None

    async def annotate(self, request: vision_v1.BatchAnnotateImagesRequest, seconds: float) -> Any:
        """Send one request and return the response as a plain protobuf message, None where it could not be read.

        Raises:
            GoogleAPICallError: it failed.
        """
        try:
            response = await self._client.batch_annotate_images(request, retry=None, timeout=seconds)
        except ServiceUnavailable:
            await self._noticed()
            raise
        return None if response is None else vision_v1.BatchAnnotateImagesResponse.pb(response)

    async def aclose(self) -> None:
        """Close the channel."""
        await self._channel.close()

    async def _noticed(self) -> None:
        """Wait until the channel has noticed that its connection broke, if it did.

        It takes a moment, in which the next request would be handed to the dead connection, and be lost for nothing.
        """
        with contextlib.suppress(TimeoutError, grpc.aio.UsageError):  # the latter: it was closed meanwhile
            async with asyncio.timeout(MOMENT):
                await self._channel.wait_for_state_change(grpc.ChannelConnectivity.READY)

    async def _why(self) -> str:
        """Ask for what costs nothing, to hear why the channel cannot be connected."""
        try:
            await self._channel.unary_unary(HARMLESS)(b"")
        except grpc.aio.AioRpcError as error:
            return str(error.details())
        return "the connection failed"


def _local(host: str) -> vision_v1.ImageAnnotatorAsyncClient:
    channel = grpc.aio.insecure_channel(host, options=[*OPTIONS, WITHOUT_PROXY])
    return vision_v1.ImageAnnotatorAsyncClient(transport=ImageAnnotatorGrpcAsyncIOTransport(channel=channel))


def _at_google(host: str, credentials: Credentials) -> vision_v1.ImageAnnotatorAsyncClient:
    return vision_v1.ImageAnnotatorAsyncClient(
        credentials=credentials,
        transport=partial(ImageAnnotatorGrpcAsyncIOTransport, channel=_secure_channel),
        client_options=ClientOptions(api_endpoint=host),
    )


def _secure_channel(host: str, **arguments: Any) -> Any:
    return ImageAnnotatorGrpcAsyncIOTransport.create_channel(host, **arguments | {"options": list(OPTIONS)})
