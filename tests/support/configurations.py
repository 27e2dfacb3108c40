"""Configured algorithms, taken apart."""

from __future__ import annotations

import dataclasses


def constructors(configured: object) -> dict[str, type]:
    """Return the classes of a configuration and of what it is made of, by name."""
    found = {type(configured).__name__: type(configured)}
    for field in dataclasses.fields(configured):  # type: ignore[arg-type] # the caller has checked
        value = getattr(configured, field.name)
        found |= constructors(value) if dataclasses.is_dataclass(value) else {}
    return found
