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
5. A scheduler that is lost ends the audit. Photos that are at work end where they are, and their answers are stored:
   the same command goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bbquery.client.client import Client
from bbquery.client.halt import Interrupted
from bbquery.errors import BadImage, BbqueryError, MissingExtra, UsageError, described
from bbquery.jobs.audit import fleet_worker
from bbquery.jobs.audit.content import content_of
from bbquery.jobs.audit.fleet_task import Answer, task_of
from bbquery.jobs.audit.work import Outcome, unasked
from bbquery.ledger import places
from bbquery.specification import parse
from bbquery.telemetry import note

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
SECONDS_TO_CONNECT = 30.0  # to the scheduler, and until it has a worker
SECONDS_BETWEEN_LOOKS = 1.0  # at how many threads the cluster has
SECONDS_TO_STOP = 10.0  # until all workers are told
OF_THIS_PROCESS = frozenset({"function"})
"""Oracles that no other process has."""


class ClusterLost(BbqueryError):
    """The scheduler of the cluster is lost, or no longer knows of what it was given."""


class WorkersLost(BbqueryError):
    """A photo with which one worker after another was lost."""


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
        import distributed  # noqa: PLC0415 - likewise
    except ModuleNotFoundError as error:
        raise MissingExtra("dask", "an audit on a Dask cluster", error.name or "distributed") from error
    try:
        client = await distributed.Client(
            address, asynchronous=True, set_as_default=False, timeout=SECONDS_TO_CONNECT, name="bbquery-audit"
        )
    except (OSError, ValueError) as error:  # a time-out is an OSError
        raise UsageError(f"no Dask scheduler answers at {address}: {described(error)}") from error
    level = _LOG.level
    _LOG.setLevel(logging.CRITICAL)  # or it would show a traceback of a lost scheduler beside our message
    try:
        with dask.config.set(QUIET):
            async with contextlib.aclosing(OnDask(client, address, keeper)) as executor:
                await executor.opened()
                yield executor
    finally:
        with contextlib.suppress(Exception):  # it may be lost
            await client.close(timeout=SECONDS_TO_STOP)
        _LOG.setLevel(level)


class OnDask:
    """Asks photos on a cluster. An executor; belongs to one audit. client: asynchronous."""

    def __init__(self, client: Any, address: str, keeper: KeeperIn) -> None:
        self._client, self._address, self._keeper = client, address, keeper
        self._run = f"bbquery-{uuid.uuid4().hex}"
        self._most = self._at_work = 0
        self._lost: ClusterLost | None = None
        self._stopped, self._abandoned = "", False
        self._futures: set[Any] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def opened(self) -> None:
        """Wait for a worker.

        Raises:
            UsageError: there is none.
        """
        try:
            await self._client.wait_for_workers(1, timeout=SECONDS_TO_CONNECT)
        except OSError as error:
            raise UsageError(f"the Dask scheduler at {self._address} has no workers: start 'dask worker'") from error
        self._soon(self._follow())

    async def aclose(self) -> None:
        """Let the workers send no more, if they are still at it."""
        if self._at_work:
            self._stopped = self._stopped or "the audit has ended"
            await self._tell(fleet_worker.stop, self._run, self._stopped)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def has_room(self, lane: Lane, lanes: int, asking: Asking, now: float) -> bool:  # noqa: ARG002 - of any executor
        """Whether the cluster has a thread for another photo, and the oracle has not more than its share of them."""
        free = self._at_work < self._most and lane.at_work < max(1, self._most // lanes)
        return free or self._lost is not None  # a photo that begins says that the cluster is lost

    def taken(self, work: Work) -> Asks:
        """Take a photo. Its pixels are not held: the workers decode its file."""
        self._at_work += 1
        asking, own = work.asking, work.asking.setting.name
        sent = _Sent(
            task=task_of(work, self._run, self._keeper), hand=Hand(work, self._stop, self._abandon), watch=work.watch,
            keeper=work.keeper, planned=asking.planned,
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
            ClusterLost: the scheduler is lost. OracleError: a worker failed in a way that nobody foresaw.
        """
        from distributed import KilledWorker  # noqa: PLC0415 - an extra

        if self._lost is not None:
            raise self._lost
        content = await asyncio.to_thread(content_of, sent.task.photo)
        if self._stopped:
            return self._not_begun()
        whole = replace(sent.task, content=content)
        future = self._client.submit(fleet_worker.asked, whole, key=f"{self._run}-{uuid.uuid4().hex}", pure=False)
        del content, whole
        self._futures.add(future)
        try:
            answer: Answer = await future
        except KilledWorker as error:
            raise WorkersLost(f"one worker after another was lost with it: {described(error)}") from error
        except CancelledError as error:
            return self._cancelled(error)
        finally:
            self._futures.discard(future)
            future.release()
        return answer

    def _not_begun(self) -> Answer:
        return Answer(Outcome(None, Interrupted(self._stopped)))

    def _cancelled(self, error: BaseException) -> Answer:
        """Return what comes of a photo that the cluster no longer knows of, where the audit was stopped."""
        if self._stopped:
            return self._not_begun()
        raise self._loses(error) from error

    def _loses(self, error: BaseException) -> ClusterLost:
        """Take note that the scheduler is lost."""
        if self._lost is None:
            note("cluster lost", logging.WARNING, address=self._address, reason=described(error))
        self._lost = self._lost or ClusterLost(
            f"the Dask scheduler at {self._address} is lost, or was started anew: photos at work end where they are,"
            " and the same command goes on"
        )
        return self._lost

    async def _follow(self) -> None:
        """Follow how many threads the cluster has."""
        while self._lost is None:
            try:
                threads = await self._client.scheduler.ncores()
            except Exception as error:  # noqa: BLE001 - whatever a connection raises
                self._loses(error)
                return
            self._most = sum(threads.values()) + len(threads)
            if self._stopped and not threads:  # nobody is there to end what was sent
                await self._cancel()
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)

    # --- stopping ---

    def _stop(self, reason: str) -> None:
        """Let all workers send no more; once."""
        if not self._stopped:
            self._stopped = reason
            self._soon(self._tell(fleet_worker.stop, self._run, reason))

    def _abandon(self) -> None:
        """Let all workers wait no longer; once."""
        if not self._abandoned:
            self._abandoned = True
            self._soon(self._abandons())

    async def _abandons(self) -> None:
        await self._tell(fleet_worker.abandon, self._run)
        await asyncio.sleep(SECONDS_TO_STOP)
        await self._cancel()

    async def _tell(self, what: Callable[..., None], *arguments: str) -> None:
        """Call a function on every worker, beside what it does."""
        with contextlib.suppress(Exception):  # a worker or the scheduler may be lost: then nobody asks there
            await asyncio.wait_for(self._client.run(what, *arguments, on_error="ignore"), SECONDS_TO_STOP)

    async def _cancel(self) -> None:
        with contextlib.suppress(Exception):  # likewise
            await self._client.cancel(list(self._futures), force=True)

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


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
