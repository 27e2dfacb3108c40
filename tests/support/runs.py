"""What a command left behind, as a person finds it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path

Say: TypeAlias = Callable[..., str]
"""Runs a command: words, and the code that is expected; returns what it says."""


def visible(folder: Path) -> set[str]:
    """Return the names of what a person sees in a folder."""
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}
