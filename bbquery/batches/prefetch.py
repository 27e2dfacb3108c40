"""Answering a plan's questions into the store, in batches."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bbquery.batches.context import BatchContext
from bbquery.batches.folder import Folder
from bbquery.batches.transport import BatchTransport
from bbquery.batches.writer import Writer
from bbquery.client.halt import Interrupted
from bbquery.errors import BbqueryError, OracleError, UsageError
from bbquery.ledger import codec
from bbquery.system.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bbquery.batch_oracle import BatchOracle
    from bbquery.batches.context import BatchListener
    from bbquery.batches.questions import Wanted
    from bbquery.client.client import Client, QueryCounts
    from bbquery.errors import BudgetExhausted
    from bbquery.system.clock import Clock

MOST_ROUNDS = 4  # of batches: a vendor that keeps failing is not asked for ever, and each round may take a day
SECONDS_BETWEEN_LOOKS_AT_THE_LOCK = 2.0


@dataclass(frozen=True)
class Prefetched:
    """Result of a prefetch. sent: questions that left for the vendor. answered: of those, in this process.

    error: why not all that was wanted is in the store; None where all is. forbids: whether it is something that
    forbids to spend on, such as a bill above its hold, whatever is in the store.
    """

    sent: int
    answered: int
    error: BbqueryError | None
    forbids: bool

    def counted_in(self, replayed: QueryCounts) -> QueryCounts:
        """Return the tally of a run that replayed what was answered here: that did not come from the store."""
        return replace(replayed, sent=replayed.sent + self.sent, from_store=max(replayed.from_store - self.answered, 0))


class Prefetch:
    """Questions on their way into the store, within the client's budget. Asked again, it goes on where it was."""

    def __init__(
        self, client: Client, oracle: BatchOracle, listener: BatchListener, clock: Clock | None = None
    ) -> None:
        fingerprint, _ = codec.fingerprint(oracle.capabilities.identity)
        self._folder = Folder(client.ledger.path)
        self._context = BatchContext(client, oracle, fingerprint, self._folder, clock or SystemClock(), listener)
        self._transport = BatchTransport(self._context)
        self._writer = Writer(self._context, self._transport)

    def abandon(self) -> None:
        """Wait no longer for the vendor, after the client's halt was set by a person."""
        self._transport.abandon()

    async def run(self, wanted: Callable[[], Iterable[Wanted]]) -> Prefetched:
        """Ask all that `wanted` gives, each time it is called, and wait for the answers. It is rendered as it is read.

        Raises:
            Interrupted: a person stopped the run; says which batches are at the vendor. StorageFailed: the disk failed.
            UsageError: a question is larger than any file may be.
        """
        budget = self._context.client.budget
        try:
            while True:
                with self._folder.locked(budget) as ours:
                    if ours:
                        return await self._rounds(wanted)
                self._context.listener.batch_status("another process works on the batches of this run: waiting for it")
                await self._context.pause(SECONDS_BETWEEN_LOOKS_AT_THE_LOCK)
        except Interrupted as stop:
            raise await self._naming_batches(stop) from stop

    async def _rounds(self, wanted: Callable[[], Iterable[Wanted]]) -> Prefetched:
        transport, short = self._transport, None
        await transport.resume()
        for _ in range(MOST_ROUNDS):
            answered, unanswered = transport.answered, transport.unanswered
            if transport.stopped is None:
                short = await self._writer.fill(wanted())
            await transport.collect()
            all_done = short is None and transport.unanswered == unanswered
            if transport.stopped is not None or all_done or transport.answered == answered:
                break
        missing = self._missing(short, all_done=all_done)
        return Prefetched(transport.sent, transport.answered_of_sent, missing, forbids=transport.stopped is not None)

    def _missing(self, short: BudgetExhausted | None, *, all_done: bool) -> BbqueryError | None:
        """Return why something is not in the store."""
        transport, oracle = self._transport, self._context.oracle.capabilities.name
        if transport.stopped is not None or short is not None:
            return transport.stopped or short
        if not all_done:
            message = f"{transport.unanswered} lines of batches were not answered"
            advice = "the same command with --verify 0 in place of --batch asks what is missing, at full price"
            return OracleError(f"{message}, the first because of {transport.failure}; {advice}", oracle=oracle)
        if self._writer.elsewhere:
            message = f"{self._writer.elsewhere} questions of this run are being asked by another run, or by its batch"
            return UsageError(f"{message}: the same command again takes what that will have brought")
        return None

    async def _naming_batches(self, stop: Interrupted) -> Interrupted:
        """Return an interruption that says what is at the vendor."""
        with contextlib.suppress(asyncio.CancelledError):
            left = [batch for batch in await self._context.unfinished() if batch.state in ("submitting", "submitted")]
            if left:
                names = ", ".join(f"{batch.name} ({batch.lines:,} questions)" for batch in left)
                return Interrupted(
                    f"{stop}; at the vendor: batch {names}: the same command again collects, and asks nothing twice"
                )
        return stop
