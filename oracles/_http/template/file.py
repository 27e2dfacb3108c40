"""A template file: what `docs/http.md` describes, read and checked before anything is sent."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bbquery.system import user_file
from oracles._http.template.request import Request, read_pixels, read_request
from oracles._http.template.response import read_answer
from oracles._http.template.table import Table
from oracles._shared.digest import digest

if TYPE_CHECKING:
    from bbquery.oracle import View
    from oracles._http.template.answers import Reader
    from oracles._http.wire.model import Identity


@dataclass(frozen=True, kw_only=True)
class Template:
    """How a server is asked and its answers are read.

    batches: whether a request can carry several images. usd_per_query: None where it is not stated. identity: what
    decides answers, but for the server's address.
    """

    name: str
    view: View
    request: Request
    reader: Reader
    batches: bool
    usd_per_query: str | float | None
    identity: Identity


def read_template(source: str | Mapping[str, Any]) -> Template:
    """Return the template in a TOML or JSON file, or in a mapping of the same keys.

    Raises:
        UsageError: it cannot be read, or a value cannot be used. UnknownName: a key or a choice that there is not.
    """
    path = None if isinstance(source, Mapping) else Path(source)
    content = source if isinstance(source, Mapping) else _content(Path(source))
    table = Table(content)
    view, prepare = read_pixels(table.table("pixels"))
    request = read_request(table.table("request"), prepare)
    reader = read_answer(table.table("answer"), path.parent if path else Path())
    own = {f"template.{key}": value for key, value in table.plain("identity", str, int, float).items()}
    template = Template(
        name=table.take("name", str, default=path.stem if path else "template"),
        view=view,
        request=request,
        reader=reader,
        batches=request.batches and (reader.items is not None or reader.values is not None),
        usd_per_query=table.take("usd_per_query", str, float),
        identity={"template": _digest(content, reader), **own},
    )
    table.end()
    return template


def _content(path: Path) -> Any:
    parsed = user_file.parsed_json if path.suffix == ".json" else user_file.parsed_toml
    return parsed(path, "the template")


def _digest(content: Mapping[str, Any], reader: Reader) -> str:
    """Return the hash of what decides answers: not of names, limits, and what secrets are called."""
    request, answer = dict(content["request"]), dict(content["answer"])
    headers = {name: re.sub(r"\$\{[^}]*\}", "${}", value) for name, value in request.pop("headers", {}).items()}
    for key in ("largest_batch", "not_ready"):
        request.pop(key, None)
    answer.pop("classes", None)
    order = reader.classes.names if reader.classes and reader.values is None else None
    decisive = [request, headers, content.get("pixels", {}), answer, order]
    return digest(json.dumps(decisive, sort_keys=True, default=str).encode())
