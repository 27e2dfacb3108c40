"""A time limit for each of many tasks, kept by one timer: a timer a task costs more than a small answer."""

from __future__ import annotations

import asyncio

HELD_UP = 1.0  # seconds by which a timer is late only where something kept the loop from running
SECONDS_TO_READ = 1.0  # what has come meanwhile


class Deadlines:
    """Cancels tasks that take longer than `seconds`. Belongs to one event loop.

    All tasks have the same time, so they are overdue in the order in which they began. A loop that was held up, as by a
    ledger out of reach, first reads what came meanwhile: the limit is for the other side's silence, not for our own.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._due: dict[asyncio.Task[None], float] = {}
        self._overdue: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, task: asyncio.Task[None]) -> None:
        """Start the task's time."""
        loop = task.get_loop()  # which costs no system call, as the running loop does before Python 3.12
        self._due[task] = due = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_at(due, self._ring, loop)

    def end(self, task: asyncio.Task[None]) -> bool:
        """Stop the task's time; return whether it had run out."""
        self._due.pop(task, None)
        if task in self._overdue:
            self._overdue.remove(task)
            return True
        return False

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def cancel(self, but: asyncio.Task[None] | None) -> None:
        """Cancel all tasks, whatever time they have left, but this one."""
        for task in self._due:
            if task is not but:
                task.cancel()

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        if loop.time() - next(iter(self._due.values()), loop.time()) > HELD_UP:
            self._due = dict.fromkeys(self._due, loop.time() + SECONDS_TO_READ) | {
                task: due for task, due in self._due.items() if due > loop.time() + SECONDS_TO_READ
            }
        for task, due in list(self._due.items()):
            if due > loop.time():
                self._timer = loop.call_at(due, self._ring, loop)
                return
            del self._due[task]
            self._overdue.add(task)
            task.cancel()
        self._timer = None
