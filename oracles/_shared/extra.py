"""Packages that an extra brings, imported only when they are needed."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from bbquery.errors import MissingExtra

if TYPE_CHECKING:
    from types import ModuleType


def needed(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import `module`, whose package is named alike.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(extra, purpose, module.replace("_", "-")) from error
