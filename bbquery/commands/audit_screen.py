"""The screen of an audit: one status line, a line for each photo that is done, and Ctrl-C that ends in order."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery.commands.output import warn
from bbquery.commands.screen_side_by_side import SideBySide
from bbquery.money import dollars

if TYPE_CHECKING:
    from bbquery.client.client import Client
    from bbquery.jobs.audit.row import Row
    from bbquery.jobs.parts import Part

VARYING = re.compile(r"""[0-9]+(?:[.,][0-9]+)*|'[^']*'|"[^"]*\"""")
"""What differs from photo to photo in a warning of one kind: numbers and names."""
SECONDS_TOGETHER = 1.0  # within which photos that begin to wait for the same are said in one line
READ_ON = "the report in each photo's folder has its own"


@dataclass
class Warned:
    """A kind of warning: the photo that had it first, its words, and how many photos had it."""

    first: str
    text: str
    photos: int = 1


class AuditScreen(SideBySide):
    """Shows an audit on the terminal: a context manager. Nothing is kept of a photo that is done."""

    PARTS = "photos"

    def __init__(self) -> None:
        super().__init__()
        self._warned: dict[str, Warned] = {}  # by kind
        self._own: dict[int, set[str]] = {}  # kinds of each photo at work
        self._waiting: dict[str, dict[str, str]] = {}  # by kind: what each photo waits for, not yet said

    def __exit__(self, *reason: object) -> None:
        for waiting in tuple(self._waiting):
            self._say_waiting(waiting)
        super().__exit__(*reason)
        for kind in self._warned.values():
            if kind.photos > 1:
                warn(f"BEWARE: of {kind.photos:,} photos, as of {kind.first}: {kind.text}; {READ_ON}")

    def beware_of(self, part: Part, text: str) -> None:
        """Print a warning where it is the first of its kind: every photo may have it."""
        kind, own = VARYING.sub("#", text), self._own.setdefault(part.place, set())
        if kind not in self._warned:
            self._warned[kind] = Warned(part.name, text)
            super().beware_of(part, text)
        elif kind not in own:
            self._warned[kind].photos += 1
        own.add(kind)

    def waits(self, part: Part, text: str) -> None:
        """Print what photos wait for, once for all that begin to together, with the reason of the first.

        A provider stops them all, but says why only to the one that it refused.
        """
        kind = VARYING.sub("#", text.partition(": ")[0])
        if kind not in self._waiting:
            self._waiting[kind] = {}
            asyncio.get_running_loop().call_later(SECONDS_TOGETHER, self._say_waiting, kind)
        self._waiting[kind][part.name] = text

    def _say_waiting(self, kind: str) -> None:
        photos = list(self._waiting.pop(kind, {}).items())
        if photos:  # else it was said at the end, which came first
            (first, text), *others = photos
            more = f" and {len(others):,} more" if others else ""
            self.warn(f"bbquery: WAITING: {first}{more}: {text}")

    def asks(self, part: Part, client: Client, queries: int) -> None:
        """Take note of who asks for a photo; what its other parts will ask stays expected."""
        left = self._left.get(part.place, queries)
        super().asks(part, client, max(left, queries))

    def done(self, part: Part) -> None:
        """Expect nothing more of a photo that ended, and forget who asked for it; `took` counts it, if it is whole."""
        self._left[part.place] = 0
        self._own.pop(part.place, None)
        client = self._clients.pop(part.place, None)
        self._sent += 0 if client is None else client.sent

    def had(self, part: Part) -> None:
        """Count a photo that an earlier run asked."""
        self._left[part.place] = 0
        self.counts()

    def took(self, row: Row) -> None:
        """Print the line of a photo that ended, and count it where all of it was asked."""
        if row.complete:
            self.counts()
        self.say(line(row))


def line(row: Row) -> str:
    """Return what came of a photo on an oracle, in a line."""
    said = [row.first or row.nothing or "no answer"]
    said += [f"fidelity {row.fidelity:.3f}"] if row.fidelity is not None else []
    said += [f"{a.outcome}" + ("" if a.rmse is None else f" at RMSE {a.rmse:.4f}") for a in row.attacks]
    said += [f"{row.posted.queries:,} queries"]
    if row.queries < row.posted.queries + row.held.queries:
        said[-1] += f", {row.queries:,} now" if row.queries else ", nothing sent now"
    said += [f"${dollars(row.posted.picodollars)}"] if row.posted.picodollars else []
    said += [row.why] if row.why else []
    return f"{row.oracle}: {row.photo}: {row.status}: {'; '.join(said)}"
