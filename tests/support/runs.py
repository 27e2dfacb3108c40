"""What a person types, reads and finds: a terminal, what a command says, and what it left behind."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path

Say: TypeAlias = Callable[..., str]
"""Runs a command: words, and the code that is expected; returns what it says."""


def visible(folder: Path) -> set[str]:
    """Return the names of what a person sees in a folder."""
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


class Terminal(io.StringIO):
    """A person who types."""

    def isatty(self) -> bool:
        return True
