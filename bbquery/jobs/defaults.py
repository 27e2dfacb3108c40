"""Defaults: method, budget, score."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bbquery.saliency import Method

DEFAULT_METHOD = "designed"


def shareable(method: Method) -> Method:
    """Return a method whose questions several targets, or a file, can share, where it leaves that open; else itself."""
    found: Method = getattr(method, "shareable", lambda: method)()
    return found
