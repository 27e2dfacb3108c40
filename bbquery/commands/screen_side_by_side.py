"""The screen of a run whose parts run side by side: one status line for all, and Ctrl-C that ends all in order."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from typing import TYPE_CHECKING, Any

from bbquery.client.halt import Interrupted
from bbquery.commands import interrupts
from bbquery.commands.progress import progress
from bbquery.commands.screen import SECONDS_BETWEEN_BOOKS, Spent
from bbquery.jobs.watch import Watch
from bbquery.shown import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Self

    from bbquery.client.client import Client
    from bbquery.jobs.parts import Part


class SideBySide(Watch):
    """Shows all parts of a run on the terminal: a context manager."""

    PARTS = "attacks"
    """What its parts are called."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._clients: dict[int, Client] = {}  # of each part, its last
        self._left: dict[int, int] = {}  # queries of each part
        self._bar: Any = None  # tqdm has no types
        self._sent = 0  # by clients before the last ones
        self._parts_done = 0
        self._spent = Spent()
        self._interrupted = ""  # by what
        self._booked = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        interrupts.current().sent += self.sent

    @property
    def sent(self) -> int:
        """Attempts of all parts."""
        return self._sent + sum(client.sent for client in self._clients.values())

    def opens(self, planned: Mapping[int, int]) -> None:
        """Show the status line and listen for Ctrl-C. planned: queries of each part, by its place."""
        self._left = dict(planned)
        self._began = time.monotonic()
        self._bar = self._stack.enter_context(progress(self._which(), sum(self._left.values())))
        self._stack.enter_context(interrupts.current().asking(self._interrupt))

    def beside(self, part: Part) -> Watch:
        """Return what hears of one part."""
        return _OfPart(self, part)

    def done(self, part: Part) -> None:
        """Count a part that is done."""
        self._left[part.place] = 0
        self.counts()

    def counts(self) -> None:
        """Show that one more part is done, of which nothing is left to ask."""
        self._parts_done += 1
        self._bar.total = self._bar.n + sum(self._left.values())
        self._bar.set_description_str(self._which(), refresh=False)

    def say(self, *lines: str) -> None:
        """Print lines, above the status line."""
        with self._above_the_bar():
            print(*map(shown, lines), sep="\n")

    def warn(self, text: str) -> None:
        """Print a line on standard error, above the status line."""
        with self._above_the_bar():
            print(shown(text), file=sys.stderr)

    def beware(self, text: str) -> None:
        """Print what must be known of the whole run."""
        self.warn(f"bbquery: BEWARE: {text}")

    def beware_of(self, part: Part, text: str) -> None:
        """Print what must be known of a part before the budget goes."""
        self.warn(f"bbquery: BEWARE: {part.name}: {text}")

    def waits(self, part: Part, text: str) -> None:
        """Print what a part waits for."""
        self.warn(f"bbquery: WAITING: {part.name}: {text}")

    def asks(self, part: Part, client: Client, queries: int) -> None:
        """Take note of who asks for a part, and for how much more."""
        before = self._clients.get(part.place)
        self._sent += 0 if before is None else before.sent
        self._clients[part.place], self._left[part.place] = client, queries
        self._spent.follow(client.ledger, part.budget)
        if self._interrupted:
            client.halt.set(Interrupted(f"interrupted by {self._interrupted}"))

    def answered(self, part: Part) -> None:
        """Move the bar and, now and then, look up what was spent."""
        self._left[part.place] = max(self._left[part.place] - 1, 0)
        self._bar.total = self._bar.n + 1 + sum(self._left.values())
        now = time.monotonic()
        if now - self._booked >= SECONDS_BETWEEN_BOOKS:
            self._booked = now
            self._bar.set_postfix_str(self._status(self._clients[part.place], now - self._began), refresh=False)
        self._bar.update(1)

    def _which(self) -> str:
        return f"{self._parts_done} of {len(self._left)} {self.PARTS} done: "

    def _status(self, client: Client, seconds: float) -> str:
        """Return what was spent, what it will come to, and how many queries are in flight."""
        left = sum(self._left.values())
        spent = self._spent.told(client.ledger, sent=self.sent, left=left, seconds=seconds)
        in_flight = f"{sum(each.in_flight for each in self._clients.values())} in flight"
        return ", ".join(filter(None, [f"{self.sent} sent", spent, in_flight]))

    @contextlib.contextmanager
    def _above_the_bar(self) -> Iterator[None]:
        """Take the status line away for as long as something else is printed."""
        if self._bar is None:
            yield
            return
        self._bar.clear()
        try:
            yield
        finally:
            self._bar.refresh()

    def _interrupt(self, number: int, _: object) -> None:
        """Once: send no more. Twice: wait no longer either."""
        loop = asyncio.get_running_loop()
        if self._interrupted:
            for client in self._clients.values():
                loop.call_soon_threadsafe(client.abandon)
            return
        self._interrupted = interrupts.name_of(number)  # also for parts that are not begun yet
        loop.call_soon_threadsafe(self._stop)  # a signal may come amid a write to the terminal, which allows no other

    def _stop(self) -> None:
        print("\nstopping: waiting for what is in flight (Ctrl-C again abandons it)", file=sys.stderr)
        for client in self._clients.values():
            client.halt.set(Interrupted(f"interrupted by {self._interrupted}"))


class _OfPart(Watch):
    """Hears of one part of a run, and passes it on."""

    def __init__(self, screen: SideBySide, part: Part) -> None:
        self._screen, self._part = screen, part

    def ends(self, part: Part) -> None:
        """Count it as done."""
        self._screen.done(part)

    def started(self, client: Client, queries: int, rows: int) -> None:  # noqa: ARG002 - a row is a query here
        """Count what it will ask."""
        self._screen.asks(self._part, client, queries)

    def measuring(self, client: Client, queries: int) -> None:
        """Count what is left to ask."""
        self._screen.asks(self._part, client, queries)

    def progressed(self) -> None:
        """Count an answer."""
        self._screen.answered(self._part)

    def beware(self, text: str) -> None:
        """Print what must be known before the budget goes."""
        self._screen.beware_of(self._part, text)

    def waiting(self, text: str) -> None:
        """Print what the run waits for."""
        self._screen.waits(self._part, text)
