"""Executors: where the photos of an audit are asked, in this process or on other machines.

Which photo begins, in what order and within which caps, is the engine's to say; what is asked of it is `Work`'s.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from bbquery.jobs.audit.asking import Asking
    from bbquery.jobs.audit.lane import Lane
    from bbquery.jobs.audit.work import Outcome, Work

MOST_PIXELS = 100_000_000  # of all photos at work in this process: eight of a phone's

Asks: TypeAlias = "Callable[[], Coroutine[Any, Any, Outcome]]"
"""Asks a photo to its end."""


class Executor(Protocol):
    """Asks photos side by side."""

    def has_room(self, lane: Lane, lanes: int, asking: Asking, now: float) -> bool:
        """Whether another photo should begin. lanes: how many have photos left or at work. now: in seconds."""

    def taken(self, work: Work) -> Asks:
        """Take a photo, and return what asks it; its pixels are held no longer than that needs them."""


class Local:
    """Asks in this process: a photo begins once its oracle would idle otherwise, and memory allows it."""

    def __init__(self) -> None:
        self._pixels = 0

    def has_room(self, lane: Lane, lanes: int, asking: Asking, now: float) -> bool:  # noqa: ARG002 - of any executor
        """Whether the oracle would idle without another photo, and there is memory for one."""
        has_memory = not self._pixels or self._pixels + asking.area <= MOST_PIXELS
        return has_memory and lane.is_hungry(now)

    def taken(self, work: Work) -> Asks:
        """Take a photo."""
        self._pixels += work.asking.area
        return functools.partial(self._asked, work)

    async def _asked(self, work: Work) -> Outcome:
        try:
            return await work.run()
        finally:
            self._pixels -= work.asking.area
