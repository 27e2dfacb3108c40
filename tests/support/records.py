"""Records held against the published schema, and nothing allowed in them but what it describes."""

from __future__ import annotations

import functools
import json
import os
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema_rs

from bbquery.jobs.record_file import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

FILES = frozenset({
    "run.json", "compare.json", "evaluation.json", "probe.json", "attack.json", "attacks.json", "audit.json"
})  # fmt: skip

PARTS = ("record", "explain", "compare", "evaluate", "probe", "attack", "attacks", "audit")
"""Definitions that describe one record between them, so that none is all of it."""


def schema() -> dict[str, Any]:
    """Return the published schema."""
    text = resources.files("bbquery.report").joinpath("record.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def faults(record: Any) -> list[str]:
    """Return what is wrong with a record: keys that lack, that are not described, or hold something else."""
    whole = json.loads(json.dumps(record, ensure_ascii=False).encode(errors="replace"))  # a validator wants UTF-8
    return [f"{list(error.instance_path)}: {error.message[:300]}" for error in _validator().iter_errors(whole)]


@functools.cache
def _validator() -> jsonschema_rs.Draft202012Validator:
    made = _closed(schema())
    for name in PARTS:
        del made["$defs"][name]["additionalProperties"]
    return jsonschema_rs.Draft202012Validator({**made, "unevaluatedProperties": False})


def _closed(node: Any) -> Any:
    """Return a schema whose objects have no keys but those that it names."""
    if isinstance(node, list):
        return [_closed(each) for each in node]
    if not isinstance(node, dict):
        return node
    made = {key: _closed(each) for key, each in node.items()}
    return {**made, "additionalProperties": False} if {"type", "properties"} <= node.keys() else made


def checked(encoded: Callable[[Mapping[str, Any]], bytes]) -> Callable[[Mapping[str, Any]], bytes]:
    """Return a writer of records that writes none with a fault."""

    def write(plain: Mapping[str, Any]) -> bytes:
        data = encoded(plain)
        found = faults(json.loads(data, parse_constant=_no_number))
        assert not found, f"a record is not as its schema says: {found}"
        return data

    return write


def faults_below(folder: Path) -> list[str]:
    """Return what is wrong with the records of this version in a folder, whichever process wrote them."""
    return [f"{path}: {fault}" for path in _below(folder) for fault in _of_file(path)]


def _of_file(path: Path) -> list[str]:
    try:
        plain = json.loads(path.read_bytes(), parse_constant=_no_number)
    except (ValueError, RecursionError):  # a test's own: what bbquery writes is JSON, as `checked` sees
        return []
    return faults(plain) if isinstance(plain, dict) and plain.get("schema") == SCHEMA else []


def _below(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder):
        yield from (Path(place, name) for name in FILES.intersection(names))


def _no_number(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
