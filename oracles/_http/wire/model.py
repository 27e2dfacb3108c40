"""A server's description of its model: packed from capabilities, unpacked with every field checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, get_args

from bbquery.oracle import Limits, View
from bbquery.types import AnswerKind, Classes
from oracles._http.wire.fields import WireError, count, dumps, is_count, is_number, is_strings, loads, text
from oracles._shared.texts import brief

if TYPE_CHECKING:
    from bbquery.oracle import Capabilities

Identity: TypeAlias = dict[str, str | int | float | None]


@dataclass(frozen=True, kw_only=True)
class ServerModel:
    """A server's description of its model, checked; the fields are those of `Capabilities` and `Limits`."""

    name: str
    identity: Identity
    answers: AnswerKind
    classes: Classes | None
    view: View
    largest_batch: int
    concurrency: int


def pack_model(capabilities: Capabilities) -> bytes:
    """Return what a server says of an oracle with these capabilities."""
    classes, view, limits = capabilities.classes, capabilities.view, capabilities.limits
    content = {
        "name": capabilities.name,
        "identity": dict(capabilities.identity),
        "answers": capabilities.answers,
        "classes": {"names": classes.names, "keys": classes.keys} if classes else None,
        "size": view.size,
        "crop": view.crop,
        "largest_batch": limits.largest_batch,
        "concurrency": limits.concurrency,
    }
    return dumps(content)


def unpack_model(body: bytes) -> ServerModel:
    """Return what a server says of its model.

    Raises:
        WireError: a field is missing or is not what it must be.
    """
    data = loads(body)
    return ServerModel(
        name=text(data, "name"),
        identity=_identity(data.get("identity")),
        answers=_kind(data.get("answers")),
        classes=_classes(data.get("classes")),
        view=View(size=_size(data.get("size")), crop=_crop(data.get("crop"))),
        largest_batch=count(data, "largest_batch", Limits.largest_batch),
        concurrency=count(data, "concurrency", Limits.concurrency),
    )


def _identity(value: Any) -> Identity:
    if not isinstance(value, dict):
        raise WireError(f"'identity' must be an object, not {brief(value)}")
    for key, part in value.items():
        if not isinstance(part, str | int | float | None):
            raise WireError(f"'identity' must hold strings, numbers and nulls; {brief(key)} is {brief(part)}")
    return value


def _kind(value: Any) -> AnswerKind:
    known: tuple[AnswerKind, ...] = get_args(AnswerKind)
    if value not in known:
        raise WireError(f"'answers' must be one of {', '.join(known)}, not {brief(value)}")
    return known[known.index(value)]


def _classes(value: Any) -> Classes | None:
    if value is None:
        return None
    names = value.get("names") if isinstance(value, dict) else None
    if not isinstance(names, list) or not names:
        raise WireError(f'\'classes\' must be null or {{"names": [...], "keys": [...]}}, not {brief(value)}')
    keys = value.get("keys") or []
    if not is_strings(keys) or (keys and not len(keys) == len({key.lower() for key in keys}) == len(names)):
        raise WireError(f"'keys' must be absent or one string for each of the {len(names)} classes, no two alike")
    return Classes(tuple(map(_names, names)), tuple(keys))


def _names(value: Any) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not is_strings(names) or not names:
        raise WireError(f"a class's names must be a string or a list of strings, not {brief(value)}")
    return tuple(names)


def _size(value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2 or not all(map(is_count, value)):
        raise WireError(f"'size' must be null or [height, width], not {brief(value)}")
    return value[0], value[1]


def _crop(value: Any) -> float | None:
    if value is None:
        return None
    if not is_number(value) or not 0 < value <= 1:
        raise WireError(f"'crop' must be null or a share above 0 and at most 1, not {brief(value)}")
    return float(value)
