"""What a model says of itself, and servers that misbehave, for the tests of the http oracle and its emulator."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from aiohttp import web

from bbquery.types import Labels
from tests.support.images import png

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from numpy.typing import NDArray

    from bbquery.errors import OracleError
    from bbquery.types import Answer

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

MODEL: dict[str, Any] = {
    "name": "colours",
    "identity": {"version": 1},
    "answers": "probabilities",
    "classes": {"names": ["red", "green", "blue"]},
}


def base64_png(image: NDArray[Any]) -> str:
    """Return an image as the protocol wants it."""
    return base64.b64encode(png(image)).decode()


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
