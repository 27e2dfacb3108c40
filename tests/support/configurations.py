"""Configured algorithms, taken apart."""

from __future__ import annotations

import dataclasses
from typing import Any


def constructors(configured: Any) -> dict[str, type]:
    """Return the classes of a configuration and of what it is made of, by name."""
    found = {type(configured).__name__: type(configured)}
    for field in dataclasses.fields(configured):
        value = getattr(configured, field.name)
        for part in value if isinstance(value, tuple) else (value,):
            found |= constructors(part) if dataclasses.is_dataclass(part) else {}
    return found
