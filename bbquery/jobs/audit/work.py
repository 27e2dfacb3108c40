"""Work: everything that an audit asks of one photo on one oracle, from its first query to its row.

The clean photo comes first, then each method and the metrics of its maps, then each attack: one after another, each in
a budget of its own within the photo's. What one of them finds in the store, it does not pay. A part that reaches its
own cap, or that this photo does not allow, leaves the others alone; whatever else ends a part ends the photo. The row
is written last, so a photo with a row has all the files that the row names.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from bbquery.client.client import Client
from bbquery.errors import (
    BadImage,
    BbqueryError,
    BudgetExhausted,
    KeyMissing,
    KeyRefused,
    OracleError,
    UsageError,
    encodable,
)
from bbquery.jobs.audit import row_parts
from bbquery.jobs.audit.row import AttackRow, MapRow, Row
from bbquery.jobs.job import NothingToExplain
from bbquery.jobs.parts import ends_run
from bbquery.plan import Ask
from bbquery.types import NoAnswer
from bbquery.version import __version__

if TYPE_CHECKING:
    from bbquery.client.client import QueryCounts
    from bbquery.drift import DriftReport
    from bbquery.jobs.audit.asking import Asking
    from bbquery.jobs.audit.budgets import Budgets
    from bbquery.jobs.audit.keeping import Keeper
    from bbquery.jobs.audit.photos import Photo
    from bbquery.jobs.evaluate.result import Evaluation
    from bbquery.jobs.explain.result import Explanation
    from bbquery.jobs.parts import Status
    from bbquery.jobs.watch import Watch
    from bbquery.ledger.ledger import Ledger
    from bbquery.oracle import Oracle
    from bbquery.types import Reply

T = TypeVar("T")
Asked = Callable[..., Coroutine[Any, Any, "BbqueryError | None"]]

OF_ONE_PHOTO = (BadImage, NothingToExplain, UsageError)
"""Causes that lie in a photo: what no score can read in one answer, another may hold."""


@dataclass(frozen=True)
class Outcome:
    """Result of a photo. error: what ended it before all was asked; lacks: why it is not whole; None where it is.

    answered: how many questions have an answer.
    row: None where nobody could make one.
    """

    row: Row | None
    error: BbqueryError | None = None
    lacks: BbqueryError | None = None
    answered: int = 0

    @property
    def lost(self) -> bool:
        """Whether it is not whole for want of queries of its own alone: those of its parts were lost."""
        return self.error is None and isinstance(self.lacks, BudgetExhausted)


@dataclass
class Found:
    """Findings of a photo so far. lacks: why a part of it is not whole."""

    replies: Sequence[Reply | None] = ()
    maps: list[MapRow] = field(default_factory=list)
    attacks: list[AttackRow] = field(default_factory=list)
    tallies: list[QueryCounts] = field(default_factory=list)
    drifts: list[DriftReport] = field(default_factory=list)
    watched: list[bool] = field(default_factory=list)  # whether each was seen by answers of this run
    kinds: Counter[str] = field(default_factory=Counter)
    lacks: list[BbqueryError] = field(default_factory=list)
    nothing: str = ""

    @property
    def answered(self) -> int:
        """How many questions have an answer."""
        return sum(tally.answered for tally in self.tallies)


@dataclass(frozen=True, eq=False)
class Work:
    """One photo on one oracle, its budgets open. identity: of all that is asked.

    writing: held while files are written, by one photo at a time.
    """

    asking: Asking
    identity: str
    budgets: Budgets
    ledger: Ledger
    keeper: Keeper
    watch: Watch
    writing: asyncio.Lock
    found: Found = field(default_factory=Found)

    async def run(self) -> Outcome:
        """Ask all of it, write its files and its row, and return what came of it."""
        began = time.perf_counter()
        error = await self._asked()
        thumbnail = await self._written(self.keeper.thumbnail, self.asking.pixels)
        row = self._row(error, time.perf_counter() - began, thumbnail)
        if row.status != "not begun":
            await asyncio.to_thread(self.keeper.keep, row)
        return Outcome(row, error, next(iter(self.found.lacks), None), self.found.answered)

    async def _asked(self) -> BbqueryError | None:
        """Ask part after part; return what ended the photo early, None where nothing did."""
        error = await self._part(self._clean)
        if self.found.nothing:
            return error
        explain, attack = self.asking.plan.explain, self.asking.plan.attack
        for method in () if explain is None else explain.methods:
            error = error or await self._part(self._explain, method)
        for each in () if attack is None else attack.attacks:
            error = error or await self._part(self._attack, each)
        return error

    async def _part(self, ask: Asked, *what: str) -> BbqueryError | None:
        """Ask a part; return the error that ends the photo, if any."""
        try:
            error = await ask(*what)
        except NothingToExplain as found:
            self.found.nothing = str(found)
            return None
        except BbqueryError as found:
            error = found
        if error is not None:
            self.found.lacks.append(error)
        own = self.ledger.budget(self.budgets.photo).name
        return error if isinstance(error, KeyMissing) or ends_run(error, f"{own}/", OF_ONE_PHOTO) else None

    async def _clean(self) -> BbqueryError | None:
        """Ask the clean photo as often as the plan says."""
        asking = self.asking
        async with Client(
            asking.oracle, self.ledger, self.budgets.parts[asking.clean.name], progress=self.watch.progressed,
            waiting=self.watch.waiting, longest_wait=asking.longest_wait,
        ) as client:  # fmt: skip
            self.watch.started(client, asking.times, asking.times)
            (replies,) = await client.ask(Ask(asking.x[None], repeat=asking.times))
            error = client.halt.error if None in replies else None
            self.found.tallies.append(client.tally)
        self.found.replies = [reply for reply in replies if reply is not None]
        self.found.kinds.update(r.answer.kind for r in self.found.replies if r and isinstance(r.answer, NoAnswer))
        if replies[0] is not None:
            self.watch.seen(replies[0].answer, asking.oracle.capabilities)
            nothing = row_parts.nothing(replies[0].answer)
            self.found.nothing = "" if nothing == row_parts.NAMES_NOTHING and asking.target else nothing
        return error

    async def _explain(self, method: str) -> BbqueryError | None:
        """Explain by a method, and measure its maps where they are whole."""
        part = self.asking.part_of(self.asking.explaining(method)).name
        job = self.asking.explaining(method, self.budgets.lost.get(part, 0), self.watch)
        found = await job.ask(self.ledger, self.budgets.parts[part], time.perf_counter())
        self.found.tallies.append(found.queries)
        self.found.drifts.append(found.drift)
        self.found.watched.append(found.drift.watched and found.queries.sent > 0)
        for m in found.maps:
            self.found.kinds |= m.unanswered.kinds
        measured: dict[int, Evaluation] = {}
        error = found.error if found.partial else await self._measure(found, part, measured)
        kept = await self._written(self.keeper.explained, self.asking.folders[method], found)
        self.found.maps += [
            row_parts.map_row(found, m, each, measured.get(place))
            for place, (m, each) in enumerate(zip(found.maps, kept, strict=True))
        ]
        return error

    async def _measure(self, found: Explanation, part: str, measured: dict[int, Evaluation]) -> BbqueryError | None:
        """Measure each map, where that is wanted, into `measured`; return what ended that early."""
        for place in range(len(found.maps) if self.asking.measures else 0):
            job = self.asking.measuring(found, place, self.watch)
            budget = self.budgets.parts[self.asking.measured(part).name]
            evaluation = await job.ask(self.ledger, budget, time.perf_counter())
            self.found.tallies.append(evaluation.queries)
            if evaluation.partial:
                return evaluation.error
            measured[place] = evaluation
        return None

    async def _attack(self, attack: str) -> BbqueryError | None:
        """Attack, and verify what was found."""
        part = self.asking.part_of(self.asking.attacking(attack)).name
        job = self.asking.attacking(attack, self.budgets.lost.get(part, 0), self.watch)
        found = await job.ask(self.ledger, self.budgets.parts[part])
        self.found.tallies.append(found.queries)
        self.found.drifts.append(found.drift)
        self.found.watched.append(found.drift.watched and found.queries.sent > 0)
        kept = await self._written(self.keeper.attacked, self.asking.folders[attack], found)
        self.found.attacks.append(row_parts.attack_row(found, kept))
        return found.error

    async def _written(self, write: Callable[..., T], *what: object) -> T:
        """Write files of the photo; pictures are drawn by one photo at a time."""
        async with self.writing:
            return await asyncio.to_thread(write, self.asking.setting.name, self.asking.photo.name, *what)

    def _row(self, error: BbqueryError | None, seconds: float, thumbnail: str) -> Row:
        found, asking, oracle = self.found, self.asking, self.asking.oracle.capabilities
        answer = found.replies[0].answer if found.replies and found.replies[0] else None
        repeats, flips = row_parts.flips(found.replies, oracle)
        state, own, photo = self.ledger.budget(self.budgets.photo), asking.setting.name, asking.photo
        return Row(
            photo=photo.name, source=photo.given, oracle=own, identity=self.identity, status=_status(found, error),
            why=encodable("; ".join(dict.fromkeys(str(each) for each in found.lacks))), label=photo.label,
            right=None if answer is None else row_parts.right(answer, photo.label, oracle),
            first="" if answer is None else row_parts.first(answer, oracle),
            first_value=None if answer is None else row_parts.first_value(answer),
            first_bounds=None if answer is None else row_parts.first_bounds(answer, oracle),
            nothing=found.nothing, repeats=repeats, flips=flips, maps=tuple(found.maps), attacks=tuple(found.attacks),
            asked=sum(each.asked for each in found.tallies), unanswered=found.kinds.total(), kinds=dict(found.kinds),
            drifted=any(each.drifted for each in found.drifts) if asking.watches_drift and found.drifts else None,
            unwatched=asking.watches_drift and not all(found.watched),
            served=tuple(dict.fromkeys(version for each in found.drifts for version in each.served)),
            queries=sum(each.sent for each in found.tallies), from_store=sum(each.from_store for each in found.tallies),
            posted=state.posted, held=state.held, unknown=sum(each.unknown for each in found.tallies), seconds=seconds,
            versions={"bbquery": __version__, "oracle": oracle.name}, folder=self.keeper.folder(own, photo.name),
            thumbnail=thumbnail,
        )  # fmt: skip


def unasked(
    error: BbqueryError, *, status: Status, photo: Photo, own: str, identity: str, oracle: Oracle, folder: str
) -> Row:
    """Return the row of a photo of which nothing is asked. own: the oracle's name in the plan. folder: of the photo."""
    unreadable = isinstance(error, BadImage)
    why = f"cannot be read: {error.reason}" if isinstance(error, BadImage) else str(error)
    return Row(
        photo=photo.name, source=photo.given, oracle=own, identity=identity, status=status, why=encodable(why),
        label=photo.label, versions={"bbquery": __version__, "oracle": oracle.capabilities.name}, folder=folder,
        unreadable=unreadable,
    )  # fmt: skip


def _status(found: Found, error: BbqueryError | None) -> Status:
    """Return how a photo ended. error: what ended it before all was asked."""
    if not found.lacks:
        return "complete"
    if isinstance(error, KeyMissing | KeyRefused) and not found.answered:
        return "not begun"  # it is the oracle's trouble, which is said once, of its lane
    if any(isinstance(each, UsageError) for each in found.lacks):
        return "failed"
    if found.answered:
        return "partial"
    return "failed" if isinstance(error, OracleError) else "not begun"
