"""Transport of files to the vendor and of results back: nothing is submitted twice, and nothing is lost."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from bbquery.batches.results import Results
from bbquery.batches.settlement import settle
from bbquery.client.halt import Interrupted
from bbquery.errors import (
    BbqueryError,
    MalformedAnswer,
    OracleError,
    OutcomeUnknown,
    Rejected,
    StorageFailed,
    UsageError,
    described,
)
from bbquery.ledger import batches
from bbquery.telemetry import note

if TYPE_CHECKING:
    from bbquery.batch_oracle import BatchState
    from bbquery.batches.context import BatchContext
    from bbquery.batches.settlement import Result
    from bbquery.errors import Outcome
    from bbquery.ledger.batches import BatchRecord

T = TypeVar("T")

SECONDS_BEFORE_A_SUBMISSION = (0.0, 5.0, 30.0)  # so many tries, each after such a wait
SECONDS_BEFORE_A_LOOK = (0.0, 5.0, 10.0, 20.0, 40.0)  # at the vendor's list, which may lag behind what it accepted
FIRST_WAIT, LONGEST_WAIT, GROWTH = 5.0, 60.0, 1.5  # seconds between looks at batches in work, and how they grow
MOST_FAILED_LOOKS = 30  # one after another: half an hour in which the vendor could not be asked


class NotSubmitted(Exception):
    """A batch is not at the vendor (outcome: how its attempts end), or nobody knows (None: it stays as it is)."""

    def __init__(self, error: BbqueryError, outcome: Outcome | None) -> None:
        self.error, self.outcome = error, outcome
        super().__init__(str(error))


class BatchTransport:
    """Submits batches, waits for them and settles what they bring.

    stopped: why nothing further may be submitted. sent: questions that left for the vendor. answered, unanswered:
    questions that were settled so. answered_of_sent: of those that left in this process. failure: why the first of
    the unanswered was not answered.
    """

    def __init__(self, context: BatchContext) -> None:
        self._context = context
        self._call_in_flight: asyncio.Task[Any] | None = None
        self._sent: set[int] = set()
        self._failed_looks: Counter[int] = Counter()
        self._wait = FIRST_WAIT
        self.stopped: BbqueryError | None = None
        self.failure: OracleError | None = None
        self.sent = self.answered = self.unanswered = self.answered_of_sent = 0

    def abandon(self) -> None:
        """Wait no longer for the vendor; a submission under way is looked for when the run is resumed."""
        if self._call_in_flight is not None:
            self._call_in_flight.cancel()

    # --- there ---

    async def resume(self) -> None:
        """Bring what an earlier process left on its way to the vendor, or drop it where nothing of it had left."""
        for batch in await self._context.unfinished():
            if batch.state == "writing":
                await self._context.drop(batch, "the process that wrote it ended", "voided")
            elif batch.state in ("written", "submitting"):
                await self.send(batch)
        names = await self._context.client.off_loop(self._context.folder.batches)
        for name in await self._context.ledger.write(lambda c: batches.finished(c, names)):
            await self._context.client.off_loop(self._context.folder.remove, name)

    async def send(self, batch: BatchRecord) -> None:
        """Submit a written batch once; or, if that may have been done already, find it. Failures go to `stopped`.

        Raises:
            Interrupted: a person stopped the run; what was begun is found when it is resumed.
        """
        doubtful = batch.state == "submitting"
        if not doubtful:
            self._context.go_on()
            await self._context.advance(batch, "submitting")
            batch = replace(batch, state="submitting")
        try:
            vendor = await self._delivered(batch, doubtful=doubtful)
        except NotSubmitted as failed:
            if failed.outcome is not None:
                await self._context.drop(batch, str(failed.error), failed.outcome)
            self._stop(failed.error)
        else:
            await self._record(batch, vendor)

    async def _delivered(self, batch: BatchRecord, *, doubtful: bool) -> str:
        """Return the vendor's name for a batch, after submitting it unless it is there already.

        doubtful: whether it may be.

        Raises:
            NotSubmitted: it could not be submitted, or nobody knows.
        """
        failure: OracleError | None = None
        for wait in SECONDS_BEFORE_A_SUBMISSION:
            await self._context.pause(wait)
            if doubtful and (vendor := await self._found(batch)) is not None:
                return vendor
            try:
                return await self._submitted(batch)
            except OracleError as error:
                failure, doubtful = error, doubtful or error.outcome != "voided"
                if error.outcome == "voided" and not error.retryable:
                    break
            except (UsageError, StorageFailed) as error:  # nothing left: no key, or no file
                lost: Outcome | None = "unknown" if isinstance(error, StorageFailed) else None
                raise NotSubmitted(error, lost if doubtful else "voided") from error
        assert failure is not None  # noqa: S101 - every other way out of the loop has left
        if not doubtful:
            raise NotSubmitted(failure, "voided") from failure
        if (vendor := await self._found(batch)) is not None:
            return vendor
        raise NotSubmitted(self._doubt(batch, failure), None) from failure

    async def _submitted(self, batch: BatchRecord) -> str:
        """Hand a batch's file over.

        Raises:
            UsageError, StorageFailed: nothing left. OracleError: as `BatchOracle.submit`.
        """
        self._context.listener.batch_status(f"submitting {batch.lines:,} questions as batch {batch.name}")
        path = await self._context.client.off_loop(self._context.folder.readable, batch.name)
        return await self._call(self._context.oracle.submit(path, batch.name))

    async def _found(self, batch: BatchRecord) -> str | None:
        """Return the vendor's name for a batch that may have been submitted; None if it is not there for long enough.

        Raises:
            NotSubmitted: the vendor could not be asked, so nobody knows.
        """
        failure: OracleError | None = None
        for wait in SECONDS_BEFORE_A_LOOK:
            await self._context.pause(wait)
            self._context.listener.batch_status(f"looking whether batch {batch.name} was submitted")
            try:
                failure, vendor = None, await self._call(self._context.oracle.submitted(batch.name))
            except OracleError as error:
                failure, vendor = error, None
            except UsageError as error:
                raise NotSubmitted(error, None) from error
            if vendor is not None:
                return vendor
        if failure is not None:
            raise NotSubmitted(self._doubt(batch, failure), None) from failure
        return None

    def _doubt(self, batch: BatchRecord, failure: OracleError) -> OracleError:
        message = f"batch {batch.name} may have been submitted: the same command again looks for it first ({failure})"
        return OracleError(message, oracle=self._context.oracle.capabilities.name)

    async def _record(self, batch: BatchRecord, vendor: str) -> None:
        await self._context.advance(batch, "submitted", vendor)
        self.sent += batch.lines
        self._sent.add(batch.id)
        note("batch submitted", batch=batch.name, vendor=vendor, lines=batch.lines)
        self._context.listener.batch_news(f"submitted {batch.lines:,} questions as batch {batch.name}, {vendor}")

    # --- and back ---

    async def collect(self) -> None:
        """Wait for all that was submitted and settle it. What cannot be asked for goes to `stopped`, and stays there.

        Raises:
            Interrupted: a person stopped the run; the batches stay where they are.
        """
        waiting = [batch for batch in await self._context.unfinished() if batch.state == "submitted"]
        self._wait = FIRST_WAIT
        while waiting:
            waiting = [batch for batch in waiting if not await self._done_with(batch)]
            if waiting:
                await self._context.pause(self._wait)
                self._wait = min(self._wait * GROWTH, LONGEST_WAIT)

    async def _done_with(self, batch: BatchRecord) -> bool:
        """Look at a batch and settle it if it ended; return whether to look no more."""
        assert batch.vendor is not None  # noqa: S101 - the ledger lets no batch be submitted without
        try:
            state = await self._call(self._context.oracle.batch_state(batch.vendor))
            self._tell(batch, state)
            if not state.ended:
                self._failed_looks[batch.id] = 0
                return False
            await self._take(batch, batch.vendor, state)
        except OracleError as error:
            return self._is_final(batch, error)
        except UsageError as error:  # such as a key that is not set; the batch stays where it is
            self._stop(error)
        return True

    def _is_final(self, batch: BatchRecord, error: OracleError) -> bool:
        """Whether a look that failed was the last."""
        self._failed_looks[batch.id] += 1
        if error.retry_after is not None:
            self._wait = max(self._wait, error.retry_after)
        patient = self._wait <= self._context.client.longest_wait
        if error.retryable and patient and self._failed_looks[batch.id] < MOST_FAILED_LOOKS:
            return False
        message = f"batch {batch.name} is at the vendor as {batch.vendor}; the same command again asks for it ({error})"
        self._stop(OracleError(message, oracle=self._context.oracle.capabilities.name))
        return True

    async def _take(self, batch: BatchRecord, vendor: str, state: BatchState) -> None:
        """Settle all lines of a batch that ended, and close it."""
        if state.reason and not state.answered:
            message = f"batch {batch.name} failed as a whole: {state.reason}"
            await self._context.drop(batch, message, "voided")
            self._stop(Rejected(message, oracle=self._context.oracle.capabilities.name))
            return
        results = Results()
        async for name, result in self._context.oracle.batch_results(vendor):
            if results.add(name, result):
                await self._settle(batch, results.answers())
        await self._settle(batch, results.answers())
        for failed in results.failures():
            await self._settle(batch, failed)
        silent = "the batch ended, and the vendor's results say nothing of this line"
        lost = await self._context.ledger.write(lambda c: batches.end(c, batch, "collected", "unknown", silent))
        self.unanswered += lost
        if lost and self.failure is None:
            self.failure = OutcomeUnknown(silent, oracle=self._context.oracle.capabilities.name)
        await self._context.client.off_loop(self._context.folder.remove, batch.name)
        note("batch collected", batch=batch.name, vendor=vendor, lost=lost)
        self._context.listener.batch_news(
            f"collected batch {batch.name}: {state.answered:,} of {batch.lines:,} answered"
        )
        if results.contradicted:
            message = f"{results.contradicted:,} lines came more than once and differ: what was paid for was kept"
            note("batch contradicts itself", logging.WARNING, batch=batch.name, lines=results.contradicted)
            self._context.listener.batch_news(f"BEWARE: batch {batch.name}: {message}")

    async def _settle(self, batch: BatchRecord, results: dict[str, Result]) -> None:
        capabilities = self._context.oracle.capabilities
        try:
            settled = await self._context.ledger.write(lambda c: settle(c, batch, results, capabilities))
        except BbqueryError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, each line has an outcome
            if len(results) > 1:  # whose fault it was is found by taking them one by one
                for name, result in results.items():
                    await self._settle(batch, {name: result})
                return
            message = f"an answer that cannot be recorded: {described(error)}"
            lost = {name: MalformedAnswer(message, oracle=capabilities.name) for name in results}
            settled = await self._context.ledger.write(lambda c: settle(c, batch, lost, capabilities))
        self.answered += settled.answered
        self.answered_of_sent += settled.answered if batch.id in self._sent else 0
        self.unanswered += len(settled.failures)
        self.failure = self.failure or next(iter(settled.failures), None)
        if settled.above is not None:
            self._stop(settled.above)

    # --- both ---

    def _stop(self, error: BbqueryError) -> None:
        self.stopped = self.stopped or error

    def _tell(self, batch: BatchRecord, state: BatchState) -> None:
        failed = f", {state.failed:,} failed" if state.failed else ""
        counts = f"{state.answered:,} of {state.total or batch.lines:,} answered{failed}"
        self._context.listener.batch_status(f"batch {batch.name} is {state.status}: {counts}")

    async def _call(self, call: Coroutine[Any, Any, T]) -> T:
        """Wait for the vendor, unless a person says not to."""
        task = asyncio.create_task(call)
        self._call_in_flight = task
        try:
            return await task
        except asyncio.CancelledError:
            if not task.cancelled() or not self._context.client.halt.interrupted:
                raise
            raise Interrupted(self._context.client.halt.reason) from None
        finally:
            self._call_in_flight = None
