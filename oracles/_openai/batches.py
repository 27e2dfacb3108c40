"""Batches through the vendor's own client: handed over once, found again by our name, followed, read and cancelled.

1. A file is uploaded first, which costs nothing: whatever goes wrong until it is, there is no batch.
2. The batch itself is created in one attempt. Where its outcome is unknown it may exist; it then carries our name in
   its metadata, by which `find` finds it. The vendor's list may lag behind by moments.
3. Results are read from the vendor's files line by line. A file that ends in the middle of a line, or holds fewer
   answers than the vendor counted, was cut off, and is fetched again.
"""

from __future__ import annotations

import asyncio
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import openai

from bbquery.batch_oracle import BatchState
from bbquery.errors import OutcomeUnknown
from oracles._openai import batch_file
from oracles._openai.batch_result import Unasked, result
from oracles._openai.reply import Unreadable, parsed
from oracles._shared.numbers import whole
from oracles._shared.texts import brief, shortened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path
    from typing import BinaryIO

    from openai.pagination import AsyncCursorPage
    from openai.types import Batch

    from bbquery.errors import OracleError
    from bbquery.types import Reply
    from oracles._openai.batch_result import Read
    from oracles._openai.endpoint import Ask, OpenAIEndpoint

OUR_NAME = "bbquery"  # the key of our name in a batch's metadata
WINDOW: Any = "24h"  # the only one that the vendor has
PAGE = 100  # batches: the most that the vendor lists at once
SLOWEST_UPLOAD = 2**17  # bytes a second: a line of one megabit
SLOWEST_WORK = 60.0  # seconds that the vendor may take over a whole file once it is there
ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
MOST_LINES = 10**9  # in a batch: a count above it is a mistake
REASONS = 3  # shown of a batch that failed


@dataclass(frozen=True)
class Standing:
    """How a batch stands, and the vendor's names for the files of its answers and of its failures."""

    state: BatchState
    output: str | None
    errors: str | None


@dataclass(frozen=True)
class Batches:
    """The batches at an endpoint that ask for a path."""

    endpoint: OpenAIEndpoint
    path: str

    async def submit(self, lines: Path, name: str) -> str:
        """Hand over the file as the batch of our name, and return the vendor's name for it.

        Raises:
            UsageError: the key is unset; nothing was sent. OSError: the file cannot be read. OracleError: with outcome
                "voided" there is no batch; otherwise there may be.
        """
        file = await self._uploaded(lines, name)

        async def create(client: openai.AsyncOpenAI, headers: dict[str, Any]) -> str:
            endpoint: Any = batch_file.VERSION + self.path
            batch = await client.batches.create(
                input_file_id=file,
                endpoint=endpoint,
                completion_window=WINDOW,
                metadata={OUR_NAME: name},
                extra_headers=headers,
            )
            return _identifier(batch.id)

        return await self.endpoint.asked("POST", "/batches", create)

    async def _uploaded(self, lines: Path, name: str) -> str:
        opened = await asyncio.to_thread(lines.open, "rb")
        try:
            return await self._upload(opened, name)
        except OutcomeUnknown as doubt:
            raise Unasked(
                f"the file was not handed over, so there is no batch ({doubt})", oracle=doubt.oracle
            ) from doubt
        finally:
            opened.close()

    async def _upload(self, opened: BinaryIO, name: str) -> str:
        seconds = self.endpoint.timeout + SLOWEST_WORK + os.fstat(opened.fileno()).st_size / SLOWEST_UPLOAD

        async def upload(client: openai.AsyncOpenAI, headers: dict[str, Any]) -> str:
            # The vendor takes no file for a batch whose name ends otherwise.
            file = await client.files.create(
                file=(f"{name}.jsonl", opened), purpose="batch", extra_headers=headers, timeout=seconds
            )
            return _identifier(file.id)

        return await self.endpoint.asked("POST", "/files", upload, within=seconds)

    async def find(self, name: str) -> str | None:
        """Return the vendor's name for the newest batch of our name, None where it lists none.

        Raises:
            UsageError, OracleError: as `OpenAIEndpoint.asked`.
        """
        page, last = await self.endpoint.asked("GET", "/batches", _first_page), None
        while page.data and page.data[-1].id != last:  # a server that knows no pages gives the same one for ever
            last = page.data[-1].id
            for batch in page.data:
                if isinstance(batch.metadata, dict) and batch.metadata.get(OUR_NAME) == name:
                    return batch.id
            if not page.has_next_page():
                break
            page = await self.endpoint.asked("GET", "/batches", _page_after(page))
        return None

    async def state(self, vendor: str) -> BatchState:
        """Return how a batch stands.

        Raises:
            UsageError, OracleError: as `OpenAIEndpoint.asked`.
        """
        return (await self._standing(vendor)).state

    async def results(self, vendor: str, answered: Read) -> AsyncIterator[tuple[str, Reply | OracleError]]:
        """Give the results of a batch that ended, the answers first; `answered` reads the body of one.

        Raises:
            UsageError, OracleError: as `OpenAIEndpoint.asked`. OutcomeUnknown: it has not ended, or a file is cut off.
        """
        standing = await self._standing(vendor)
        if not standing.state.ended:
            raise self._again(f"the batch {vendor} is {standing.state.status}: there are no results yet")
        answers = 0
        for file in filter(None, (standing.output, standing.errors)):
            async for line in self._lines(file):
                answers += file == standing.output
                yield result(line, answered, self.endpoint.name)
        if answers < standing.state.answered:
            raise self._again(f"the vendor counts {standing.state.answered} answers in {vendor} and gave {answers}")

    async def cancel(self, vendor: str) -> None:
        """Ask that a batch is worked on no more; one that has ended, or is being cancelled, is left as it is.

        Raises:
            UsageError, OracleError: as `OpenAIEndpoint.asked`.
        """

        async def cancel(client: openai.AsyncOpenAI, headers: dict[str, Any]) -> None:
            try:
                await client.batches.cancel(vendor, extra_headers=headers)
            except openai.ConflictError:
                return

        await self.endpoint.asked("POST", f"/batches/{vendor}/cancel", cancel)

    async def _standing(self, vendor: str) -> Standing:
        async def retrieve(client: openai.AsyncOpenAI, headers: dict[str, Any]) -> Standing:
            batch = await client.batches.retrieve(vendor, extra_headers=headers)
            _identifier(batch.id)
            return Standing(self._state(batch), _file(batch.output_file_id), _file(batch.error_file_id))

        return await self.endpoint.asked("GET", f"/batches/{vendor}", retrieve)

    def _state(self, batch: Batch) -> BatchState:
        counts = batch.request_counts
        return BatchState(
            ended=batch.status in ENDED,
            status=str(batch.status),
            total=_count(counts, "total"),
            answered=_count(counts, "completed"),
            failed=_count(counts, "failed"),
            reason=_reason(batch, self.endpoint.hide),
        )

    async def _lines(self, file: str) -> AsyncIterator[bytes]:
        """Give the lines of a file of the vendor's that hold something, without the key."""

        def opened(client: openai.AsyncOpenAI, headers: dict[str, Any]) -> Any:
            return client.files.with_streaming_response.content(file, extra_headers=headers)

        pieces = self.endpoint.streamed(f"/files/{file}/content", opened)
        async for line, ended in batch_file.cut(pieces):
            if not ended and not _is_whole(line):
                raise self._again(f"the results in {file} end in the middle of a line")
            if line.strip():
                yield self.endpoint.hide_in_answer(line)

    def _again(self, said: str) -> OutcomeUnknown:
        return OutcomeUnknown(f"{said}; fetch them again later", oracle=self.endpoint.name)


async def _first_page(client: openai.AsyncOpenAI, headers: dict[str, Any]) -> AsyncCursorPage[Batch]:
    return _readable(await client.batches.list(limit=PAGE, extra_headers=headers))


def _page_after(page: AsyncCursorPage[Batch]) -> Ask[AsyncCursorPage[Batch]]:
    async def next_page(_client: openai.AsyncOpenAI, _headers: dict[str, Any]) -> AsyncCursorPage[Batch]:
        return _readable(await page.get_next_page())

    return next_page


def _readable(page: AsyncCursorPage[Batch]) -> AsyncCursorPage[Batch]:
    """Return a page of which every batch has a name: one that cannot be read must not look like an empty one."""
    for batch in page.data:
        _identifier(batch.id)
    return page


def _identifier(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise Unreadable(f"its id is {brief(value)}")
    return value


def _is_whole(line: bytes) -> bool:
    """Whether a line without an end is complete."""
    try:
        parsed(line)
    except Unreadable:
        return not line.strip()
    return True


def _reason(batch: Batch, hide: Callable[[str], str]) -> str:
    """Return why a batch failed as a whole, "" where it did not. hide: takes secrets out, before it is cut."""
    listed = getattr(batch.errors, "data", None)
    errors = listed if isinstance(listed, list) else []
    first = "; ".join(_error_text(error, hide) for error in errors[:REASONS])
    return f"{first}; and {len(errors) - REASONS} more" if len(errors) > REASONS else first


def _error_text(error: object, hide: Callable[[str], str]) -> str:
    line, message, code = (getattr(error, name, None) for name in ("line", "message", "code"))
    where = "" if line is None else f"line {line}: "
    return shortened(hide(f"{where}{message or 'no reason given'} ({code})"))


def _count(counts: object, name: str) -> int:
    """Return how many lines the vendor counts, 0 where it does not say: its package checks no type."""
    return whole(getattr(counts, name, None), MOST_LINES) or 0


def _file(name: object) -> str | None:
    """Return the vendor's name of a file, None where there is none or it cannot be part of a path."""
    return name if isinstance(name, str) and re.fullmatch(r"[\w.:-]+", name, re.ASCII) else None
