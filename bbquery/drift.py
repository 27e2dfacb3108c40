"""Drift checks: the unperturbed image is asked again and again, to see whether the model stayed the same.

A remote model may be replaced in the middle of a run, and a map over two models is a map of neither. So the
unperturbed image is asked again at the start, to measure how much equal questions differ, then every so many queries,
and at the end; each is a query like any other, charged and stored. What the store has says nothing of the model as it
is now. So once anything was sent, a check asks a sample that has no stored answer, within what is set aside for the
checks of a run, however often that is resumed; where nothing is left of it, the report says that the last answers were
not watched. Where all answers are stored, so are the checks: a second run of the same pays nothing.

The result is marked as drifted when

- the first values are all alike and a later one differs from their mean by more than 0.001, or
- they are not, and from some check on the mean differs from that before by more than 0.001 and than chance explains, or
- an answer cannot be scored, while all of the first ones could, or
- the vendor names another model version or fingerprint than before.

Chance: for each check from which the model may have been another one, Student's t of the values before against those
from there on, with their pooled variance. The least probability, times the number of such checks (Bonferroni), is that
of chance; at most 1 % counts.
"""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
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
MOST_CHANCE = 0.01
AHEAD = 64  # samples that are looked up together
SMALLEST_CHANGE = 1e-3  # of the score; what a model that rounds differently from machine to machine may move


@dataclass(frozen=True)
class Check:
    """The unperturbed image asked again: after how many queries sent, and its value (NaN: none could be read)."""

    after: int
    value: float


@dataclass(frozen=True)
class DriftReport:
    """What the checks saw. noise: standard deviation of the first values. served: model versions, in order of sight.

    watched: whether a check followed all that was sent in this run, so that it saw the model that gave the answers;
    never where none is made.
    """

    checks: tuple[Check, ...]
    noise: float
    served: tuple[str, ...]
    reasons: tuple[str, ...]
    watched: bool

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
        self._most = None if queries is None else checks_for(queries, every)
        self._left = None if self._most is None else self._most - FIRST_CHECKS - 1
        self._checks: list[Check] = []
        self._served: dict[str, None] = {}
        self._clients: dict[int, Client] = {}  # by budget
        self._next = 1  # sample; 0 is the first answer
        self._checked_at = self._seen_at = 0
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
            stored = await client.payers(self._clean, range(1, 1 + FIRST_CHECKS))
            await self._check(client, range(1, 1 + FIRST_CHECKS), anew=len(stored) < FIRST_CHECKS)

    async def after(self, client: Client) -> None:
        """Check if so many queries were sent since the last time; called after every batch of any drive."""
        async with self._busy:
            if self._every and self._sent(client) - self._checked_at >= self._every and self._left != 0:
                self._left = None if self._left is None else self._left - 1
                await self._check_again(client)

    async def end(self, client: Client) -> DriftReport:
        """Check a last time and report. client: the one that was watched, or another that verifies what it found."""
        if self._every:
            await self._check_again(client)
        return self._report(watched=self._every > 0 and self._sent(client) == self._seen_at)

    def _sent(self, client: Client) -> int:
        """Return how many queries were sent by all clients so far."""
        self._clients[client.budget] = client
        return sum(each.sent for each in self._clients.values())

    async def _check_again(self, client: Client) -> None:
        """Check once, by a sample that is not stored, if anything was sent since the model was last seen."""
        if client.halt:  # it sends nothing, and may have answers that were brought as a batch
            await self._check(client, range(self._next, self._next + 1), anew=False)
            return
        stored = await self._stored(client)
        most = 1 if len(self._clients) > 1 else self._most  # of the one that verifies
        sample = sample_to_ask(stored, self._next, client.budget, most, anew=self._sent(client) > self._seen_at)
        if sample is not None:
            await self._check(client, range(sample, sample + 1), anew=sample not in stored)

    async def _stored(self, client: Client) -> dict[int, int | None]:
        """Return who paid for each sample that is stored, up to one that is not."""
        samples = range(1, self._next + AHEAD)
        while len(stored := await client.payers(self._clean, samples)) >= samples.stop - self._next:
            samples = range(1, samples.stop + AHEAD)
        return stored

    async def _check(self, client: Client, samples: range, *, anew: bool) -> None:
        """Ask these samples. anew: whether any of them is not stored."""
        self._next = samples.stop
        self._checked_at = self._sent(client)
        (replies,) = await client.ask(Ask(self._clean[None], repeat=len(samples)), first_sample=samples.start)
        answered = [reply for reply in replies if reply is not None and not _is_unreadable(reply)]
        self._checked_at = self._sent(client)
        if anew and len(answered) == len(samples):
            self._seen_at = self._checked_at
        values = await client.off_loop(self._values, answered)
        self._checks += [Check(self._checked_at, value) for value in values]
        self.saw(answered)
        for check in self._checks[-len(answered) :] if answered else []:
            note("drift check", after=check.after, value=check.value)

    def _values(self, replies: Sequence[Reply]) -> list[float]:
        return [float(value) for value in score_rows(self._score, [[reply.answer] for reply in replies]).value]

    def _report(self, *, watched: bool) -> DriftReport:
        first = np.array([check.value for check in self._checks[: FIRST_CHECKS + 1]])
        known = first[~np.isnan(first)]
        noise = float(known.std(ddof=1)) if len(known) > 1 else float("nan")
        moved = self._moved(first, noise)
        reasons = []
        if moved is not None:
            said = "could not be scored" if np.isnan(moved.value) else f"scored {moved.value:.6g}"
            before = f"at first {known.mean():.6g} with noise {noise:.2g}"
            reasons.append(f"after {moved.after} queries the unperturbed image {said}, {before}")
        if len(self._served) > 1:
            reasons.append(f"more than one model version answered: {', '.join(self._served)}")
        return DriftReport(tuple(self._checks), noise, tuple(self._served), tuple(reasons), watched)

    def _moved(self, first: NDArray[np.float64], noise: float) -> Check | None:
        """Return the check from which the model is another one; None where none is."""
        later = self._checks[len(first) :]
        if not np.isnan(first).any():
            silent = next((check for check in later if np.isnan(check.value)), None)
            if silent is not None:
                return silent
        known = first[~np.isnan(first)]
        if not len(known):
            return None
        if not noise > 0:
            return next((check for check in later if abs(check.value - known.mean()) > SMALLEST_CHANGE), None)
        later = [check for check in later if not np.isnan(check.value)]
        place = change_point(np.array([*known, *(check.value for check in later)]), len(known))
        return None if place is None else later[place - len(known)]


def sample_to_ask(
    stored: Mapping[int, int | None], first: int, budget: int, most: int | None, *, anew: bool
) -> int | None:
    """Return which sample of the unperturbed image a check asks; None where nothing is left to pay for it.

    stored: the budget that paid for each sample that is stored, None where no attempt did. first: the least sample to
    ask. budget: of who asks, which prefers its own checks, of whatever run, and those of a published store. most: how
    many it may pay for. anew: whether the answer must be of the model as it is now.
    """
    free = next(sample for sample in itertools.count(first) if sample not in stored)
    own = [sample for sample in range(first, free) if stored[sample] in (None, budget)]
    if not anew:
        return own[0] if own else first
    if most is None or sum(payer == budget for payer in stored.values()) < most:
        return free
    return own[0] if own else None


def _is_unreadable(reply: Reply) -> bool:
    """Whether nobody knows what the model said: that is no change of the model."""
    return isinstance(reply.answer, NoAnswer) and reply.answer.kind == "unreadable"


def change_point(values: NDArray[np.float64], earliest: int) -> int | None:
    """Return from which value on, `earliest` or a later one, the mean is another; None where that may be chance."""
    places = range(max(earliest, 2), len(values))
    if not places:
        return None
    chances = {place: _chance(values[:place], values[place:]) for place in places}
    likeliest = min(chances, key=chances.__getitem__)
    far = abs(values[:likeliest].mean() - values[likeliest:].mean()) > SMALLEST_CHANGE
    return likeliest if far and chances[likeliest] * len(places) <= MOST_CHANCE else None


def _chance(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    """Return the probability that means differ by as much where the model is the same."""
    free = len(before) + len(after) - 2
    squares = float(((before - before.mean()) ** 2).sum() + ((after - after.mean()) ** 2).sum())
    if squares == 0:
        return 0.0
    scale = math.sqrt(squares / free * (1 / len(before) + 1 / len(after)))
    return two_sided(abs(before.mean() - after.mean()) / scale, free)


def two_sided(t: float, free: int) -> float:
    """Return the probability of a Student's t as far from 0, of so many degrees of freedom.

    Abramowitz & Stegun, "Handbook of Mathematical Functions", 26.7.3 and 26.7.4.
    """
    angle = math.atan(t / math.sqrt(free))
    square, term, odd = math.cos(angle) ** 2, 1.0, free % 2
    total = 0.0
    for step in range(free // 2):
        total += term
        term *= square * (2 * step + 1 + odd) / (2 * step + 2 + odd)
    if odd:
        return max(0.0, 1 - 2 / math.pi * (angle + math.sin(angle) * math.cos(angle) * total))
    return max(0.0, 1 - math.sin(angle) * total)
