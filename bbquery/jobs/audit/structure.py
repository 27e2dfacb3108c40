"""Structure of a plan: which tables, keys and values it has; all faults are found in one pass over the plain data."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import msgspec.inspect as kinds

from bbquery.errors import UsageError, did_you_mean
from bbquery.jobs.audit import expected, names
from bbquery.jobs.audit.keys import NO_KEYS, looks_like_key, names_key
from bbquery.jobs.audit.plan import Plan

if TYPE_CHECKING:
    from bbquery.jobs.audit.faults import Faults
    from bbquery.jobs.audit.locate import KeyPath

PLACE = re.compile(r"\[(\d+)\]")


def plan_of(data: Mapping[str, Any], faults: Faults) -> Plan:
    """Make a plan of plain data.

    Raises:
        UsageError: it is none; says every fault.
    """
    plain = _plain(data)
    _Pass(faults).table(Plan, plain, ())
    faults.check()
    return msgspec.convert(plain, Plan)


def _plain(value: Any) -> Any:
    """Return plain data for what Python may hold beside: paths as texts, tuples as lists, and no key for None."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items() if each is not None}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


@functools.cache
def _homes() -> list[tuple[str, str]]:
    """Return each key that a plan may hold, and the table that it stands in."""
    return [(field.encode_name, home) for home, table in tables() for field in msgspec.structs.fields(table)]


def tables(table: type[msgspec.Struct] = Plan, name: str = "") -> Iterator[tuple[str, type[msgspec.Struct]]]:
    """Give each table of a plan, as it is written: "[caps.photo]", and "the top of the plan"."""
    yield name or "the top of the plan", table
    for field in msgspec.structs.fields(table):
        kind = _optional(kinds.type_info(field.type))
        inner = _inner(kind)
        if isinstance(inner, kinds.StructType):
            path = f"{name.strip('[]')}.{field.encode_name}".removeprefix(".")
            yield from tables(inner.cls, f"[{path}]" if kind is inner else f"[[{path}]]")


def _optional(kind: kinds.Type) -> kinds.Type:
    """Return the type of a value that may be left out."""
    if isinstance(kind, kinds.UnionType):
        several = [each for each in kind.types if not isinstance(each, kinds.NoneType)]
        return several[0] if len(several) == 1 else kind
    return kind


def _inner(kind: kinds.Type) -> kinds.Type:
    """Return the type of a value, and of a list that of its items."""
    kind = _optional(kind)
    return kind.item_type if isinstance(kind, kinds.VarTupleType) else kind


class _Pass:
    """One pass, whose faults are noted."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def table(self, table: type[msgspec.Struct], value: Any, path: KeyPath) -> None:
        if not isinstance(value, Mapping):
            self._faults.add(path, f"must be a table, not {expected.found(value)}")
            return
        fields = {field.encode_name: field for field in msgspec.structs.fields(table)}
        for key in value:
            if key not in fields:
                self._faults.add((*path, str(key)), _unknown(str(key), value[key], list(fields)))
        for key, field in fields.items():
            if key in value:
                self._value(field.type, value[key], (*path, key))
            elif field.required:
                self._faults.add(path, f"lacks {key}: {expected.words(kinds.type_info(field.type))}")

    def _value(self, hint: Any, value: Any, path: KeyPath) -> None:
        kind = _optional(kinds.type_info(hint))
        inner = _inner(kind)
        if not isinstance(inner, kinds.StructType):
            self._leaf(hint, value, path)
        elif kind is inner:
            self.table(inner.cls, value, path)
        elif isinstance(value, list) and value:
            for place, each in enumerate(value):
                self.table(inner.cls, each, (*path, place))
        else:
            self._faults.add(path, f"must be {expected.words(kind)}, not {expected.found(value)}")

    def _leaf(self, hint: Any, value: Any, path: KeyPath) -> None:
        if secret := [place for place, text in _texts(value) if looks_like_key(text)]:
            self._faults.add((*path, *secret[0]), f"looks like a key (not shown); {NO_KEYS}")
            return
        try:
            msgspec.convert(value, hint)
        except msgspec.ValidationError as error:
            self._wrong(kinds.type_info(hint), value, path, error)
            return
        if kind := _named(kinds.type_info(hint)):
            for place, text in _texts(value):
                self._name(kind, text, (*path, *place))

    def _wrong(self, kind: kinds.Type, value: Any, path: KeyPath, error: msgspec.ValidationError) -> None:
        """Note a value of a wrong type or out of range; of a list, the item that is."""
        place = tuple(map(int, PLACE.findall(str(error))))
        kind = _optional(kind)
        for each in place:
            value, kind = value[each], _inner(kind)
        near = (
            did_you_mean(value, map(str, kind.values))
            if isinstance(kind, kinds.LiteralType) and isinstance(value, str)
            else ""
        )
        wanted = expected.too_large(kind, value) or expected.words(kind)
        self._faults.add((*path, *place), f"must be {wanted}, not {expected.found(value)}{near}")

    def _name(self, kind: str, text: str, path: KeyPath) -> None:
        try:
            names.check(kind, text)
        except UsageError as error:
            self._faults.add(path, str(error))


def _near(kind: kinds.Type, value: Any) -> str:
    """Return which choice was meant, where a value is one of few and is spelled like it."""
    if isinstance(kind, kinds.LiteralType) and isinstance(value, str):
        return did_you_mean(value, map(str, kind.values))
    return ""


def _unknown(key: str, value: Any, known: Sequence[str]) -> str:
    if names_key(key) or any(looks_like_key(text) for _, text in _texts(value)):
        return f"no such key; {NO_KEYS}"
    near = did_you_mean(key, known)
    elsewhere = [home for name, home in _homes() if name == key]
    if elsewhere and not near:
        return f"no such key here; it belongs into {' or '.join(elsewhere)}"
    return f"no such key{near or '; known: ' + ', '.join(known)}"


def _named(kind: kinds.Type) -> str | None:
    """Return of what kind the names are that a value, or each of its items, holds; None where it holds none."""
    inner = _inner(kind)
    return (inner.extra or {}).get("kind") if isinstance(inner, kinds.Metadata) else None


def _texts(value: Any) -> list[tuple[tuple[int, ...], str]]:
    """Return the texts that a value is, or that its items are, each with its place."""
    if isinstance(value, str):
        return [((), value)]
    return (
        [((place,), each) for place, each in enumerate(value) if isinstance(each, str)]
        if isinstance(value, list)
        else []
    )
