"""A model that is named on a command line and loses answers: what was lost may have been billed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbquery.errors import OutcomeUnknown
from tests.support import models

if TYPE_CHECKING:
    from collections.abc import Collection

    from bbquery.types import Image

calls = 0
lost: Collection[int] = ()
"""Which calls, from 0, bring no answer."""


def begin(lose: Collection[int]) -> None:
    """Count calls anew, and lose these."""
    global calls, lost
    calls, lost = 0, lose


def _count() -> None:
    global calls  # noqa: PLW0603 - as above
    calls += 1
    if calls - 1 in lost:
        raise OutcomeUnknown("the connection broke off")


def sides(image: Image) -> list[float]:
    """Answer as `models.sides`, or not at all."""
    _count()
    return models.sides(image)


def brighter_half(image: Image) -> str:
    """Answer as `models.brighter_half`, or not at all."""
    _count()
    return models.brighter_half(image)
