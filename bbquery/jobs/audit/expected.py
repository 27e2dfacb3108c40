"""Types of a plan's values in words, for messages: "a number from 0 to 1"."""

from __future__ import annotations

from typing import Any

import msgspec.inspect as kinds

from bbquery.jobs.audit.keys import looks_like_key

PLAIN = {kinds.StrType: "text", kinds.BoolType: "true or false", kinds.StructType: "a table"}
LONGEST = 80  # characters of a value in a message
FOUND = {dict: "a table", list: "a list", tuple: "a list", type(None): "nothing"}


def words(kind: kinds.Type) -> str:
    """Return what a value must be."""
    match kind:
        case kinds.Metadata(type=inner, extra=extra):
            return (extra or {}).get("words") or words(inner)
        case kinds.UnionType(types=several):
            kept = (each for each in several if not isinstance(each, kinds.NoneType))
            return " or ".join(dict.fromkeys(map(words, kept)))
        case kinds.LiteralType(values=values):
            return " or ".join(map(repr, values))
        case kinds.VarTupleType(item_type=item, min_length=least):
            return f"a list{f' of at least {least}' if least else ''}, each item {words(item)}"
        case kinds.IntType() | kinds.FloatType():
            return _number(kind)
    return PLAIN[type(kind)]


def _number(kind: kinds.IntType | kinds.FloatType) -> str:
    what = "a whole number" if isinstance(kind, kinds.IntType) else "a number"
    if kind.ge is not None and kind.le is not None and kind.le < 2**53:
        return f"{what} from {kind.ge:g} to {kind.le:g}"
    if kind.gt is not None:
        return f"{what} above {kind.gt:g}{'' if kind.le is None else f' and up to {kind.le:g}'}"
    return what if kind.ge is None else f"{what} of at least {kind.ge:g}"


def too_large(kind: kinds.Type, value: Any) -> str:
    """Return what a number may be at most, where it is larger; else nothing."""
    most = getattr(kind, "le", None)
    if isinstance(kind, kinds.IntType) and isinstance(value, int) and most is not None and value > most:
        return f"at most {int(most)}"
    return ""


def found(value: Any) -> str:
    """Return what stands there instead; what looks like a key is not shown."""
    if value in ([], {}):
        return f"an empty {FOUND[type(value)].removeprefix('a ')}"
    if type(value) in FOUND:
        return FOUND[type(value)]
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    if looks_like_key(text):
        return "what is there (not shown: it looks like a key)"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
