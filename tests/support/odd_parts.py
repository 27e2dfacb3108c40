"""What a server may put where something optional belongs, and documents with one such part."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ABSENT = object()
ODD: tuple[Any, ...] = (
    ABSENT, None, False, True, 0, -1, 1.5, 2**62, 10**30, 10**400, math.nan, math.inf, -math.inf, "", " ", "5",
    "\ud800", [], [None], [5], ["x"], [[]], [{}], {}, {"x": None}, {"code": None}, {"message": 5},
)  # fmt: skip
"""Absent, null, wrong types, and numbers that cannot be."""


def with_odd(document: Any, path: tuple[str | int, ...]) -> Iterator[tuple[Any, Any]]:
    """Give each odd value with a copy of the document that has it at `path`, where it must have something."""
    for value in ODD:
        changed = copy.deepcopy(document)
        place = changed
        for step in path[:-1]:
            place = place[step]
        if value is not ABSENT:
            place[path[-1]] = value
        elif isinstance(place, dict):
            place.pop(path[-1], None)
        else:
            continue  # without an element a list has other elements in its places
        yield value, changed


def shown(value: object) -> str:
    """Return an odd value for the name of a test."""
    return "absent" if value is ABSENT else repr(value)[:20]
