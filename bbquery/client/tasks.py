"""Tasks that are begun and left to themselves; whoever closes waits for them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Coroutine


class Tasks:
    """The tasks that still run. Each says itself that it has ended: a callback would take a turn of the loop."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine that ends by calling `ended`."""
        self._running.add(asyncio.create_task(work))

    def ended(self) -> None:
        """Forget the current task, which is about to end."""
        self._running.discard(cast("asyncio.Task[Any]", asyncio.current_task()))

    async def wait(self) -> bool:
        """Wait for the tasks that run now; return whether there were any."""
        if not self._running:
            return False
        ended, _ = await asyncio.wait(self._running)
        self._running -= ended  # one that failed could not say so itself
        return True
