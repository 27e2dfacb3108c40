"""Servers at which batches of OpenAI's oracle fail in one way each."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from bbquery.errors import (
    OracleError,
)
from tests.support.http_helpers import serving
from tests.support.openai_batch_helpers import at, names, written
from tests.support.openai_helpers import completion, mistake
from tests.support.silence import fall_silent, limits_end_in_silence

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bbquery.batch_oracle import BatchOracle
    from tests.support.http_helpers import Handler

FILE = {"id": "file-1", "object": "file", "bytes": 1, "created_at": 0, "filename": "a.jsonl", "purpose": "batch"}


def batch(**fields: Any) -> dict[str, Any]:
    """Return a batch as the vendor describes it; fields replace its own."""
    plain = {"id": "batch_1", "object": "batch", "endpoint": "/v1/chat/completions", "input_file_id": "file-1"}
    return plain | {"completion_window": "24h", "created_at": 0, "status": "completed"} | fields


def told(status: int, headers: dict[str, str] | None = None, *, message: str = "no", **fields: Any) -> Handler:
    """Return a handler that answers with the vendor's JSON for an error."""

    async def handler(_: web.Request) -> web.Response:
        return web.json_response(mistake(message, **fields), status=status, headers=headers)

    return handler


def saying(body: bytes, kind: str = "application/json") -> Handler:
    """Return a handler that answers 200 with these bytes."""

    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type=kind)

    return handler


async def hang_up(request: web.Request) -> web.Response:
    """Take the whole request, and drop the connection."""
    await request.read()
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def break_off(request: web.Request) -> web.StreamResponse:
    """Answer with half of what is announced."""
    answer = web.StreamResponse(headers={"Content-Length": "200", "Content-Type": "application/json"})
    await answer.prepare(request)
    await answer.write(b'{"id": "batch_1", ')
    assert request.transport is not None
    request.transport.close()
    return answer


async def never(request: web.Request) -> web.Response:
    """Answer nothing until the client has gone."""
    await request.read()
    fall_silent()
    await asyncio.get_running_loop().create_future()
    return web.Response()


JUNK = {
    "text": saying(b"<html>", "text/html"),
    "no JSON": saying(b'{"id": '),
    "a list": saying(b"[]"),
    "no id": saying(b"{}"),
    "an empty id": saying(b'{"id": ""}'),
    "an id that is none": saying(b'{"id": {"a": 1}}'),
}


DOUBTFUL: dict[str, Handler] = {
    "dropped": hang_up,
    "broken off": break_off,
    "never": never,
    **{str(status): told(status) for status in (408, 409, 499, 500, 502, 503, 504)},
    **JUNK,
}


@asynccontextmanager
async def vendor(routes: dict[str, Handler], **options: Any) -> AsyncIterator[tuple[BatchOracle, list[str]]]:
    """Give an oracle at a server with these routes, by method and path, and what it was asked for."""
    asked: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        asked.append(f"{request.method} {request.path}")
        return await routes[asked[-1]](request)

    with limits_end_in_silence():
        async with serving(handler) as url, at(url, **options) as oracle:
            yield oracle, asked


async def submitting(folder: Path, **routes: Handler) -> tuple[OracleError, list[str]]:
    """Return what submitting raises where the server uploads and creates so, and what was asked for."""
    uploads = routes.get("upload") or saying(json.dumps(FILE).encode())
    async with vendor({"POST /files": uploads, "POST /batches": routes["create"]}) as (oracle, asked):
        file = written(oracle, folder, names(1))
        with pytest.raises(OracleError) as caught:
            await oracle.submit(file, "ours")
    return caught.value, asked


def line(body: Any = None, *, name: str = "a", status: int = 200, **fields: Any) -> bytes:
    """Return a line of results; fields replace its own."""
    answer = {"status_code": status, "request_id": "r", "body": completion() if body is None else body}
    plain = {"id": "batch_req_1", "custom_id": name, "response": answer, "error": None}
    return json.dumps(plain | fields).encode() + b"\n"
