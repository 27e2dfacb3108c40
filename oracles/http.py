r"""A model behind HTTP, on any machine and in any language, that speaks the small protocol below.

The server describes its model, and answers a list of images with a list of answers, in order:

GET {url}/v1/model
    {"name": "redness", "identity": {"version": 1}, "answers": "probabilities",
     "classes": {"names": ["red", "other"], "keys": ["r", "o"]},
     "size": [224, 224], "crop": 0.875, "largest_batch": 16, "concurrency": 4}

    name is for people. identity holds strings, numbers and nulls that must change whenever answers may (version,
    weights, prompt): answers are stored under it. answers is "probabilities", "scores", "labels" or "text". The rest
    may be left out or null: classes (what the numbers stand for; a name may be a list of names; keys do not repeat),
    size (height and width of the images to send; null: the photo's own), crop (the central share of the shorter side
    that is sent; null: the whole photo), largest_batch (images in a request; 1) and concurrency (requests at once; 8).

POST {url}/v1/answer  {"images": ["<base64 of an 8-bit RGB PNG>", ...]}
    {"answers": [{"probabilities": [0.25, 0.75]}, ...]}

    One object an image: {"probabilities": [...]} or {"scores": [...]}, finite numbers in the order of the classes, with
    enough digits to give the same float64 back; {"labels": [{"name": "red", "score": 0.9}, ...]}, best first, score
    optional; {"text": "..."}. In place of any: {"refused": "why"} for an image that was looked at and not answered,
    {"error": "why"} for one that failed alone.

    Status 429, with Retry-After in seconds or as a date where known, says that nothing was done yet: ask again later.
    Other 4xx say that nothing was done and never will be. Anything else but 2xx counts as perhaps billed.
    {"error": "why"} as the body of a failure is shown to the user.

With a key, each request carries "Authorization: Bearer KEY". A whole server, of standard library, NumPy and Pillow::

    import base64, io, json
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    import numpy as np
    from PIL import Image

    MODEL = {"name": "redness", "identity": {"version": 1}, "answers": "probabilities",
             "classes": {"names": ["red", "other"]}, "size": [32, 32], "largest_batch": 16}

    def answer(image):
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(image))))
        red = float(pixels[..., 0].mean() / 255)
        return {"probabilities": [red, 1 - red]}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.reply(MODEL)

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.reply({"answers": [answer(image) for image in body["images"]]})

        def reply(self, content):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

    if __name__ == "__main__":
        ThreadingHTTPServer(("127.0.0.1", 8000), Handler).serve_forever()

`oracles.emulators.http` serves any oracle of this package in the same way, with faults to rehearse.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from bbquery.errors import MalformedAnswer, OracleError, OutcomeUnknown, UsageError
from bbquery.oracle import Capabilities, Limits, Oracle, Price
from oracles._key import Key
from oracles._transport import Endpoint
from oracles._url import checked_url
from oracles._wire import ANSWER_PATH, MODEL_PATH
from oracles._wire.answers import failure, split_answers, unpack_answer
from oracles._wire.fields import WireError
from oracles._wire.images import ENCODER, join_images, pack_image
from oracles._wire.model import Identity, Model, unpack_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    import aiohttp

    from bbquery.types import Answer, Image

ADAPTER = 1  # part of every answer's key: raise it when the same server would be read differently


async def connect(
    *,
    url: str,
    key_env: str | None = None,
    largest_batch: int | None = None,
    concurrency: int | None = None,
    timeout: float = Limits.timeout,  # noqa: ASYNC109 - it bounds each later attempt too, not this call alone
) -> Oracle:
    """Ask the server at `url` what its model is, and return that model.

    url: http or https, the root under which /v1/model lies. key_env: the environment variable that holds the key.
    largest_batch, concurrency: images in a request, requests at once; the server's own limits where not given.
    timeout: seconds for one attempt.

    Raises:
        UsageError: an option that cannot be used.
        OracleError: the server cannot be reached, refuses, or (MalformedAnswer) does not describe its model.
    """
    root = checked_url(url)
    _check_positive(largest_batch=largest_batch, concurrency=concurrency, timeout=timeout)
    endpoint = Endpoint(root, None if key_env is None else Key(key_env), timeout, name=f"http {root}")
    async with endpoint.session(connections=1) as session:
        body = await endpoint.attempt(session, "GET", MODEL_PATH)
    try:
        model = unpack_model(body)
    except WireError as fault:
        raise endpoint.error(MalformedAnswer, f"GET {MODEL_PATH}: {fault}") from None
    limits = Limits(
        largest_batch=largest_batch or model.largest_batch,
        concurrency=concurrency or model.concurrency,
        timeout=timeout,
    )
    return HttpOracle(endpoint, _capabilities(endpoint, model, limits))


def _check_positive(**options: float | None) -> None:
    for name, value in options.items():
        if value is not None and not 0 < value < math.inf:
            raise UsageError(f"{name} must be above 0 and finite, not {value}")


def _capabilities(endpoint: Endpoint, model: Model, limits: Limits) -> Capabilities:
    identity: Identity = {"oracle": "http", "adapter": ADAPTER, "encoder": ENCODER, "url": endpoint.url}
    for key, value in model.identity.items():
        identity[endpoint.hide(f"server.{key}")] = endpoint.hide(value) if isinstance(value, str) else value
    return Capabilities(
        name=endpoint.hide(model.name),
        answers=model.answers,
        identity=identity,
        classes=model.classes,
        view=model.view,
        limits=limits,
        price=Price(free=False),
    )


class HttpOracle:
    """A model behind HTTP; made by `connect`."""

    def __init__(self, endpoint: Endpoint, capabilities: Capabilities) -> None:
        self.capabilities = capabilities
        self._endpoint = endpoint
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __repr__(self) -> str:
        key, limits = self._endpoint.key, self.capabilities.limits
        return (
            f"oracles.http.connect(url={self._endpoint.url!r}, key_env={key and key.variable!r}, "
            f"largest_batch={limits.largest_batch}, concurrency={limits.concurrency}, timeout={limits.timeout:g})"
        )

    def encode(self, image: Image) -> bytes:
        """Return a uint8 (H, W, 3) image as it will stand in the request: a quoted base64 PNG.

        Raises:
            UsageError: it is no such image.
        """
        return pack_image(image)

    async def answer(self, payloads: Sequence[bytes]) -> list[Answer | OracleError]:
        """Make one attempt at these images; an item that failed alone, or cannot be read, is an error in the list.

        Raises:
            OracleError: the whole attempt failed, or (MalformedAnswer) does not hold one answer for each image.
        """
        body = await self._endpoint.attempt(self._opened(), "POST", ANSWER_PATH, join_images(payloads))
        try:
            items = split_answers(body, len(payloads))
        except WireError as fault:
            raise self._endpoint.error(MalformedAnswer, f"POST {ANSWER_PATH}: {fault}") from None
        return [self._read(row, item) for row, item in enumerate(items)]

    def _opened(self) -> aiohttp.ClientSession:
        # A session belongs to the loop it was made in; a second asyncio.run brings another loop, and leaves the session
        # of the first, if it was not closed there, to the garbage collector.
        loop = asyncio.get_running_loop()
        if self._session is None or self._loop is not loop:
            self._session, self._loop = self._endpoint.session(self.capabilities.limits.concurrency), loop
        return self._session

    def _read(self, row: int, item: object) -> Answer | OracleError:
        reason = failure(item)
        if reason is not None:
            return self._endpoint.error(OutcomeUnknown, f"image {row} of the request failed: {reason}")
        try:
            return unpack_answer(item, self.capabilities.answers, self.capabilities.classes)
        except WireError as fault:
            return self._endpoint.error(MalformedAnswer, f"answer {row} of the request: {fault}")

    async def aclose(self) -> None:
        """Close the connections. A later attempt, in this loop or another, opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
