"""Files and batches over HTTP, as the vendor's own package asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import BodyPartReader

from oracles._http.wire.fields import WireError, dumps, loads
from oracles.emulators import _server
from oracles.emulators._openai_batch_input import MOST_BYTES
from oracles.emulators._openai_refusals import TooFast, broken, spent
from oracles.emulators._openai_reply import error
from oracles.emulators._openai_request import Refused
from oracles.emulators._server import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from oracles.emulators._faults import Kind
    from oracles.emulators._openai_batch import EmulatedBatch
    from oracles.emulators._openai_batches import EmulatedBatches

LARGEST_UPLOAD = MOST_BYTES + 2**20  # bytes: more than a batch takes, so that one that is too large can be refused
LONGEST_PURPOSE = 64  # characters
USUAL_PAGE, LARGEST_PAGE = 20, 100


class BatchRoutes:
    """How batches are reached. authorise: raises Refused for a request with a wrong key."""

    def __init__(self, batches: EmulatedBatches, authorise: Callable[[web.Request], None]) -> None:
        self._batches, self._authorise = batches, authorise
        self._asked = self._downloads = 0

    def add_to(self, application: web.Application, root: str) -> None:
        """Serve them below `root`."""
        router = application.router
        router.add_post(f"{root}/files", self._checked(self._upload))
        router.add_get(f"{root}/files/{{id}}/content", self._checked(self._download))
        router.add_post(f"{root}/batches", self._checked(self._make))
        router.add_get(f"{root}/batches", self._checked(self._list))
        router.add_get(f"{root}/batches/{{id}}", self._checked(self._show))
        router.add_post(f"{root}/batches/{{id}}/cancel", self._checked(self._cancel))

    def _checked(
        self, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Return a handler that checks the key first, and says in the vendor's JSON what it refuses."""

        async def handled(request: web.Request) -> web.StreamResponse:
            try:
                _turn_browsers_away(request)
                self._authorise(request)
                return await handler(request)
            except Refused as refused:
                self._batches.bill.turn_away(refused)
                waits = refused.headers if isinstance(refused, TooFast) else None
                return _json(error(refused), status=refused.status, headers=waits)

        return handled

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        fields: dict[str, bytes] = {}
        filename = None
        if not request.content_type.startswith("multipart/"):
            raise Refused(415, "Send a file as multipart/form-data.")
        async for part in await request.multipart():
            if isinstance(part, BodyPartReader) and part.name in ("file", "purpose"):
                most = LARGEST_UPLOAD if part.name == "file" else LONGEST_PURPOSE
                fields[part.name] = await _content(part, most)
                filename = part.filename or filename
        purpose = fields.get("purpose", b"").decode(errors="replace")
        return _json(self._batches.files.upload(filename, purpose, fields.get("file")).listed())

    async def _download(self, request: web.Request) -> web.StreamResponse:
        file = self._batches.files.get(request.match_info["id"])
        number, self._downloads = self._downloads, self._downloads + 1
        cut = file.purpose == "batch_output" and self._batches.faults.truncates(number)
        answer = web.Response(body=file.content, content_type="application/octet-stream")
        return await self._sent(request, answer, "truncated" if cut else "answered")

    async def _make(self, request: web.Request) -> web.StreamResponse:
        content = await _read(request)
        number, self._asked = self._asked, self._asked + 1
        faults = self._batches.faults
        kind, made = faults.batch_fate(number)
        if kind == "rate_limited":
            raise TooFast("requests", faults.retry_after)
        if kind == "quota":
            raise spent()
        answer = _json((await self._batches.make(content)).listed()) if made else web.Response()
        if kind == "server_error":
            raise broken(500)
        return await self._sent(request, answer, "answered" if kind == "made" else kind)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        text = request.query.get("limit", str(USUAL_PAGE))
        if not text.isdecimal() or not 1 <= int(text) <= LARGEST_PAGE:
            raise Refused(400, f"Invalid 'limit': {text!r} is not between 1 and {LARGEST_PAGE}.", param="limit")
        page, more = self._batches.page(request.query.get("after"), int(text))
        ends = {"first_id": page[0].id, "last_id": page[-1].id} if page else {"first_id": None, "last_id": None}
        return _json({"object": "list", "data": [batch.listed() for batch in page], "has_more": more, **ends})

    async def _show(self, request: web.Request) -> web.StreamResponse:
        batch = self._named(request)
        await self._batches.step()
        return _json(batch.listed())

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        batch = self._named(request)
        self._batches.cancel(batch)
        return _json(batch.listed())

    async def _sent(self, request: web.Request, answer: web.Response, kind: Kind) -> web.StreamResponse:
        self._batches.bill.lose(kind)
        return await _server.delivered(request, answer, kind)

    def _named(self, request: web.Request) -> EmulatedBatch:
        return self._batches.get(request.match_info["id"])


def _turn_browsers_away(request: web.Request) -> None:
    """A page can send a form, or an empty body, to any server; its browser then says where the page is from."""
    if "Origin" in request.headers:
        raise Refused(403, "This emulator is not for pages in a browser.")


async def _content(part: BodyPartReader, most: int) -> bytes:
    pieces, size = [], 0
    while piece := await part.read_chunk(2**18):
        size += len(piece)
        if size > most:
            raise Refused(413, f"'{part.name}' is too large: at most {most} bytes.")
        pieces.append(piece)
    return b"".join(pieces)


async def _read(request: web.Request) -> dict[str, Any]:
    if request.content_type != _server.JSON:
        raise Refused(415, f"Unsupported content type {request.content_type}: send {_server.JSON}.")
    try:
        return loads(await request.read())
    except WireError as fault:
        raise Refused(400, f"We could not parse the JSON body of your request: {fault}") from fault


def _json(content: object, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=dumps(content), status=status, headers=headers, content_type=_server.JSON)
