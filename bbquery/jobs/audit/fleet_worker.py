"""A worker of a fleet: asks photos of audits that another machine runs, by the same `Work` as that machine would.

Theory of operation.

1. A process has one station: an event loop on a thread of its own, on which each oracle and each ledger is opened once
   and kept. Photos are asked side by side on it, each by a thread of the worker, which waits.
2. What a photo asks is held in the ledger before it is sent, and its answers are in the store. So a task that is run
   again, here or elsewhere, since a worker was lost, pays only what has no answer.
   A worker that closes, as one does that has lost its scheduler, lets its photos end in order first: it waits for
   what is in flight, and for a ledger that is out of reach, to record it.
3. Files are made in a temporary folder, which goes once they are read: what stays is sent back.
4. A photo is asked only where the same model stands behind the same words: its identity is computed again here.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import socket
import tempfile
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from bbquery import load
from bbquery.client.halt import Interrupted
from bbquery.errors import BbqueryError, UsageError, unforeseen
from bbquery.jobs.audit.asking import asking, name_of
from bbquery.jobs.audit.content import digest_of
from bbquery.jobs.audit.fleet_task import Answer, files_in
from bbquery.jobs.audit.plan import Plan
from bbquery.jobs.audit.work import Outcome, Work
from bbquery.jobs.watch import Watch
from bbquery.ledger.ledger import Ledger
from bbquery.version import __version__

if TYPE_CHECKING:
    from bbquery.client.client import Client
    from bbquery.jobs.audit.asking import Asking
    from bbquery.jobs.audit.fleet_task import Task
    from bbquery.oracle import Oracle


def asked(task: Task) -> Answer:
    """Ask a photo to its end; on a thread of a worker."""
    with contextlib.suppress(ModuleNotFoundError, ValueError):  # no Dask here, or no worker of it
        from bbquery.jobs.audit.fleet_plugin import attend  # noqa: PLC0415 - an extra

        attend(close)
    return _station().asked(task)


def stop(run: str, reason: str) -> None:
    """Send no more for a run: its photos here end in order."""
    _station().stop(run, reason)


def abandon(run: str) -> None:
    """Wait no longer for what a run has in flight here: its outcome becomes unknown."""
    _station().abandon(run)


def close() -> None:
    """Send no more for any run, and wait until their photos here have ended: this worker closes."""
    _station().close()


@functools.cache
def _made() -> Station:
    return Station()


def _station() -> Station:
    """Return the station of this process."""
    with _MAKING:
        return _made()


_MAKING = threading.Lock()


class Run:
    """The photos of one run that are asked here. stopped: why no more is sent, empty while it is."""

    def __init__(self) -> None:
        self.stopped = ""
        self.clients: set[Client] = set()

    def stop(self, reason: str) -> None:
        """Send no more."""
        self.stopped = reason
        for client in self.clients:
            client.halt.set(Interrupted(reason))

    def abandon(self) -> None:
        """Wait no longer."""
        for client in self.clients:
            client.abandon()


class Heard(Watch):
    """Hears of one photo: its run knows who asks, and what a person must know is kept."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._client: Client | None = None
        self.told: list[str] = []

    def started(self, client: Client, queries: int, rows: int) -> None:  # noqa: ARG002 - that of `Watch`
        """Take note of who asks, or stop it if it is late."""
        self.over()
        self._client = client
        self._run.clients.add(client)
        if self._run.stopped:
            client.halt.set(Interrupted(self._run.stopped))

    def measuring(self, client: Client, queries: int) -> None:
        """Likewise."""
        self.started(client, queries, queries)

    def beware(self, text: str) -> None:
        """Keep it."""
        self.told.append(text)

    def over(self) -> None:
        """Forget who asked."""
        if self._client is not None:
            self._run.clients.discard(self._client)


class Station:
    """The things that a process keeps open: its loop, oracles by specification, ledgers by address, runs by name."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._kept: dict[str, asyncio.Future[Any]] = {}
        self._runs: dict[str, Run] = {}
        self._asking: set[concurrent.futures.Future[Answer]] = set()
        self._writing = asyncio.Lock()
        threading.Thread(target=self._loop.run_forever, name="bbquery-station", daemon=True).start()

    def asked(self, task: Task) -> Answer:
        """Ask a photo to its end; from another thread."""
        asking = asyncio.run_coroutine_threadsafe(self._asked(task), self._loop)
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)
        return asking.result()

    def stop(self, run: str, reason: str) -> None:
        """Send no more for a run; from another thread."""
        self._loop.call_soon_threadsafe(lambda: self._run(run).stop(reason))

    def abandon(self, run: str) -> None:
        """Wait no longer for what a run has in flight; from another thread."""
        self._loop.call_soon_threadsafe(lambda: self._run(run).abandon())

    def close(self) -> None:
        """Send no more for any run, and wait until their photos have ended; from another thread."""

        def stops() -> None:
            for run in self._runs.values():
                run.stop("the worker closes")

        self._loop.call_soon_threadsafe(stops)
        concurrent.futures.wait(tuple(self._asking))

    def _run(self, name: str) -> Run:
        return self._runs.setdefault(name, Run())

    async def _asked(self, task: Task) -> Answer:
        """Ask a photo; what prevents that says on which machine."""
        heard = Heard(self._run(task.run))
        try:
            with tempfile.TemporaryDirectory(prefix="bbquery-") as folder:
                return await self._worked(task, Path(folder), heard)
        except Exception as error:  # noqa: BLE001 - whatever it is, the one who runs the audit is told of it
            return Answer(Outcome(None, _located(unforeseen(error, "this worker"))))
        finally:
            heard.over()

    async def _worked(self, task: Task, folder: Path, heard: Heard) -> Answer:
        plan = msgspec.json.decode(task.plan, type=Plan)
        oracle = await self._once(plan.oracles[0].oracle, lambda: load.oracle(plan.oracles[0].oracle))
        ledger = await self._once(task.ledger, lambda: asyncio.to_thread(Ledger, task.ledger))
        checked = await asyncio.to_thread(_checked, task, plan, oracle)
        keeper = task.keeper(folder)
        work = Work(checked, task.identity, task.budgets, ledger, keeper, heard, self._writing)
        outcome = await work.run()
        inner = folder / keeper.folder(checked.setting.name, task.photo.name)
        return Answer(outcome, await asyncio.to_thread(files_in, inner), tuple(heard.told))

    async def _once(self, name: str, opened: Callable[[], Awaitable[Any]]) -> Any:
        """Return what was opened under this name, by whoever came first; what failed is tried again."""
        found = self._kept.get(name)
        if found is None or (found.done() and found.exception() is not None):
            found = self._kept[name] = asyncio.ensure_future(opened())
        return await asyncio.shield(found)


def _checked(task: Task, plan: Plan, oracle: Oracle) -> Asking:
    """Decode the photo, and see that it is asked here as it would be where the audit runs.

    Raises:
        UsageError: bbquery is of another version here, or the oracle is another one.
    """
    if task.version != __version__:
        raise UsageError(f"bbquery is {__version__} here, and {task.version} where the audit runs: install the same")
    setting = plan.oracles[0]
    same = name_of(plan, setting, task.photo, digest_of(task.content), oracle.capabilities.identity)
    if same != task.identity:
        raise UsageError(f"{setting.oracle!r} is another model here than where the audit runs: give both the same")
    return asking(plan, setting, task.photo, oracle, task.content)


def _located(error: BbqueryError) -> BbqueryError:
    """Return an error that says on which machine it happened."""
    error.args = (f"on the worker {socket.gethostname()}: {error}", *error.args[1:])
    return error
