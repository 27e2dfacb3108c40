"""Photos of an audit on the workers of an existing Dask cluster.

Theory of operation.

1. The engine stays here: plan, admission, lanes and order. A photo that may begin is one task, which holds all that a
   worker must know (`fleet_task`). What comes back is written here: no machine needs a folder of another's.
2. Dask runs a task again whose worker was lost, so at least once. The ledger makes this safe: what was answered is in
   the store, and what was in flight is unknown, and held, once the lease of the lost process has ended.
3. As many photos are with the cluster as it has threads, and one more for each worker, so that none waits for the next.
   Oracles share them evenly.
4. Whoever stops the audit stops a client here that sends nothing; the workers are told, end their photos in order, and
   send what they have.
5. A scheduler that is lost is waited for, and photos that were at work are given to it again: see `cluster`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bbquery.client.client import Client
from bbquery.client.halt import Interrupted
from bbquery.errors import BadImage, BbqueryError, MissingExtra, UsageError
from bbquery.jobs.audit import fleet_worker
from bbquery.jobs.audit.cluster import SECONDS_TO_STOP, Cluster, WorkersLost
from bbquery.jobs.audit.content import content_of
from bbquery.jobs.audit.fleet_task import Answer, task_of
from bbquery.jobs.audit.work import Outcome, unasked
from bbquery.ledger import places
from bbquery.specification import parse

if TYPE_CHECKING:
    from bbquery.jobs.audit.asking import Asking
    from bbquery.jobs.audit.executor import Asks
    from bbquery.jobs.audit.fleet_task import KeeperIn, Task
    from bbquery.jobs.audit.keeping import Keeper
    from bbquery.jobs.audit.lane import Lane
    from bbquery.jobs.audit.plan import Plan
    from bbquery.jobs.audit.row import Row
    from bbquery.jobs.audit.work import Work
    from bbquery.jobs.watch import Watch

_LOG = logging.getLogger("distributed.client")
QUIET = {"distributed.admin.large-graph-warning-threshold": "1GB"}  # a photo's file may be large, and is sent once
OF_THIS_PROCESS = frozenset({"function"})
"""Oracles that no other process has."""


class Hand(Client):
    """This machine's end of a photo that a worker asks. It sends nothing: who stops it stops the worker."""

    def __init__(self, work: Work, stops: Callable[[str], None], abandons: Callable[[], None]) -> None:
        super().__init__(work.asking.oracle, work.ledger, work.budgets.photo)
        self._abandons = abandons
        self.sent_there = 0
        self.halt.add_listener(lambda: stops(self.halt.reason))

    @property
    def sent(self) -> int:
        """Attempts of the worker, once it is heard of them."""
        return self.sent_there

    def abandon(self) -> None:
        """Let the workers wait no longer."""
        self._abandons()


def check(plan: Plan, place: places.Place) -> None:
    """See that other machines can ask what a plan says, and share its ledger.

    Raises:
        UsageError: they cannot.
    """
    if not isinstance(places.checked(place), str):
        raise UsageError(
            f"the ledger {place} is a file, which other machines do not share: give --ledger postgresql://…"
        )
    for own in plan.oracles:
        if "=" in own.oracle and parse(own.oracle)[0] in OF_THIS_PROCESS:
            raise UsageError(f"oracle {own.name!r} of the plan is a function, which lives in this process alone")


@contextlib.asynccontextmanager
async def connected(address: str, keeper: KeeperIn) -> AsyncIterator[OnDask]:
    """Connect to a cluster for one audit. keeper: writes files on the workers.

    Raises:
        UsageError: it cannot be reached, or has no worker. MissingExtra: no Dask.
    """
    try:
        import dask  # noqa: PLC0415 - an extra
        import distributed  # noqa: F401, PLC0415 - likewise
    except ModuleNotFoundError as error:
        raise MissingExtra("dask", "an audit on a Dask cluster", error.name or "distributed") from error
    level = _LOG.level
    _LOG.setLevel(logging.CRITICAL)  # or it would show a traceback of a lost scheduler beside our message
    try:
        with dask.config.set(QUIET):
            cluster = Cluster(address, f"bbquery-{uuid.uuid4().hex}")
            async with contextlib.aclosing(cluster), contextlib.aclosing(OnDask(cluster, keeper)) as executor:
                await cluster.open()
                yield executor
    finally:
        _LOG.setLevel(level)


class OnDask:
    """Asks photos on a cluster. An executor; belongs to one audit."""

    def __init__(self, cluster: Cluster, keeper: KeeperIn) -> None:
        self._cluster, self._keeper = cluster, keeper
        self._at_work = 0
        self._stopped, self._abandoned = "", False

    async def aclose(self) -> None:
        """Let the workers send no more, if they are still at it."""
        if self._at_work:
            self._stopped = self._stopped or "the audit has ended"
            await self._cluster.tell(fleet_worker.stop, self._cluster.run, self._stopped)

    def has_room(self, lane: Lane, lanes: int, asking: Asking, now: float) -> bool:  # noqa: ARG002 - of any executor
        """Whether the cluster has a thread for another photo, and the oracle has not more than its share of them."""
        most = self._cluster.most
        free = self._at_work < most and lane.at_work < max(1, most // lanes)
        return free or self._cluster.lost is not None  # a photo that begins says that the cluster is lost

    def taken(self, work: Work) -> Asks:
        """Take a photo. Its pixels are not held: the workers decode its file."""
        self._at_work += 1
        asking, own = work.asking, work.asking.setting.name
        sent = _Sent(
            task=task_of(work, self._cluster.run, self._keeper), hand=Hand(work, self._stop, self._abandon),
            watch=work.watch, keeper=work.keeper, planned=asking.planned,
            failed=functools.partial(
                unasked, status="failed", photo=asking.photo, own=own, identity=work.identity, oracle=asking.oracle,
                folder=work.keeper.folder(own, asking.photo.name),
            ),
        )  # fmt: skip
        return functools.partial(self._asked, sent)

    async def _asked(self, sent: _Sent) -> Outcome:
        """Have a photo asked, and keep what comes back."""
        try:
            async with sent.hand:
                sent.watch.started(sent.hand, sent.planned, sent.planned)
                answer = await self._answer(sent)
        except (BadImage, WorkersLost) as error:
            unasked = sent.row_of(error)
            await asyncio.to_thread(sent.keeper.keep, unasked)
            return Outcome(unasked, lacks=error)
        finally:
            self._at_work -= 1
        for text in answer.beware:
            sent.watch.beware(text)
        row = answer.outcome.row
        if row is not None and row.status != "not begun":
            sent.hand.sent_there = row.queries
            await asyncio.to_thread(sent.keeper.receive, row, answer.files)
            for _ in range(row.asked):
                sent.watch.progressed()
        return answer.outcome

    async def _answer(self, sent: _Sent) -> Answer:
        """Send a photo to the cluster, and return what came of it.

        Raises:
            BadImage: its file cannot be read any more. WorkersLost: it took one worker after another with it.
            ClusterLost: the scheduler is lost, and has not come back.
        """

        async def whole() -> Task:
            return replace(sent.task, content=await asyncio.to_thread(content_of, sent.task.photo))

        answer: Answer | None = await self._cluster.call(fleet_worker.asked, whole)
        return answer or Answer(Outcome(None, Interrupted(self._stopped)))

    # --- stopping ---

    def _stop(self, reason: str) -> None:
        """Let all workers send no more; once."""
        if not self._stopped:
            self._stopped = reason
            self._cluster.stop(fleet_worker.stop, self._cluster.run, reason)

    def _abandon(self) -> None:
        """Let all workers wait no longer; once."""
        if not self._abandoned:
            self._abandoned = True
            self._cluster.stop(fleet_worker.abandon, self._cluster.run)
            self._cluster.soon(self._gives_up())

    async def _gives_up(self) -> None:
        await asyncio.sleep(SECONDS_TO_STOP)
        await self._cluster.cancel()


@dataclass(frozen=True, eq=False)
class _Sent:
    """A photo that is with the cluster. planned: queries. failed: makes its row of an error."""

    task: Task
    hand: Hand
    watch: Watch
    keeper: Keeper
    planned: int
    failed: Callable[..., Row]

    def row_of(self, error: BbqueryError) -> Row:
        """Return its row where it could not be asked, with what it has cost."""
        state = self.hand.ledger.budget(self.hand.budget)
        return replace(self.failed(error), posted=state.posted, held=state.held)
