"""The halt of a run: the first cause that forbids sending."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from bbquery.errors import BbqueryError
from bbquery.telemetry import note

if TYPE_CHECKING:
    from bbquery.system.clock import Clock


class Interrupted(BbqueryError):
    """A person stopped the run."""


class Halt:
    """Set once, by whichever cause comes first; from then on nothing is sent.

    An interruption also ends the reading of stored answers: a person is waiting.
    """

    def __init__(self) -> None:
        self.error: BbqueryError | None = None
        self._listeners: list[Callable[[], object]] = []

    def __bool__(self) -> bool:
        """Whether nothing more may be sent."""
        return self.error is not None

    @property
    def interrupted(self) -> bool:
        """Whether a person stopped the run."""
        return isinstance(self.error, Interrupted)

    @property
    def reason(self) -> str:
        """Why, for people; empty while running."""
        return "" if self.error is None else str(self.error)

    def set(self, error: BbqueryError, level: int = logging.WARNING) -> None:
        """Stop sending because of `error`, and log that at this level; later causes change nothing."""
        if self.error is None:
            self.error = error
            for listener in tuple(self._listeners):
                listener()
            note("halt", level, cause=type(error).__name__, reason=str(error))

    def add_listener(self, listener: Callable[[], object]) -> None:
        """Call `listener` once it is set: no task of its own waits for that, which could fail unseen."""
        self._listeners.append(listener)

    def remove_listener(self, listener: Callable[[], object]) -> None:
        """Call `listener` no more."""
        self._listeners.remove(listener)

    async def unless_set(self, work: Coroutine[Any, Any, object]) -> None:
        """Await `work`, or until set if that is earlier; then the work is cancelled. What it raises is raised."""
        task = asyncio.ensure_future(work)
        self.add_listener(task.cancel)
        try:
            if self:
                task.cancel()
            await asyncio.wait([task])
        finally:
            self.remove_listener(task.cancel)
            task.cancel()
        if not task.cancelled():
            task.result()

    async def sleep(self, seconds: float, clock: Clock) -> None:
        """Wait for `seconds`, or until set if that is earlier."""
        await self.unless_set(clock.sleep(seconds))
