"""The rows of one `Ask`: which are left, how many are in work, and what came back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.types import Images, Reply

SHARE_OF_WINDOW = 8  # the part of the window that must be free before rows go to a thread together


class Asking:
    """One call of `Client.ask`. window: the most rows in work at a time."""

    def __init__(self, images: Images, repeats: tuple[int, ...], first_sample: int, window: int) -> None:
        self.images, self.repeats, self.first_sample = images, repeats, first_sample
        self.replies: list[list[Reply | None]] = [[None] * n for n in repeats]
        self._left = list(repeats)
        self._next, self._in_work, self._window = 0, 0, window
        self._changed = asyncio.Event()

    async def take(self, most: int) -> range:
        """Wait for room and return the next rows, at most so many; an empty range where none is left.

        Rows make room one by one, so it waits until a fair part of those wanted go together.
        """
        room = min(most, max(self._window // SHARE_OF_WINDOW, 1))
        while self._in_work + room > self._window and self._next < len(self.repeats):
            self._changed.clear()
            await self._changed.wait()
        stop = min(self._next + most, self._next + self._window - self._in_work, len(self.repeats))
        rows = range(self._next, max(stop, self._next))
        self._next = rows.stop
        self._in_work += len(rows)
        return rows

    def land(self, row: int, place: int, reply: Reply | None) -> None:
        """Keep one reply; with its last one a row makes room for another."""
        self.replies[row][place] = reply
        self._left[row] -= 1
        if not self._left[row]:
            self.give_up([row])

    def give_up(self, rows: Sequence[int]) -> None:
        """Make room for as many other rows."""
        self._in_work -= len(rows)
        self._changed.set()

    async def finished(self) -> None:
        """Wait until no row is in work."""
        while self._in_work:
            self._changed.clear()
            await self._changed.wait()
