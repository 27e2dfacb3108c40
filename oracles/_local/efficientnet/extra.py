"""The packages that the extra `efficientnet` brings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oracles._shared import extra

if TYPE_CHECKING:
    from types import ModuleType


def needed(module: str) -> ModuleType:
    """Import `module`, whose package is named alike.

    Raises:
        MissingExtra: it is not installed.
    """
    return extra.needed(module, extra="efficientnet", purpose="the oracle 'efficientnet'")
