"""What a person sees of a run: what the model sees, one status line, and Ctrl-C that ends in order."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

from tqdm import tqdm

from bbquery import explanation as explaining
from bbquery.halt import Interrupted
from bbquery.money import dollars
from bbquery.types import Label, Labels, Text, Vector

if TYPE_CHECKING:
    from typing import Self

    from bbquery.client import Client
    from bbquery.explanation import Job
    from bbquery.oracle import Capabilities
    from bbquery.types import Answer

BAR = "{percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} queries{postfix}, {rate_noinv_fmt}, {remaining} left"
SECONDS_BETWEEN_LINES = 0.1
SECONDS_BETWEEN_LINES_OF_A_LOG = 2.0
SECONDS_BETWEEN_BOOKS = 0.5  # reading what was spent takes a look into the ledger


class Screen(explaining.Watch):
    """Shows a run on the terminal: a context manager."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def started(self, client: Client, job: Job) -> None:
        """Show the status line and listen for Ctrl-C."""
        self._client, self._began, self._spent, self._booked = client, time.monotonic(), 0, 0.0
        slow = SECONDS_BETWEEN_LINES if sys.stderr.isatty() else SECONDS_BETWEEN_LINES_OF_A_LOG
        total = job.queries + job.method.queries * (max(len(job.targets), 1) - 1)
        self._before = client.ledger.budget(client.budget).posted.picodollars
        self._bar = self._stack.enter_context(
            tqdm(total=total, file=sys.stderr, dynamic_ncols=True, mininterval=slow, bar_format=BAR, unit=" queries")
        )
        if threading.current_thread() is threading.main_thread():  # others cannot hear signals
            self._stack.callback(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, self._interrupt))

    def seen(self, clean: Answer, capabilities: Capabilities) -> None:
        """Print what the model sees."""
        with tqdm.external_write_mode(file=sys.stdout):
            print(f"{capabilities.name} sees:", *_lines(clean, capabilities), sep="\n  ")

    def progressed(self) -> None:
        """Move the bar and, now and then, look up what was spent."""
        now = time.monotonic()
        if now - self._booked >= SECONDS_BETWEEN_BOOKS:
            self._booked = now
            self._bar.set_postfix_str(self._status(now - self._began), refresh=False)
        self._bar.update()

    def _status(self, seconds: float) -> str:
        """Return what was spent, what it will come to, and how the oracle is doing."""
        client = self._client
        parts = [f"{client.sent} sent"]
        spent = client.ledger.budget(client.budget).posted.picodollars
        if spent:
            share = max(self._bar.n, 1) / max(self._bar.total, 1)
            rate = (spent - self._before) / max(seconds, 1e-3) * 60
            parts.append(f"${_cents(spent)} spent of about ${_cents(int(spent / share))}, ${_cents(int(rate))}/min")
        parts.append(f"{client.in_flight} in flight")
        if client.rate_limits:
            parts.append(f"{client.rate_limits} × 429")
        return ", ".join(parts)

    def _interrupt(self, *_: object) -> None:
        """Once: send no more. Twice: wait no longer either."""
        loop = asyncio.get_running_loop()
        if self._client.halt.interrupted:
            loop.call_soon_threadsafe(self._client.abandon)
            return
        print("\nstopping: waiting for what is in flight (Ctrl-C again abandons it)", file=sys.stderr)
        loop.call_soon_threadsafe(self._client.halt.set, Interrupted("interrupted by Ctrl-C"))


def _lines(clean: Answer, capabilities: Capabilities) -> list[str]:
    """Return the top of an answer, for people."""
    match clean:
        case Vector():
            return [f"{value:8.4f}  {label}" for label, value in explaining.top_classes(clean, capabilities, 5)]
        case Labels(labels):
            return [_label(label) for label in labels[:5]]
        case Text(text):
            return [" ".join(text.split())[:300]]
    return [str(clean)]


def _label(label: Label) -> str:
    return label.name if label.score is None else f"{label.score:8.4f}  {label.name}"


def _cents(picodollars: int) -> str:
    """Return dollars with as many digits as tell something: four, or all where they are fewer."""
    return dollars(round(picodollars, -8))
