"""A JSON document with places for images, ready to be filled in by joining bytes.

A string "${name}" that stands alone is replaced by the value of that name, whatever its kind; `${name}` within a longer
string by its text. `$${` writes a plain `${`. An object with the one member "${each}" is replaced by a list with its
value once for each image of the request.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bbquery.errors import UnknownName, UsageError
from oracles._http.wire.fields import dumps

EACH = "${each}"

TEXTS = ("image_base64", "image_data_url")
OF_AN_IMAGE = (*TEXTS, "image_floats", "image_width", "image_height")
OF_A_REQUEST = ("images_floats", "images_flat", "images_shape", "images_count", "images_bytes")

_PLACE = re.compile(rb'"\$\{(?P<alone>[^}"]*)\}"(?P<key>:)?|(?P<plain>\$\$\{)|\$\{((?P<within>[^}"]*)\})?')


@dataclass(frozen=True)
class Document:
    """The document's bytes around its slots. each: the documents of "${each}" objects, by the name of their slot."""

    literals: tuple[bytes, ...]
    slots: tuple[str, ...]
    each: Mapping[str, Document] = field(default_factory=dict)

    @property
    def names(self) -> frozenset[str]:
        """The names that must be filled in, those within "${each}" too."""
        inner = (name for document in self.each.values() for name in document.names)
        return frozenset(name for name in self.slots if name not in self.each).union(inner)

    def filled(self, values: Mapping[str, bytes]) -> bytes:
        """Return the document with the JSON of each slot's value; a text's without its quotes within a string."""
        parts = [self.literals[0]]
        for slot, literal in zip(self.slots, self.literals[1:], strict=True):
            parts += (values[slot], literal)
        return b"".join(parts)


def document(content: Any, option: str) -> Document:
    """Return the document that `content`, plain JSON, describes.

    Raises:
        UsageError: it holds what JSON cannot, or an "${each}" within another. UnknownName: a name that there is not.
    """
    each: dict[str, Document] = {}
    outer = _without_each(content, each, option)
    literals, slots = _split(_json(outer, option), (*OF_AN_IMAGE, *OF_A_REQUEST, *each), option)
    return Document(literals, slots, each)


def _without_each(content: Any, each: dict[str, Document], option: str) -> Any:
    """Return the content with a slot in place of each "${each}" object, whose document is put into `each`."""
    if isinstance(content, list):
        return [_without_each(part, each, option) for part in content]
    if not isinstance(content, dict):
        return content
    if EACH not in content:
        return {name: _without_each(part, each, option) for name, part in content.items()}
    if len(content) > 1:
        raise UsageError(f"{option}: an object with {EACH!r} has nothing else in it")
    slot = f"each {len(each)}"
    each[slot] = _of_an_image(content[EACH], option)
    return f"${{{slot}}}"


def _of_an_image(content: Any, option: str) -> Document:
    body = _json(content, option)
    if EACH.encode() in body:
        raise UsageError(f"{option}: {EACH!r} cannot stand within another")
    return Document(*_split(body, OF_AN_IMAGE, f"{option}, within {EACH!r}"))


def _json(content: Any, option: str) -> bytes:
    try:
        return dumps(content)
    except TypeError as error:
        raise UsageError(f"{option} must be plain JSON: {error}") from error


def _split(body: bytes, known: Iterable[str], option: str) -> tuple[tuple[bytes, ...], tuple[str, ...]]:
    """Return the bytes between the slots, and the slots. A text's slot is within its quotes, others take them along."""
    literals, slots, literal, end = [], [], b"", 0
    for match in _PLACE.finditer(body):
        literal += body[end : match.start()]
        end = match.end()
        if match["plain"]:
            literal += b"${"
            continue
        name = _checked(match, known, option)
        quote = b'"' if match["alone"] and name in TEXTS else b""
        literals.append(literal + quote)
        slots.append(name)
        literal = quote
    return (*literals, literal + body[end:]), tuple(slots)


def _checked(match: re.Match[bytes], known: Iterable[str], option: str) -> str:
    """Return the name of a slot that may stand where it stands."""
    name = (match["alone"] or match["within"] or b"").decode()
    if name not in known:
        raise UnknownName(f"place in {option}", f"${{{name}}}", [f"${{{k}}}" for k in known])
    if match["key"] or (match["within"] and name not in TEXTS):
        raise UsageError(f'{option}: ${{{name}}} must stand alone as a value, "${{{name}}}"')
    return name
