"""What is taken where nothing else is said: the method, the budget, and the score of a kind of answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbquery import load
from bbquery.scoring.mention import Mention
from bbquery.scoring.soft import Soft

if TYPE_CHECKING:
    from bbquery.oracle import Capabilities
    from bbquery.scoring.base import Score

DEFAULT_METHOD = "designed"
DEFAULT_QUERIES = 1000


def score_for(capabilities: Capabilities, wanted: Score | str | None = None) -> Score:
    """Return the score that is wanted; None: the usual one of an oracle's kind of answer.

    Raises:
        UnknownName: no score or option has this name. UsageError: a bad option.
    """
    if wanted is not None:
        return load.score(wanted) if isinstance(wanted, str) else wanted
    return Mention() if capabilities.answers == "text" else Soft()
