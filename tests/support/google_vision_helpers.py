"""A small model, real gRPC servers that say what a test wants, and the photos that are sent to them."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from google.cloud import vision_v1
from google.cloud.vision_v1.services.image_annotator.transports import ImageAnnotatorGrpcAsyncIOTransport
from google.rpc import status_pb2  # type: ignore[import-untyped, unused-ignore]  # ships no types
from PIL import Image as Pillow

import oracles.google_vision
from bbquery.errors import OracleError
from bbquery.oracle import ONE_QUERY, Capabilities, Limits, Price, Quote
from bbquery.types import Classes, Reply, Vector
from oracles._google_vision.vendor import grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from numpy.typing import NDArray

    from bbquery.oracle import Oracle
    from bbquery.types import Answer, AnswerKind

Handler: TypeAlias = Callable[[Any, Any], Awaitable[Any]]

COLOURS = Classes((("red", "scarlet"), ("green",), ("blue",)), ("r", "g", "b"))
SERVICE = "google.cloud.vision.v1.ImageAnnotator"
Response = vision_v1.BatchAnnotateImagesResponse
ImageResponse = vision_v1.AnnotateImageResponse


def share_of_colours(image: NDArray[Any]) -> Vector:
    """Answer with the softmax of the mean colour, (3,)."""
    mean = image.reshape(-1, 3).astype(np.float64).mean(axis=0) / 255
    return Vector(np.exp(mean) / np.exp(mean).sum())


class Fake:
    """A model in this process. It keeps the images it was given; what `reply` raises, it raises."""

    def __init__(
        self,
        reply: Callable[[NDArray[Any]], Answer | OracleError] = share_of_colours,
        answers: AnswerKind = "probabilities",
        classes: Classes | None = COLOURS,
        largest_batch: int = 4,
    ) -> None:
        self.reply = reply
        self.seen: list[NDArray[Any]] = []
        self.batches: list[int] = []
        self.rate_seen = None
        self.capabilities = Capabilities(
            name="colours",
            answers=answers,
            identity={"oracle": "fake"},
            classes=classes,
            limits=Limits(largest_batch=largest_batch, concurrency=2),
            price=Price(free=True),
        )

    def encode(self, image: NDArray[Any]) -> NDArray[Any]:
        return image

    def quote(self, payload: object) -> Quote:
        return Quote(worst=ONE_QUERY, expected=ONE_QUERY)

    async def answer(self, payloads: Sequence[NDArray[Any]]) -> list[Reply | OracleError]:
        self.seen.extend(payloads)
        self.batches.append(len(payloads))
        found = [self.reply(image) for image in payloads]
        return [one if isinstance(one, OracleError) else Reply(one) for one in found]

    async def aclose(self) -> None:
        """Nothing to release."""


def photos(count: int, seed: int = 0) -> list[NDArray[np.uint8]]:
    """Return random 8 by 8 images."""
    return list(np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8))


def png(image: NDArray[Any]) -> bytes:
    """Return an image as the protocol wants it, made independently of the client."""
    file = io.BytesIO()
    Pillow.fromarray(image).save(file, "PNG")
    return file.getvalue()


async def ask(oracle: Oracle, images: int = 1) -> Any:
    """Return the answers of one attempt, or the error that it raised."""
    try:
        return await oracle.answer([oracle.encode(image) for image in photos(images)])
    except OracleError as error:
        return error


async def ask_at(url: str, images: int = 1, **options: Any) -> Any:
    """Make one attempt at the server at `url` with an oracle of its own; what `ask` returns."""
    oracle = oracles.google_vision.connect(endpoint=url, **options)
    try:
        return await ask(oracle, images)
    finally:
        await oracle.aclose()


@asynccontextmanager
async def serving(handler: Handler, *, port: int = 0, tls: Any = None, **options: Any) -> AsyncIterator[str]:
    """Serve a handler of (request, context), which returns a response, or bytes to be sent as they are.

    tls: gRPC's credentials of a server; it speaks without encryption where there are none.
    """
    server = grpc.aio.server(options=[*options.items()])

    async def called(request: Any, context: Any) -> Any:
        response = await handler(request, context)
        return response if isinstance(response, bytes) else Response.serialize(response)

    method = grpc.unary_unary_rpc_method_handler(
        called, request_deserializer=vision_v1.BatchAnnotateImagesRequest.deserialize
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"BatchAnnotateImages": method}),))
    address = f"127.0.0.1:{port}"
    bound = server.add_insecure_port(address) if tls is None else server.add_secure_port(address, tls)
    await server.start()
    try:
        yield f"127.0.0.1:{bound}"
    finally:
        await server.stop(0)


def saying(*responses: Any) -> Handler:
    """Return a handler that answers with these responses for the images, whatever it is asked."""

    async def handler(request: Any, context: Any) -> Any:
        return Response(responses=responses)

    return handler


def failing(code: str, message: str = "why", details: Sequence[Any] = ()) -> Handler:
    """Return a handler that ends each call with a status, and Google's details of it."""

    async def handler(request: Any, context: Any) -> Any:
        await context.abort(grpc.StatusCode[code], message, trailing_metadata=packed(code, message, details))

    return handler


def packed(code: str, message: str, details: Sequence[Any]) -> tuple[tuple[str, bytes], ...]:
    """Return the metadata in which a status travels with its details."""
    return (("grpc-status-details-bin", status(code, message, details).SerializeToString()),) if details else ()


def status(code: str, message: str = "why", details: Sequence[Any] = ()) -> Any:
    """Return a google.rpc.Status."""
    made = status_pb2.Status(code=grpc.StatusCode[code].value[0], message=message)
    for detail in details:
        made.details.add().Pack(detail)
    return made


def labelled(**scores: float) -> ImageResponse:
    """Return the response for an image with these labels."""
    annotations = [vision_v1.EntityAnnotation(description=name, score=score) for name, score in scores.items()]
    return ImageResponse(label_annotations=annotations)


def vendor_client(url: str) -> vision_v1.ImageAnnotatorAsyncClient:
    """Return Google's own client on a channel to `url`, as its documentation says."""
    channel = grpc.aio.insecure_channel(
        url.removeprefix("http://"),
        options=[("grpc.max_receive_message_length", -1), ("grpc.enable_http_proxy", 0)],
    )
    return vision_v1.ImageAnnotatorAsyncClient(transport=ImageAnnotatorGrpcAsyncIOTransport(channel=channel))


def request_for(*contents: bytes, feature: str = "LABEL_DETECTION", max_results: int = 0) -> Any:
    """Return a request for images, as any client of the vendor's library would make it."""
    features = [vision_v1.Feature(type_=getattr(vision_v1.Feature.Type, feature), max_results=max_results)]
    requests = [
        vision_v1.AnnotateImageRequest(image=vision_v1.Image(content=content), features=features)
        for content in contents
    ]
    return vision_v1.BatchAnnotateImagesRequest(requests=requests)
