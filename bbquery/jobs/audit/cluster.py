"""A Dask cluster whose scheduler may be lost and come back.

Theory of operation.

1. A scheduler that is lost forgets what it was given, and its workers end. So whoever waits for a result gives the work
   again, once a scheduler answers at the same address: what was done of it is in the ledger.
2. Whoever waits is told of that by the connection, which broke, or by a look at the scheduler, which did not answer.
   The first to hear of it looks for the scheduler, and the others wait for that. Who gave work to the client that is
   replaced hears of it too: while that closes it takes work which nobody does.
3. Dask gives work up with which several workers were lost, and blames whatever was on them. So it is given once more,
   one suspect at a time: what was only beside the one at fault comes through.
4. Once it is stopped, nothing is given again, and workers that join are told as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import CancelledError
from typing import Any

from bbquery.errors import BbqueryError, UsageError, described
from bbquery.telemetry import note

LOST, FOUND = "cluster lost", "cluster found"
DESERTED, MANNED = "cluster deserted", "cluster manned"
"""Events in the log: the scheduler is out of reach, and is back; all workers are lost, and one has joined."""
BROKEN, SILENT = "the connection broke", "it does not answer"
LONGEST_AWAY = 900.0  # seconds that a scheduler is waited for, as a ledger's server is
SECONDS_TO_CONNECT = 30.0  # to the scheduler, and until it has a worker; also until it answers
SECONDS_TO_TRY = 5.0  # to connect to a scheduler that was lost: a person who stops it waits as long
SECONDS_BETWEEN_LOOKS = 1.0  # at how many threads the cluster has
SECONDS_TO_STOP = 10.0  # until all workers are told
AGAIN = "photos at work end where they are, and the same command goes on"


class ClusterLost(BbqueryError):
    """The scheduler of the cluster is lost, and has not come back."""


class WorkersLost(BbqueryError):
    """Work with which one worker after another was lost."""


class Cluster:
    """A connection to a scheduler. An asynchronous one; belongs to one audit.

    run: its name. most: pieces of work that it has room for, 0 while it is lost. lost: for good.
    """

    def __init__(self, address: str, run: str) -> None:
        self.address, self.run = address, run
        self.most = 0
        self.lost: ClusterLost | None = None
        self._client: Any = None
        self._replaced = asyncio.Event()  # the client
        self._stopped = False
        self._orders: list[tuple[Callable[..., None], tuple[str, ...]]] = []
        self._futures: set[Any] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._searching, self._suspects = asyncio.Lock(), asyncio.Lock()
        self._looking: asyncio.Future[Any] | None = None

    async def open(self) -> None:
        """Connect, and wait for a worker.

        Raises:
            UsageError: there is no scheduler, or it has no worker.
        """
        try:
            self._client = await _client(self.address, SECONDS_TO_CONNECT)
        except (OSError, ValueError) as error:  # a time-out is an OSError
            raise UsageError(f"no Dask scheduler answers at {self.address}: {described(error)}") from error
        try:
            await self._client.wait_for_workers(1, timeout=SECONDS_TO_CONNECT)
        except OSError as error:
            raise UsageError(f"the Dask scheduler at {self.address} has no workers: start 'dask worker'") from error
        self.soon(self._follow())

    async def aclose(self) -> None:
        """Disconnect."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            await _close(self._client)

    async def call(self, work: Callable[[Any], Any], made: Callable[[], Awaitable[Any]]) -> Any:
        """Have a worker do work on what is made for it, and return the result; None where it was stopped before.

        Raises:
            WorkersLost: it took one worker after another with it. ClusterLost: the scheduler has not come back.
        """
        try:
            return await self._given(work, made)
        except WorkersLost:
            async with self._suspects:
                return await self._given(work, made)

    async def _given(self, work: Callable[[Any], Any], made: Callable[[], Awaitable[Any]]) -> Any:
        """Give work to the scheduler, again where that was lost."""
        from distributed import KilledWorker  # noqa: PLC0415 - an extra
        from distributed.client import ClosedClientError  # noqa: PLC0415 - likewise

        while not self._stopped:
            if self.lost is not None:
                raise self.lost
            client, replaced = self._client, self._replaced
            try:
                return await self._once(client, replaced, work, await made())
            except KilledWorker as error:
                raise WorkersLost(f"one worker after another was lost with it: {described(error)}") from error
            except (CancelledError, ClosedClientError, OSError) as error:  # a connection that broke is an OSError
                await self._search(client, BROKEN if isinstance(error, CancelledError) else described(error))
        return None

    async def _once(self, client: Any, replaced: asyncio.Event, work: Callable[[Any], Any], *made: Any) -> Any:
        """Have work done by way of a client while it is the cluster's: one that is closed may never end it."""
        future = client.submit(work, *made, key=f"{self.run}-{uuid.uuid4().hex}", pure=False)
        del made  # a photo's file, which is on its way
        self._futures.add(future)
        tasks = asyncio.ensure_future(_result(future)), asyncio.ensure_future(replaced.wait())
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if not tasks[0].done():
                raise ConnectionResetError("the scheduler that it was given to is lost")
            return tasks[0].result()
        finally:
            for task in tasks:
                task.cancel()
            self._futures.discard(future)
            future.release()

    async def _search(self, lost: Any, reason: str) -> None:
        """Look for the scheduler until it answers, unless somebody has found it since. reason: why it is lost."""
        async with self._searching:
            if self._client is not lost or self._stopped or self.lost is not None:
                return
            self.most = 0
            note(LOST, logging.WARNING, cluster=self.address, reason=reason)
            self.soon(_close(lost))
            until = asyncio.get_running_loop().time() + LONGEST_AWAY
            while not self._stopped and self.lost is None:
                try:
                    self._client = await _client(self.address, SECONDS_TO_TRY)
                except Exception as failed:  # noqa: BLE001 - whatever a scheduler that is half there makes of it
                    await self._missed(failed, until)
                    continue
                note(FOUND, logging.WARNING, cluster=self.address)
                break
            self._replaced.set()
            self._replaced = asyncio.Event()
            if self._looking is not None:
                self._looking.cancel()

    async def _missed(self, error: BaseException, until: float) -> None:
        """Wait before the next attempt, or give the scheduler up."""
        if asyncio.get_running_loop().time() < until:
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
            return
        gone = f"was out of reach for {LONGEST_AWAY / 60:.0f} minutes"
        self.lost = ClusterLost(f"the Dask scheduler at {self.address} {gone} ({described(error)}): {AGAIN}")

    async def _follow(self) -> None:
        """Follow how many threads the cluster has."""
        deserted = False
        while self.lost is None:
            client = self._client
            looking = self._looking = asyncio.ensure_future(_threads(client))
            await asyncio.wait({looking}, timeout=SECONDS_TO_CONNECT)
            if not looking.done() or looking.cancelled() or looking.exception() is not None:
                reason = BROKEN if looking.done() else SILENT
                looking.cancel()
                if self._stopped:
                    return
                await self._search(client, reason)
                continue
            threads = looking.result()
            self.most = sum(threads.values()) + len(threads)
            if deserted is bool(threads):
                deserted = not threads
                note(DESERTED if deserted else MANNED, logging.WARNING, cluster=self.address)
            if self._stopped:
                await self._stopping(workers=len(threads))
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)

    # --- stopping ---

    def stop(self, order: Callable[..., None], *arguments: str) -> None:
        """Give nothing again, and call a function on every worker, those that join included."""
        self._stopped = True
        self._orders.append((order, arguments))
        self.soon(self.tell(order, *arguments))

    async def tell(self, order: Callable[..., None], *arguments: str) -> None:
        """Call a function on every worker, beside what it does."""
        with contextlib.suppress(Exception):  # a worker or the scheduler may be lost: then nobody asks there
            await asyncio.wait_for(self._client.run(order, *arguments, on_error="ignore"), SECONDS_TO_STOP)

    async def cancel(self) -> None:
        """Wait for nothing that was given."""
        with contextlib.suppress(Exception):  # likewise
            await self._client.cancel(list(self._futures), force=True)

    async def _stopping(self, workers: int) -> None:
        if not workers:  # nobody is there to end what was given
            await self.cancel()
        elif self._futures:
            for order, arguments in self._orders:
                await self.tell(order, *arguments)

    def soon(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside the rest, until this is closed."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Give the cluster up where what follows it has failed: nobody would hear of it, and wait for ever."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.lost = ClusterLost(f"the Dask cluster at {self.address} is not followed any more: {described(error)}")
            self._replaced.set()


async def _client(address: str, seconds: float) -> Any:
    """Connect to a scheduler within so many seconds, or fail."""
    from distributed import Client  # noqa: PLC0415 - an extra

    return await Client(address, asynchronous=True, set_as_default=False, timeout=seconds, name="bbquery-audit")


async def _threads(client: Any) -> Any:
    """Return the threads of each worker by its address; fails where the client was closed, as any other look."""
    return await client.scheduler.ncores()


async def _result(future: Any) -> Any:
    return await future


async def _close(client: Any) -> None:
    with contextlib.suppress(Exception):  # its scheduler may be lost
        await client.close(timeout=SECONDS_TO_STOP)
