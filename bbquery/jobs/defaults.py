"""What is taken where nothing else is said: the method, the budget, and the score of a kind of answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbquery.load import score_for

if TYPE_CHECKING:
    from bbquery.saliency import Method

__all__ = ["DEFAULT_METHOD", "DEFAULT_QUERIES", "score_for", "shareable"]

DEFAULT_METHOD = "designed"
DEFAULT_QUERIES = 1000


def shareable(method: Method) -> Method:
    """Return a method whose questions several targets, or a file, can share, where it leaves that open; else itself."""
    found: Method = getattr(method, "shareable", lambda: method)()
    return found
