"""JSON and its fields: written fast, read with a check and a message for each thing that can be wrong."""

from __future__ import annotations

import json
from typing import Any

from bbquery.errors import MissingExtra
from oracles._http.event_stream import STREAMED, is_stream
from oracles._shared.numbers import finite
from oracles._shared.texts import brief

try:
    import orjson
except ImportError as error:
    raise MissingExtra("http", "asking a model over HTTP", "orjson") from error


class WireError(ValueError):
    """The other side sent what the format does not allow; the message says what, in one line."""


def dumps(content: object) -> bytes:
    """Return JSON; numpy arrays become lists, floats keep every bit, NaN and infinities become null."""
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


def parsed(body: bytes) -> Any:
    """Return what the JSON in `body` says.

    Raises:
        WireError: it is not JSON.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        fault = error
    if is_stream(body):
        raise WireError(f'{STREAMED}, or write "stream": false into the request of the template')
    try:
        return json.loads(body)  # NaN, infinities and half surrogate pairs, which other writers of JSON write
    except (ValueError, RecursionError):
        raise WireError(f"the body is not JSON ({fault}): {brief(body[:80].decode(errors='replace'))}") from None


def loads(body: bytes) -> dict[str, Any]:
    """Return the object that `body` holds.

    Raises:
        WireError: it is not JSON, or no object.
    """
    content = parsed(body)
    if not isinstance(content, dict):
        raise WireError(f"the body must be an object, not {brief(content)}")
    return content


def text(data: dict[str, Any], key: str) -> str:
    """Return the string `data[key]`, which must not be empty.

    Raises:
        WireError: it is anything else.
    """
    value = data.get(key)
    if not isinstance(value, str) or not value:
        raise WireError(f"'{key}' must be a string that is not empty, not {brief(value)}")
    return value


def count(data: dict[str, Any], key: str, default: int) -> int:
    """Return the whole number `data[key]`, at least 1; `default` where there is none.

    Raises:
        WireError: it is anything else.
    """
    value = default if data.get(key) is None else data[key]
    if not is_count(value):
        raise WireError(f"'{key}' must be a whole number of at least 1, not {brief(value)}")
    return int(value)


def is_count(value: object) -> bool:
    """Whether it is a whole number of at least 1."""
    return type(value) is int and value >= 1


def is_number(value: object) -> bool:
    """Whether it is a finite number; true and false are not."""
    return finite(value) is not None


def is_strings(value: object) -> bool:
    """Whether it is a list of strings."""
    return isinstance(value, list) and all(isinstance(part, str) for part in value)
