"""The tables `pixels` and `request` of a template: what is sent."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from bbquery.errors import UsageError
from bbquery.oracle import View
from oracles._http.headers import Headers
from oracles._http.template.bodies import Body, FormBody, JsonBody, RawBody
from oracles._http.template.slots import document
from oracles._http.wire.fields import is_count
from oracles._shared.options import check_crop
from oracles._shared.preprocessing import Channels, Layout, Preprocessing, preprocessing

if TYPE_CHECKING:
    from oracles._http.template.table import Table

Kind: TypeAlias = Literal["json", "multipart", "raw"]
Method: TypeAlias = Literal["POST", "PUT"]
Dtype: TypeAlias = Literal["float32", "float16", "float64", "uint8"]

FOLLOWING = frozenset({"content-type", "content-length", "host", "transfer-encoding", "connection"})
"""Headers that follow from the request."""

SECRET = frozenset({"authorization", "cookie", "key", "apikey", "token", "secret", "password", "auth", "signature"})
"""Words in the name of a header, or of a part of a query, that holds a secret."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """How a request is sent.

    path: from the server's root. headers: with ${NAME} for secrets. largest_batch: images in a request; batches:
    whether there can be more than one. not_ready: statuses that say that nothing was done yet.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: Body
    largest_batch: int
    batches: bool
    not_ready: frozenset[int]


def read_pixels(table: Table) -> tuple[View, Preprocessing]:
    """Return what the server sees of a photo, and how pixels become numbers where it takes numbers.

    Raises:
        UsageError: a value cannot be used.
    """
    crop, size = table.take("crop", float), table.take("size", list, int)
    check_crop(crop)
    sides = [size, size] if isinstance(size, int) else size
    if sides is not None and (len(sides) != 2 or not all(map(is_count, sides))):
        raise UsageError(f"pixels.size must be [height, width] or the side of a square, not {size!r:.60}")
    prepare = preprocessing(
        scale=table.take("scale", str, float, default=1.0),
        mean=table.take("mean", list, float, default=0.0),
        std=table.take("std", list, float, default=1.0),
        channels=table.choice("channels", Channels, "RGB"),
        layout=table.choice("layout", Layout, "NCHW"),
        dtype=table.choice("dtype", Dtype, "float32"),
    )
    table.end()
    return View(size=None if sides is None else (sides[0], sides[1]), crop=crop), prepare


def read_request(table: Table, prepare: Preprocessing) -> Request:
    """Return what is sent; prepare: how pixels become numbers.

    Raises:
        UsageError: a value cannot be used.
    """
    kind = table.choice("body", Kind)
    body, batches = {"json": _json_body, "multipart": _form_body, "raw": _raw_body}[kind](table, prepare)
    request = Request(
        method=table.choice("method", Method, "POST"),
        path=_path(table.take("path", str, default="")),
        headers=_headers(table.plain("headers", str)),
        body=body,
        largest_batch=table.take("largest_batch", int, default=1),
        batches=batches,
        not_ready=_statuses(table.take("not_ready", list, default=[])),
    )
    table.end()
    return request


def _json_body(table: Table, prepare: Preprocessing) -> tuple[Body, bool]:
    """Return the body, and whether it can carry several images."""
    content = table.need("json", dict, list, str)
    made = document(_read(content) if isinstance(content, str) else content, "request.json")
    header = table.take("length_header", str)
    if header is None and not made.names - {"images_count"}:
        raise UsageError('request.json has no place for an image: write "${image_base64}" where it belongs')
    return JsonBody(made, prepare, header), not any(slot.startswith("image_") for slot in made.slots)


def _form_body(table: Table, _: Preprocessing) -> tuple[Body, bool]:
    fields = {_plain("the name of a field", name): value for name, value in table.plain("fields", str).items()}
    file_name = _plain("request.file_name", table.take("file_name", str, default="image.png"))
    return FormBody(_plain("request.field", table.need("field", str)), file_name, fields), False


def _raw_body(table: Table, _: Preprocessing) -> tuple[Body, bool]:
    return RawBody(_plain("request.content_type", table.take("content_type", str, default="image/png"))), False


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise UsageError(f"request.json is not JSON: {error}") from error


def _plain(option: str, text: str) -> str:
    """Return a text that may stand within quotes in a header."""
    if not text or not (text.isascii() and text.isprintable()) or set(text) & set('"\\'):
        raise UsageError(f"{option} must be printable ASCII without quotes and backslashes, not {text!r:.60}")
    return text


def _path(path: str) -> str:
    if path and not (path.startswith("/") and path.isascii() and path.isprintable() and not set(path) & set(" #")):
        raise UsageError(f"request.path must begin with / and hold neither spaces nor #, not {path!r:.60}")
    parts = path.partition("?")[2].split("&")
    if any(_is_secret(part.partition("=")[0]) for part in parts):
        raise UsageError("request.path holds what may be a key (not shown): send it in a header, as ${NAME}")
    return path


def _headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    Headers(headers, "request.headers")
    for name, value in headers.items():
        if name.lower() in FOLLOWING:
            raise UsageError(f"request.headers: {name} follows from request.body and is not to be given")
        if _is_secret(name) and "${" not in value:
            raise UsageError(
                f"request.headers: put the secret of {name} into an environment variable, and write ${{ITS_NAME}} here"
            )
    return headers


def _is_secret(name: str) -> bool:
    return not SECRET.isdisjoint(re.split("[^a-z]+", name.lower()))


def _statuses(statuses: list[Any]) -> frozenset[int]:
    if not all(type(status) is int and 400 <= status < 600 for status in statuses):
        raise UsageError(f"request.not_ready must be a list of statuses from 400 to 599, not {statuses!r:.60}")
    return frozenset(statuses)
