"""Models that keep what they are shown, and lose answers or act first where a test says so."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from bbquery.errors import OutcomeUnknown
from tests.support import models

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from bbquery.types import Image


class Counted:
    """A model that keeps the images it was shown. Set `before` to functions that are called first, at each call."""

    def __init__(self, call: Callable[[Any], Any] = models.sides) -> None:
        self._call, self._lock = call, threading.Lock()
        self.begin()

    def begin(self, lose: Collection[int] = ()) -> None:
        """Count anew; the calls in `lose`, from 0, bring no answer, and what was lost may have been billed."""
        self.shown: list[Image] = []
        self.before: list[Callable[[], None]] = []
        self._lose = lose

    @property
    def calls(self) -> int:
        """How often it was called."""
        return len(self.shown)

    def note(self, image: Image) -> None:
        """Count a call, and lose it where it is one of those."""
        with self._lock:
            number = len(self.shown)
            self.shown.append(image.copy())
        for act in self.before:
            act()
        if number in self._lose:
            raise OutcomeUnknown("the connection broke off")

    def __call__(self, image: Image) -> Any:
        """Answer as the model does."""
        self.note(image)
        return self._call(image)


watched = Counted()
"""Counts the calls of the two below, which command lines name."""


def sides(image: Image) -> list[float]:
    """Answer as `models.sides`, or not at all."""
    watched.note(image)
    return models.sides(image)


def brighter_half(image: Image) -> str:
    """Answer as `models.brighter_half`, or not at all."""
    watched.note(image)
    return models.brighter_half(image)
