"""Progress of a run in two numbers, however many parts it has: queries that are answered, and queries in all.

1. A stretch is what one client asks: a map, its measuring, a search, its verification. It is known once it begins.
2. A part of a run that is not begun is taken to be as long as the one that began last.
3. A stretch that ends early counts for what it asked, so that the end is reached.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery.jobs.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from bbquery.client.client import Client
    from bbquery.jobs.parts import Part


@dataclass
class _Stretch:
    """queries: that are asked at most. rows: how often answers are heard of, more than once of a shared query."""

    queries: int
    rows: int
    heard: int = 0

    @property
    def done(self) -> int:
        """Queries answered; what is asked again is heard of twice."""
        return min(self.heard * self.queries // self.rows, self.queries) if self.rows else 0


class Counting(Watch):
    """Tells a function (queries answered, queries in all) at each answer."""

    def __init__(self, tell: Callable[[int, int], object]) -> None:
        self._run = _Run(tell)
        self._part = _OfPart(self._run)

    def begins(self, part: Part) -> None:
        """Take note of how many parts there are."""
        self._run.begins(part)

    def beside(self, part: Part) -> Watch:
        """Return what hears of one part."""
        self._run.begins(part)
        return _OfPart(self._run)

    def started(self, client: Client, queries: int, rows: int) -> None:
        """Count what will be asked."""
        self._part.started(client, queries, rows)

    def measuring(self, client: Client, queries: int) -> None:
        """Count what is asked beside."""
        self._part.measuring(client, queries)

    def progressed(self) -> None:
        """Count an answer."""
        self._part.progressed()


class _Run:
    """What all parts of a run have asked, and have left."""

    def __init__(self, tell: Callable[[int, int], object]) -> None:
        self._tell, self._stretches = tell, list[_Stretch]()
        self._parts, self._begun = 1, set[int]()

    def begins(self, part: Part) -> None:
        self._parts = part.count
        self._begun.add(part.place)

    def add(self, stretch: _Stretch) -> None:
        self._stretches.append(stretch)
        self.say()

    def say(self) -> None:
        left = (self._parts - max(len(self._begun), 1)) * self._stretches[-1].queries
        done = sum(each.done for each in self._stretches)
        self._tell(done, sum(each.queries for each in self._stretches) + left)


class _OfPart(Watch):
    """Counts one part of a run; of a run without parts, all of it."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._stretch: _Stretch | None = None

    def started(self, client: Client, queries: int, rows: int) -> None:  # noqa: ARG002 - that of `Watch`
        if self._stretch is not None:  # it may have ended early
            self._stretch.queries = self._stretch.done
            self._stretch.rows = self._stretch.heard
        self._stretch = _Stretch(queries, rows)
        self._run.add(self._stretch)

    def measuring(self, client: Client, queries: int) -> None:
        self.started(client, queries, queries)

    def progressed(self) -> None:
        if self._stretch is not None:
            self._stretch.heard += 1
            self._run.say()
