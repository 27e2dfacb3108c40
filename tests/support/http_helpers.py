"""A small model, and servers that misbehave, for the tests of the http oracle and its emulator."""

from __future__ import annotations

import base64
import io
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from aiohttp import web
from PIL import Image as Pillow

from bbquery.errors import OracleError
from bbquery.oracle import Capabilities, Limits, Quote, View
from bbquery.types import UINT8, Classes, Labels, Reply, Vector
from bbquery.units import Units

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from numpy.typing import NDArray

    from bbquery.types import Answer, AnswerKind, Domain

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

COLOURS = Classes((("red", "scarlet"), ("green",), ("blue",)), ("r", "g", "b"))
MODEL: dict[str, Any] = {
    "name": "colours",
    "identity": {"version": 1},
    "answers": "probabilities",
    "classes": {"names": ["red", "green", "blue"]},
}


def share_of_colours(image: NDArray[Any]) -> Vector:
    """Answer with the softmax of the mean colour, (3,): irrational numbers that need every digit."""
    mean = image.reshape(-1, 3).astype(np.float64).mean(axis=0) / 255
    return Vector(np.exp(mean) / np.exp(mean).sum())


class Fake:
    """A model in this process. It keeps the images it was given; what `reply` raises, it raises."""

    def __init__(
        self,
        reply: Callable[[NDArray[Any]], Answer | OracleError] = share_of_colours,
        answers: AnswerKind = "probabilities",
        domain: Domain = UINT8,
        size: tuple[int, int] | None = (8, 8),
    ) -> None:
        self.reply = reply
        self.seen: list[NDArray[Any]] = []
        self.capabilities = Capabilities(
            name="colours",
            answers=answers,
            identity={"weights": "softmax", "version": 3, "temperature": 1.5, "prompt": None},
            classes=COLOURS if answers in ("probabilities", "scores") else None,
            domain=domain,
            view=View(size=size, crop=0.875),
            limits=Limits(largest_batch=4, concurrency=2),
        )

    def encode(self, image: NDArray[Any]) -> NDArray[Any]:
        return image

    def quote(self, payload: NDArray[Any]) -> Quote:
        return Quote()

    @property
    def rate_seen(self) -> None:
        """Nothing."""

    async def answer(self, payloads: Sequence[NDArray[Any]]) -> list[Reply | OracleError]:
        self.seen.extend(payloads)
        replies = [self.reply(image) for image in payloads]
        return [reply if isinstance(reply, OracleError) else Reply(reply, Units(queries=1)) for reply in replies]

    async def aclose(self) -> None:
        """Nothing to release."""


def photos(count: int, seed: int = 0) -> list[NDArray[np.uint8]]:
    """Return random 8 by 8 images."""
    rng = np.random.default_rng(seed)
    return list(rng.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8))


def best(image: NDArray[Any]) -> str:
    """Return the name of the strongest colour."""
    return COLOURS.show(int(image.reshape(-1, 3).mean(axis=0).argmax()))


def base64_png(image: NDArray[Any]) -> str:
    """Return an image as the protocol wants it, made independently of the client."""
    png = io.BytesIO()
    Pillow.fromarray(image).save(png, "PNG")
    return base64.b64encode(png.getvalue()).decode()


def names(answers: Sequence[Answer | OracleError]) -> list[str]:
    """Return the first label of each answer."""
    return [answer.labels[0].name for answer in answers if isinstance(answer, Labels)]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """Serve every path with `handler`; it is cancelled when its client goes."""
    application = web.Application(client_max_size=2**26)
    application.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(application, access_log=None, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def answering(handler: Handler, **model: Any) -> AsyncIterator[str]:
    """Serve a model that describes itself well (`MODEL` and `model`) and answers with `handler`."""

    async def route(request: web.Request) -> web.StreamResponse:
        if request.path == "/v1/model":
            return web.json_response(MODEL | model)
        return await handler(request)

    async with serving(route) as url:
        yield url


def always(response: Callable[[], web.Response]) -> Handler:
    """Return a handler that reads the request and gives a fresh `response()`."""

    async def handler(request: web.Request) -> web.Response:
        await request.read()
        return response()

    return handler


def saying(content: Any) -> Handler:
    """Return a handler that answers 200 with `content` as JSON."""
    return always(lambda: web.json_response(content))
