"""Drift checks: the unperturbed image is asked again and again, to see whether the model stayed the same.

A remote model may be replaced in the middle of a run, and a map over two models is a map of neither. So the
unperturbed image is asked again at the start, to measure how much equal questions differ, then every so many queries,
and at the end; each is a query like any other, charged and stored. The result is marked as drifted when

- a value differs from the mean of the first ones by more than 5 of their standard deviations and 0.001, or
- an answer cannot be scored, while all of the first ones could, or
- the vendor names another model version or fingerprint than before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bbquery.plan import Ask
from bbquery.scoring.base import score_rows
from bbquery.telemetry import note
from bbquery.types import NoAnswer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.client.client import Client
    from bbquery.scoring.base import BoundScore
    from bbquery.types import Image, Reply

DEFAULT_EVERY = 200  # queries sent
FIRST_CHECKS = 2  # beside the clean answer itself: the least that has a spread
DEVIATIONS = 5.0
SMALLEST_CHANGE = 1e-3  # of the score; what a model that rounds differently from machine to machine may move


@dataclass(frozen=True)
class Check:
    """The unperturbed image asked again: after how many queries sent, and its value (NaN: none could be read)."""

    after: int
    value: float


@dataclass(frozen=True)
class DriftReport:
    """What the checks saw. noise: standard deviation of the first values. served: model versions, in order of sight."""

    checks: tuple[Check, ...]
    noise: float
    served: tuple[str, ...]
    reasons: tuple[str, ...]

    @property
    def drifted(self) -> bool:
        """Whether the model changed while it was asked."""
        return bool(self.reasons)


def checks_for(queries: int, every: int) -> int:
    """Return how many queries the checks of a run of so many queries take at most."""
    return FIRST_CHECKS + 1 + queries // every if every else 0


class DriftWatch:
    """Asks the unperturbed image again, every `every` queries that the client sends; 0 only notes model versions.

    queries: of the run that is watched; retries make no more checks than these do, for more are in nobody's budget.
    """

    def __init__(self, clean: Image, first: Reply, score: BoundScore, every: int, queries: int | None = None) -> None:
        self._clean, self._first, self._score, self._every = clean, first, score, every
        self._left = None if queries is None else checks_for(queries, every) - FIRST_CHECKS - 1
        self._checks: list[Check] = []
        self._served: dict[str, None] = {}
        self._checked_at = 0
        self._busy = asyncio.Lock()
        self.saw([first])

    def saw(self, replies: Iterable[Reply | None]) -> None:
        """Note which model versions answered."""
        self._served.update({reply.served: None for reply in replies if reply is not None and reply.served is not None})

    async def start(self, client: Client) -> None:
        """Score the first answer, and measure how much equal questions differ."""
        (value,) = await client.off_loop(self._values, [self._first])
        self._checks.append(Check(0, value))
        if self._every:
            await self._check(client, FIRST_CHECKS)

    async def after(self, client: Client) -> None:
        """Check if so many queries were sent since the last time; called after every batch of any drive."""
        async with self._busy:
            if self._every and client.sent - self._checked_at >= self._every and self._left != 0:
                self._left = None if self._left is None else self._left - 1
                await self._check(client, 1)

    async def end(self, client: Client) -> DriftReport:
        """Check a last time and report."""
        if self._every:
            await self._check(client, 1)
        return self._report()

    async def _check(self, client: Client, times: int) -> None:
        self._checked_at = client.sent
        (replies,) = await client.ask(Ask(self._clean[None], repeat=times), first_sample=len(self._checks))
        answered = [reply for reply in replies if reply is not None and not _is_unreadable(reply)]
        self._checked_at = client.sent
        values = await client.off_loop(self._values, answered)
        self._checks += [Check(self._checked_at, value) for value in values]
        self.saw(answered)
        for check in self._checks[-len(answered) :] if answered else []:
            note("drift check", after=check.after, value=check.value)

    def _values(self, replies: Sequence[Reply]) -> list[float]:
        return [float(value) for value in score_rows(self._score, [[reply.answer] for reply in replies]).value]

    def _report(self) -> DriftReport:
        first = np.array([check.value for check in self._checks[: FIRST_CHECKS + 1]])
        known = first[~np.isnan(first)]
        noise = float(known.std(ddof=1)) if len(known) > 1 else float("nan")
        moved = next((check for check in self._checks[len(first) :] if _differs(check.value, first, noise)), None)
        reasons = []
        if moved is not None:
            said = "could not be scored" if np.isnan(moved.value) else f"scored {moved.value:.6g}"
            before = f"at first {known.mean():.6g} with noise {noise:.2g}"
            reasons.append(f"after {moved.after} queries the unperturbed image {said}, {before}")
        if len(self._served) > 1:
            reasons.append(f"more than one model version answered: {', '.join(self._served)}")
        return DriftReport(tuple(self._checks), noise, tuple(self._served), tuple(reasons))


def _is_unreadable(reply: Reply) -> bool:
    """Whether nobody knows what the model said: that is no change of the model."""
    return isinstance(reply.answer, NoAnswer) and reply.answer.kind == "unreadable"


def _differs(value: float, first: NDArray[np.float64], noise: float) -> bool:
    """Whether a value differs from the first ones by more than they among themselves. NaN: could not be read."""
    known = first[~np.isnan(first)]
    if np.isnan(value) or not len(known):
        return bool(np.isnan(value)) and len(known) == len(first)
    allowed = np.nanmax([DEVIATIONS * noise, SMALLEST_CHANGE])
    return bool(abs(value - known.mean()) > allowed)
