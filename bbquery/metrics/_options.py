"""Options of a metric that are not at their defaults, for people."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


def changed(metric: Any, *names: str) -> str:
    """Return those of a metric's options that differ from their defaults, such as "scale none"; nothing without any.

    metric: a dataclass. names: of options that have a default.
    """
    return ", ".join(_changed(metric, names))


def _changed(metric: Any, names: tuple[str, ...]) -> Iterator[str]:
    for field in fields(metric):
        value = getattr(metric, field.name)
        if field.name in names and value != field.default:
            yield f"{field.name} {value}"
