"""Order: how early a text names the target: 1 where it does so first, 1/2, 1/3 … after other things, else 0.

A caption names what it is surest of first. A target that slides from "a cat" to "a dog, or perhaps a cat" is less
visible, which `mention` does not see: it says 1 to both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bbquery.scoring.mention import BoundMention, Mention

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bbquery.scoring.base import About
    from bbquery.types import Answer, Classes

STOP = r"[,;:.!?](?=\s|$)"  # not that of a number
BREAK = re.compile(rf"(?:{STOP})?\s+(?:and|or)\b|{STOP}", re.IGNORECASE)
"""Stands between things that a text names: a mark, "and" or "or" (English), or a mark and one of these."""


@dataclass(frozen=True, kw_only=True)
class Order(Mention):
    """One over the place of the target among the parts of a text, which marks, "and" and "or" divide; 0 without it.

    It is found as whole words, whatever their case, and no sense is read. The criterion is met where the target is
    mentioned at all; "no information" is 0.
    """

    def bind(self, clean: Answer, target: str | None, classes: Classes | None) -> BoundOrder:
        """Fix the target word or words.

        Raises:
            UsageError: no target is named.
        """
        return BoundOrder(super().bind(clean, target, classes).target)


@dataclass(frozen=True)
class BoundOrder(BoundMention):
    """`Order` of `target`."""

    @property
    def about(self) -> About:
        """Meaning of a value."""
        return replace(super().about, unit="one over the place at which it is named")

    def __call__(self, answers: Sequence[Answer]) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
        """Return whether each text mentions the target, and one over its place, or 0."""
        places = np.array([self._place(answer) for answer in answers], dtype=np.float64)
        return (places > 0).astype(np.int8), np.divide(1, places, out=np.zeros_like(places), where=places > 0)

    def steps(self, answer: Answer) -> list[str]:
        """Return what is looked for, where it is found, and at which place."""
        place = self._place(answer)
        return [*super().steps(answer), f"place {place}: value 1/{place}" if place else "value 0"]

    def _place(self, answer: Answer) -> int:
        """Return 1 for the first part of the text, and so on; 0 where the target is nowhere."""
        found = self._found(answer)
        return 0 if found is None else 1 + len(BREAK.findall(found.string, 0, found.start()))


SCORE = Order
