"""Writer of files: questions are held and written, as many as the budget and the vendor's limits allow."""

from __future__ import annotations

import contextlib
import functools
import uuid
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Any

from bbquery.batches.limits import Filling
from bbquery.batches.questions import chunks, rows
from bbquery.errors import BudgetExhausted, StorageFailed
from bbquery.ledger import batches
from bbquery.ledger.batches import BatchRecord
from bbquery.ledger.owners import batch_owner
from bbquery.ledger.records import Granted, HoldRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence, Set

    from bbquery.batches.context import BatchContext
    from bbquery.batches.questions import Row, Wanted
    from bbquery.batches.transport import BatchTransport
    from bbquery.ledger.store import ImageQuestion
    from bbquery.units import Units

ROWS_AT_ONCE = 16  # rendered, held and written together: what is in memory, and what one commit is for
LINE_NAME = "{:019d}"  # of an attempt's number, each as long as the next, so a line's size is known before it is held
NAME = "bbquery-{}"


def line_name(attempt: int) -> str:
    """Return what an attempt's line is called at the vendor."""
    return LINE_NAME.format(attempt)


@dataclass(frozen=True, eq=False)
class Entry:
    """A question to be written. size: bytes of its line."""

    question: ImageQuestion
    payload: Any
    hold: Units
    size: int


class Writer:
    """Fills files and hands each full one to the transport. elsewhere: questions that others ask now, left out."""

    def __init__(self, context: BatchContext, transport: BatchTransport) -> None:
        self._context, self._transport = context, transport
        self._filling = Filling(context.oracle.batch_limits)
        self._open: tuple[BatchRecord, IO[bytes]] | None = None
        self.elsewhere = 0

    async def fill(self, wanted: Iterable[Wanted]) -> BudgetExhausted | None:
        """Write and submit what is neither stored nor in flight, in order; return why not all, if the budget is short.

        Raises:
            UsageError: one question is larger than a file may be. StorageFailed: the disk or the ledger failed.
            Interrupted: a person stopped the run. In each case the file in hand is dropped, and nothing of it left.
        """
        found, refused, self.elsewhere, written = self._entries(wanted), None, 0, 0
        try:
            while (entries := await self._context.client.off_loop(next, found, None)) is not None:
                self._context.go_on()
                refused = await self._take(entries)
                written += len(entries)
                self._context.listener.batch_status(f"writing a batch: {written:,} questions")
                if refused is not None or self._transport.stopped is not None:
                    break
            await self._finish()
        except BaseException:
            await self._drop()
            raise
        return refused

    def _entries(self, wanted: Iterable[Wanted]) -> Iterator[list[Entry]]:
        """Render and encode what is to be asked, a few rows at a time; on a worker thread."""
        ledger = self._context.ledger
        for chunk in chunks(rows(wanted, self._context.fingerprint), ROWS_AT_ONCE):
            keys = [question.key for row in chunk for question in row.questions]
            stored = ledger.find(keys)
            owners = ledger.read(functools.partial(batches.owners_of, keys=keys))
            self.elsewhere += sum(owner not in self._context.ours for key, owner in owners.items() if key not in stored)
            known = stored.keys() | owners.keys()
            yield [entry for row in chunk for entry in self._of(row, known)]

    def _of(self, row: Row, known: Set[bytes]) -> list[Entry]:
        questions = [question for question in row.questions if question.key not in known]
        if not questions:
            return []
        oracle = self._context.oracle
        payload = oracle.encode(row.image)
        hold, size = oracle.batch_quote(payload).worst, len(oracle.batch_line(payload, line_name(0)))
        return [Entry(question, payload, hold, size) for question in questions]

    async def _take(self, entries: Sequence[Entry]) -> BudgetExhausted | None:
        """Put entries into the open file, and into further ones where that is full."""
        while entries and self._transport.stopped is None:
            fitting = self._filling.room_for([entry.size for entry in entries])
            if not fitting:
                await self._finish()
                continue
            refused = await self._add(entries[:fitting])
            if refused is not None:
                return refused
            entries = entries[fitting:]
        return None

    async def _add(self, entries: Sequence[Entry]) -> BudgetExhausted | None:
        """Hold these, and write those that were granted."""
        context = self._context
        batch, file = self._open = self._open or await self._begin()
        free, budget = context.oracle.capabilities.price.free, context.client.budget
        requests = [HoldRequest(entry.question, budget, entry.hold, free) for entry in entries]
        results = await context.ledger.write(lambda c: batches.reserve(c, batch, requests))
        granted = [(e, r.attempt) for e, r in zip(entries, results, strict=True) if isinstance(r, Granted)]
        lines = [context.oracle.batch_line(entry.payload, line_name(attempt)) for entry, attempt in granted]
        await context.client.off_loop(context.folder.append, file, lines)
        for line in lines:
            self._filling.add(len(line))
        return next((result for result in results if isinstance(result, BudgetExhausted)), None)

    async def _begin(self) -> tuple[BatchRecord, IO[bytes]]:
        context, name = self._context, NAME.format(uuid.uuid4().hex)
        budget, fingerprint = context.client.budget, context.fingerprint
        context.ours.add(batch_owner(name))
        number = await context.ledger.write(lambda c: batches.begin(c, name, budget, fingerprint))
        file = await context.client.off_loop(context.folder.create, name)
        return BatchRecord(number, name, budget, "writing", None, 0), file

    async def _finish(self) -> None:
        """Close the open file and submit it; one without a line is dropped."""
        if self._open is None:
            return
        if not self._filling.lines:
            await self._drop()
            return
        batch, file = self._open
        await self._context.client.off_loop(self._context.folder.finish, file)
        await self._context.advance(batch, "written")
        lines, self._open, self._filling = self._filling.lines, None, Filling(self._context.oracle.batch_limits)
        await self._transport.send(replace(batch, state="written", lines=lines))

    async def _drop(self) -> None:
        """Drop the open file; nothing of it has been sent."""
        if self._open is None:
            return
        (batch, file), self._open = self._open, None
        with contextlib.suppress(OSError):  # a full disk refuses the rest of the file, which nobody wants any more
            file.close()
        with contextlib.suppress(StorageFailed):  # then whoever comes next drops it
            await self._context.drop(batch, "it was not written to its end", "voided")
