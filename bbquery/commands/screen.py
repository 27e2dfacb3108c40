"""The screen of a run: what the model sees, progress, and Ctrl-C that ends in order."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from typing import TYPE_CHECKING, Any

from bbquery.client.halt import Interrupted
from bbquery.commands import interrupts
from bbquery.commands.progress import progress
from bbquery.jobs.explain.result import top_classes
from bbquery.jobs.watch import Watch
from bbquery.money import dollars
from bbquery.shown import shown
from bbquery.types import Label, Labels, Text, Vector

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from bbquery.batches.prefetch import Prefetch
    from bbquery.client.client import Client
    from bbquery.jobs.parts import Part
    from bbquery.ledger.ledger import Ledger
    from bbquery.oracle import Capabilities
    from bbquery.types import Answer

LONGEST_LABEL = 80  # letters of a label under what the model sees
LONGEST_NAME = 24  # letters of an image's name in the status line
SECONDS_BETWEEN_BOOKS = 0.5  # reading what was spent takes a look into the ledger


class Spent:
    """What a run spent, over all budgets that it asks in: an attack's search and verification have one each."""

    def __init__(self) -> None:
        self._before: dict[int, int] = {}
        self._now = 0
        self._cap: int | None = None

    def follow(self, ledger: Ledger, budget: int) -> None:
        """Count what is spent in this budget too."""
        self._before.setdefault(budget, ledger.budget(budget).posted.picodollars)

    def told(self, ledger: Ledger, *, sent: int, left: int, seconds: float) -> str:
        """Return what was spent, what it will come to, and how fast; empty where nothing was.

        What is left will cost what a query cost since this run began here, and never more than the caps allow.

        sent: queries since then. left: queries to come. seconds: since then.
        """
        if not ledger.out_of_reach:  # else what was known last is shown: a run does not wait for its own display
            states = [ledger.budget(budget) for budget in self._before]
            self._now = sum(state.posted.picodollars for state in states)
            caps = [state.cap.picodollars for state in states]
            self._cap = None if None in caps else sum(cap for cap in caps if cap is not None)
        if not self._now:
            return ""
        lately = max(self._now - sum(self._before.values()), 0)
        whole = self._now + lately * left // max(sent, 1)
        whole = whole if self._cap is None else max(min(whole, self._cap), self._now)
        rate = int(lately / max(seconds, 1e-3) * 60)
        return f"${cents(self._now)} spent of about ${cents(whole)}, ${cents(rate)}/min"


class Screen(Watch):
    """Shows a run on the terminal: a context manager."""

    _client: Client
    _budget: int

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._part: Part | None = None
        self._bar: Any = None  # tqdm has no types
        self._sent = 0  # for the images before
        self._share, self._rows, self._before = (1, 1), 0, 0  # queries of rows; rows answered; queries before them
        self._spent = Spent()
        self._interrupted = ""  # by what
        self._prefetch: Prefetch | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        interrupts.current().sent += self._sent + (0 if self._bar is None else self._client.sent)

    def begins(self, part: Part) -> None:
        """Take note of which image is next."""
        self._part = part

    def measuring(self, client: Client, queries: int) -> None:
        """Go on with what `started` began."""
        self.started(client, queries, queries)

    def started(self, client: Client, queries: int, rows: int) -> None:
        """Show the status line and listen for Ctrl-C; with the next part of a run, go on with both."""
        self._sent += 0 if self._bar is None else self._client.sent
        self._client, self._booked = client, 0.0
        self._budget = client.budget if self._part is None else self._part.budget
        self._spent.follow(client.ledger, self._budget)
        left = 1 if self._part is None else self._part.count - self._part.place
        if self._bar is None:
            self._open(left * queries)
        else:  # an image that ended early leaves queries that nobody will ask
            self._bar.total = self._bar.n + left * queries
            self._bar.set_description_str(self._which(), refresh=False)
        self._share, self._rows, self._before = (queries, rows), 0, self._bar.n
        if self._interrupted:
            client.halt.set(Interrupted(f"interrupted by {self._interrupted}"))

    def _open(self, total: int) -> None:
        self._began = time.monotonic()
        self._bar = self._stack.enter_context(progress(self._which(), total))
        self._stack.enter_context(interrupts.current().asking(self._interrupt))

    def _which(self) -> str:
        """Return which image of how many; nothing where there is but one."""
        part = self._part
        return "" if part is None else f"image {part.place + 1} of {part.count}, {shown(part.name[:LONGEST_NAME])}: "

    def say(self, *lines: str) -> None:
        """Print lines, above the status line where there is one."""
        with self._above_the_bar():
            print(*map(shown, lines), sep="\n")

    def seen(self, clean: Answer, capabilities: Capabilities) -> None:
        """Print what the model sees."""
        made = [f"({capabilities.activation})"] if capabilities.activation else []
        lines = [*_lines(clean, capabilities), *made]
        self.say(f"{self._which()}{capabilities.name} sees:", *(f"  {line}" for line in lines))

    def beware(self, text: str) -> None:
        """Print what must be known before the budget goes."""
        with self._above_the_bar():
            print(shown(f"bbquery: BEWARE: {self._which()}{text}"), file=sys.stderr)

    def waiting(self, text: str) -> None:
        """Print what the run waits for."""
        with self._above_the_bar():
            print(shown(f"bbquery: WAITING: {text}"), file=sys.stderr)

    def batching(self, prefetch: Prefetch) -> None:
        """Take note of whom a second Ctrl-C must reach too."""
        self._prefetch = prefetch

    def batch_news(self, text: str) -> None:
        """Print what happened to a batch."""
        with self._above_the_bar():
            print(shown(text), file=sys.stderr)

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

    def batch_status(self, text: str) -> None:
        """Show how batches stand, in place of what is spent: nothing is answered meanwhile."""
        self._bar.set_postfix_str(shown(text))

    def progressed(self) -> None:
        """Move the bar and, now and then, look up what was spent."""
        now = time.monotonic()
        if now - self._booked >= SECONDS_BETWEEN_BOOKS or self._is_last:  # the last line stays
            self._booked = now
            self._bar.set_postfix_str(self._status(now - self._began), refresh=False)
        self._rows += 1
        self._bar.update(self._done(self._rows) - self._bar.n)

    def _done(self, rows: int) -> int:
        """Return how many queries are answered once so many rows of this image's plans are."""
        queries, of_rows = self._share
        return self._before + min(rows * queries // of_rows, queries)  # what is asked again is answered twice

    @property
    def _is_last(self) -> bool:
        """Whether the query that is answered now is the last."""
        return self._done(self._rows + 1) >= int(self._bar.total)

    def _status(self, seconds: float) -> str:
        """Return what was spent, what it will come to, and how the oracle is doing."""
        client, sent = self._client, self._sent + self._client.sent
        parts = [f"{sent} sent"]
        left = max(int(self._bar.total) - self._done(self._rows + 1), 0)
        parts += filter(None, [self._spent.told(client.ledger, sent=sent, left=left, seconds=seconds)])
        if not self._is_last:
            parts.append(f"{client.in_flight} in flight")
        if client.rate_limits:
            parts.append(f"{client.rate_limits} × told to wait")
        return ", ".join(parts)

    def _interrupt(self, number: int, _: object) -> None:
        """Once: send no more. Twice: wait no longer either."""
        loop = asyncio.get_running_loop()
        if self._interrupted:
            loop.call_soon_threadsafe(self._client.abandon)
            if self._prefetch is not None:
                loop.call_soon_threadsafe(self._prefetch.abandon)
            return
        self._interrupted = interrupts.name_of(number)  # also for an image that is not begun yet
        loop.call_soon_threadsafe(self._stop)  # a signal may come amid a write to the terminal, which allows no other

    def _stop(self) -> None:
        print("\nstopping: waiting for what is in flight (Ctrl-C again abandons it)", file=sys.stderr)
        self._client.halt.set(Interrupted(f"interrupted by {self._interrupted}"))


def _lines(clean: Answer, capabilities: Capabilities) -> list[str]:
    """Return the top of an answer, for people."""
    match clean:
        case Vector():
            return [f"{value:8.4f}  {label}" for label, value in top_classes(clean, capabilities, 5)]
        case Labels(labels):
            return [_label(label) for label in labels[:5]]
        case Text():
            return [" ".join(clean.spoken.text.split())[:300]]
    return [str(clean)]


def _label(label: Label) -> str:
    name = shown(label.name, LONGEST_LABEL) + ("" if label.box is None else f" {label.box}")
    return name if label.score is None else f"{label.score:8.4f}  {name}"


def cents(picodollars: int) -> str:
    """Return dollars with as many digits as tell something: four, or all where they are fewer."""
    return dollars(round(picodollars, -8))
