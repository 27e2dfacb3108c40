"""The text of an answer, for scores that read texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbquery.errors import UsageError
from bbquery.types import Text

if TYPE_CHECKING:
    from bbquery.types import Answer


def said(answer: Answer) -> Text:
    """Return what the text says, without the model's reasoning.

    Raises:
        UsageError: the answer is none.
    """
    if not isinstance(answer, Text):
        raise UsageError(f"this score reads texts; this oracle answered {answer!s:.200}: use --score soft or hard")
    return answer.spoken
