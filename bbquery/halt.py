"""Why a run may send no more."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from bbquery.errors import BbqueryError
from bbquery.telemetry import note

if TYPE_CHECKING:
    from bbquery.clock import Clock


class Interrupted(BbqueryError):
    """A person stopped the run."""


class Halt:
    """Set once, by whichever cause comes first; from then on nothing is sent.

    An interruption also ends the reading of stored answers: a person is waiting.
    """

    def __init__(self) -> None:
        self.error: BbqueryError | None = None
        self._event = asyncio.Event()

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
            self._event.set()
            note("halt", level, cause=type(error).__name__, reason=str(error))

    async def wait(self) -> None:
        """Wait until it is set."""
        await self._event.wait()

    async def sleep(self, seconds: float, clock: Clock) -> None:
        """Wait for `seconds`, or until set if that is earlier."""
        waits = {asyncio.ensure_future(clock.sleep(seconds)), asyncio.ensure_future(self._event.wait())}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
