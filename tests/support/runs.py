"""What a command left behind, as a person finds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def visible(folder: Path) -> set[str]:
    """Return the names of what a person sees in a folder."""
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}
