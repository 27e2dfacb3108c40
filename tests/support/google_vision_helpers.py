"""Real gRPC servers that say what a test wants, and clients of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from google.cloud import vision_v1
from google.cloud.vision_v1.services.image_annotator.transports import ImageAnnotatorGrpcAsyncIOTransport
from google.rpc import status_pb2  # type: ignore[import-untyped, unused-ignore]  # ships no types

import oracles.google_vision
from bbquery.errors import OracleError
from oracles._google_vision.vendor import grpc
from tests.support.images import tiny_images

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bbquery.oracle import Oracle

Handler: TypeAlias = Callable[[Any, Any], Awaitable[Any]]

SERVICE = "google.cloud.vision.v1.ImageAnnotator"
Response = vision_v1.BatchAnnotateImagesResponse
ImageResponse = vision_v1.AnnotateImageResponse


async def ask(oracle: Oracle, images: int = 1) -> Any:
    """Return the answers of one attempt, or the error that it raised."""
    try:
        return await oracle.answer([oracle.encode(image) for image in tiny_images(images)])
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
