"""Stopping a command by Ctrl-C, SIGTERM, or SIGHUP, which a closed terminal sends.

All of them mean the same; what happens depends on what the command is doing:

1. Before anything is asked, it ends at once.
2. While it asks, the first one sends no more and waits for what is in flight; the second does not wait either.
3. While results are written, the first one lets that be finished; the second ends it.

In 2 and 3 what was answered is kept, so the same command again asks only for the rest. A closed terminal is heard once,
since the system may say it twice. A command that is to outlive its terminal, as under nohup, does.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import FrameType

Handler: TypeAlias = "Callable[[int, FrameType | None], Any]"

NAMES = {"SIGINT": "Ctrl-C", "SIGTERM": "SIGTERM", "SIGHUP": "a closed terminal"}
FINISHING = "\nbbquery: the results are being written, which is finished first (Ctrl-C again ends it at once)\n"


def name_of(number: int) -> str:
    """Return what a signal is called, for people."""
    return NAMES[signal.Signals(number).name]


_current: ContextVar[Interrupts | None] = ContextVar("_current", default=None)


class Interrupts:
    """The signal that stopped a command, and the number of queries sent by then."""

    def __init__(self) -> None:
        self.sent = 0
        self._by = self._while_writing = ""
        self._hung_up = False

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """Listen for as long as a command runs."""
        token = _current.set(self)
        before: dict[int, Any] = {signal.SIGINT: signal.getsignal(signal.SIGINT)}
        before |= self._listen(self._before_asking, "SIGTERM", "SIGHUP")
        try:
            yield
        finally:
            _restore(before)
            _current.reset(token)

    @contextlib.contextmanager
    def asking(self, stop: Handler) -> Iterator[None]:
        """Let signals stop a run through a handler; afterwards they let results be written, until the command ends."""
        before = self._listen(stop, *NAMES)
        try:
            yield
        finally:
            if _current.get() is self:
                self._listen(self._writing, *NAMES)
            else:
                _restore(before)

    def reason(self) -> str:
        """Return why a command ended at once."""
        by = f" by {self._by}" if self._by else ""
        if not self.sent:
            return f"interrupted{by} before anything was asked"
        return f"interrupted{by} while results were being written; {self._kept('writes them')}"

    def finished(self) -> str | None:
        """Return what a person must know who stopped a command that was finished all the same; None: nobody did."""
        if not self._while_writing:
            return None
        stopped = f"interrupted by {self._while_writing} while results were being written, which was finished"
        return f"{stopped}; {self._kept('gives the same')}"

    def _kept(self, does: str) -> str:
        sent = f"{self.sent:,} {'query was' if self.sent == 1 else 'queries were'} sent"
        return f"{sent} and what was answered is kept: the same command again {does} and pays for none of that"

    def _listen(self, handler: Handler, *names: str) -> dict[int, Any]:
        """Let a handler hear these signals, where this thread can; return what heard them before."""

        def hear(number: int, frame: FrameType | None) -> None:
            if name_of(number) == NAMES["SIGHUP"]:
                if self._hung_up:
                    return
                self._hung_up = True
            handler(number, frame)

        if threading.current_thread() is not threading.main_thread():
            return {}
        present = [getattr(signal, name) for name in names if hasattr(signal, name)]
        outlives = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN if hasattr(signal, "SIGHUP") else False
        return {n: signal.signal(n, hear) for n in present if not (outlives and name_of(n) == NAMES["SIGHUP"])}

    def _before_asking(self, number: int, frame: FrameType | None) -> None:
        self._by = name_of(number)
        ends = signal.getsignal(signal.SIGINT)
        if not callable(ends):  # it is ignored, as in the background of a script
            raise KeyboardInterrupt
        ends(signal.SIGINT, frame)  # which asyncio may have set to end its tasks in order

    def _writing(self, number: int, _: FrameType | None) -> None:
        if self._while_writing:
            self._by = name_of(number)
            raise KeyboardInterrupt
        self._while_writing = name_of(number)
        with contextlib.suppress(OSError, ValueError):  # no print: the signal may come amid one
            os.write(sys.stderr.fileno(), FINISHING.encode())


def current() -> Interrupts:
    """Return the one of the command that runs; where none does, one of its own."""
    return _current.get() or Interrupts()


def _restore(handlers: Mapping[int, Any]) -> None:
    if threading.current_thread() is threading.main_thread():
        for number, handler in handlers.items():
            signal.signal(number, handler)
