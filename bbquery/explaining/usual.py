"""What is taken where nothing else is said: the method, the budget, and the score of a kind of answer."""

from __future__ import annotations

from bbquery.load import score_for

__all__ = ["DEFAULT_METHOD", "DEFAULT_QUERIES", "score_for"]

DEFAULT_METHOD = "designed"
DEFAULT_QUERIES = 1000
