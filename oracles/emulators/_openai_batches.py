"""Batches at the OpenAI emulator: made, worked on, ended and cancelled, with no clock.

1. A step is taken whenever any batch is looked at, and by every batch that has not ended: one that its owner has lost
   sight of gets on all the same, and is charged. A look while steps are being taken waits for nothing.
2. Steps: validating, then in_progress; some lines a step; finalizing when all are done; completed. A batch whose file
   is wrong fails at its first step. One that is to expire does so when its part is done; one that is being cancelled
   is cancelled at its next step. The lines that are left are written down as never worked on, and are not charged.
3. Lines are answered by the model that answers every request, and billed at half price when it has. Results are in an
   order of their own.
4. Each custom_id is counted as it is submitted and as it is charged, so that whoever pays twice is found out.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from oracles._http.wire.fields import dumps
from oracles.emulators import _openai_batch_input as batch_input
from oracles.emulators._openai_batch import APIS, WINDOW, EmulatedBatch
from oracles.emulators._openai_files import Files
from oracles.emulators._openai_refusals import broken
from oracles.emulators._openai_reply import error, reply
from oracles.emulators._openai_request import BATCH, Refused, read

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oracles.emulators._openai_batch_input import Line
    from oracles.emulators._openai_bill import Bill
    from oracles.emulators._openai_faults import Faults
    from oracles.emulators._openai_model import ChatModel
    from oracles.emulators._openai_reply import Outcome

LINES_A_POLL = 100
MOST_NOTES, LONGEST_KEY, LONGEST_NOTE = 16, 64, 512  # of metadata: pairs, and characters of each half
EXPIRED = ("batch_expired", "This request could not be executed before the completion window expired.")
CANCELLED = ("batch_cancelled", "This request was not executed because the batch was cancelled.")
INVALID = batch_input.Fault("token_limit_exceeded", "Enqueued token limit reached for this model.")


class EmulatedBatches:
    """All batches. submitted, charged: how often each custom_id was. lines_a_poll: that a batch does in a step."""

    def __init__(self, model: ChatModel, faults: Faults, bill: Bill, *, lines_a_poll: int = LINES_A_POLL) -> None:
        self.faults, self.bill, self.files = faults, bill, Files()
        self.submitted: Counter[str] = Counter()
        self.charged: Counter[str] = Counter()
        self.made: list[EmulatedBatch] = []
        self._model, self._lines_a_poll = model, lines_a_poll
        self._stepping = asyncio.Lock()

    async def make(self, content: Mapping[str, Any]) -> EmulatedBatch:
        """Make a batch as the JSON of a request asks.

        Raises:
            Refused: it cannot be made.
        """
        endpoint = content.get("endpoint")
        if endpoint not in APIS:
            raise Refused(400, f"Invalid value: {endpoint!r}. Supported values are: {list(APIS)}.", param="endpoint")
        if content.get("completion_window") != WINDOW:
            raise Refused(400, f"Invalid value: the only completion_window is '{WINDOW}'.", param="completion_window")
        metadata = _metadata(content.get("metadata"))
        file = self.files.get(str(content.get("input_file_id")))
        lines, faults = await asyncio.to_thread(batch_input.read, file.content, endpoint)
        batch = EmulatedBatch(len(self.made), file.id, endpoint, metadata, lines, faults)
        if not faults and self.faults.batch_end(batch.number) == "invalid":
            batch.faults.append(INVALID)
        self.made.append(batch)
        self._count_submitted(batch)
        return batch

    def _count_submitted(self, batch: EmulatedBatch) -> None:
        self.bill.batches += 1
        if batch.faults:
            return
        self.bill.batch_lines += len(batch.lines)
        for line in batch.lines:
            self.bill.repeated_lines += line.custom_id in self.submitted
            self.submitted[line.custom_id] += 1

    def get(self, identifier: str) -> EmulatedBatch:
        """Return a batch as it stands.

        Raises:
            Refused: there is none of that name (404).
        """
        for batch in self.made:
            if batch.id == identifier:
                return batch
        raise Refused(404, f"No batch found with id '{identifier}'.", param="batch_id")

    def page(self, after: str | None, limit: int) -> tuple[list[EmulatedBatch], bool]:
        """Return the batches after one of them, newest first, and whether there are more.

        Raises:
            Refused: there is no such batch (404).
        """
        left = self.made[::-1] if after is None else self.made[: self.get(after).number][::-1]
        return left[:limit], len(left) > limit

    def cancel(self, batch: EmulatedBatch) -> None:
        """Work on a batch no more.

        Raises:
            Refused: it has ended, or is about to (409).
        """
        if batch.status not in ("validating", "in_progress"):
            raise Refused(409, f"Cannot cancel a batch with status '{batch.status}'.")
        batch.become("cancelling")

    async def step(self) -> None:
        """Let every batch get on, unless they are just getting on."""
        if self._stepping.locked():
            return
        async with self._stepping:
            for batch in [batch for batch in self.made if not batch.ended]:
                batch.steps += 1
                await self._step(batch)

    async def _step(self, batch: EmulatedBatch) -> None:
        match batch.status:
            case "validating":
                batch.become("failed" if batch.faults else "in_progress")
            case "in_progress":
                await self._work(batch)
            case "finalizing":
                self._end(batch)
                batch.become("completed")
            case "cancelling":
                self._end(batch, CANCELLED)
                batch.become("cancelled")

    async def _work(self, batch: EmulatedBatch) -> None:
        expires = self.faults.batch_end(batch.number) == "expired"
        most = int(len(batch.lines) * self.faults.batch_part) if expires else len(batch.lines)
        numbers = range(batch.done, min(most, batch.done + self._lines_a_poll))
        for answered, result in await asyncio.gather(*(self._answer(batch, number) for number in numbers)):
            (batch.output if answered else batch.errors).append(result)
        batch.done = max(batch.done, numbers.stop)
        if batch.status != "in_progress" or batch.done < most:  # it may have been cancelled meanwhile
            return
        if expires:
            self._end(batch, EXPIRED)
        batch.become("expired" if expires else "finalizing")

    async def _answer(self, batch: EmulatedBatch, number: int) -> tuple[bool, bytes]:
        """Return whether a line was answered, and its result; it is one of the requests, whose number decides on it."""
        line, request = batch.lines[number], self.bill.requests
        self.bill.requests += 1
        fails, answered = self.faults.line_fails(batch.number, number)
        try:
            if fails and not answered:
                raise broken(500)
            asked = await asyncio.to_thread(read, APIS[batch.endpoint], line.body)
            outcome = await self._model.answer(replace(asked, tier=BATCH), request)
            self._charge(line, outcome)
            if fails:
                raise broken(500)
        except Refused as refused:
            return False, _result(batch, number, _response(refused.status, request, error(refused)))
        return True, _result(batch, number, _response(200, request, reply(outcome)))

    def _charge(self, line: Line, outcome: Outcome) -> None:
        self.bill.add(outcome)
        self.bill.batch_answers += 1
        self.bill.repeated_answers += line.custom_id in self.charged
        self.charged[line.custom_id] += 1

    def _end(self, batch: EmulatedBatch, why: tuple[str, str] | None = None) -> None:
        """Write the results into files; `why` says what is to be said of the lines that are left."""
        for number in range(batch.done, len(batch.lines) if why else 0):
            code, message = why or ("", "")
            batch.errors.append(_result(batch, number, None, {"code": code, "message": message}))
        shuffle = np.random.default_rng((self.faults.seed, batch.number, 2, 2)).permutation
        for results, attribute in ((batch.output, "output_file"), (batch.errors, "error_file")):
            if results:
                content = b"".join(results[i] + b"\n" for i in shuffle(len(results)))
                file = self.files.keep(f"{batch.id}_{attribute}.jsonl", "batch_output", content)
                setattr(batch, attribute, file.id)


def _metadata(said: object) -> dict[str, str] | None:
    if said is None:
        return None
    match said:
        case dict() if len(said) <= MOST_NOTES and all(map(_is_note, said.items())):
            return said
    raise Refused(400, "Invalid 'metadata': at most 16 pairs of strings, of 64 and 512 characters.", param="metadata")


def _is_note(pair: tuple[object, object]) -> bool:
    key, value = pair
    return isinstance(key, str) and isinstance(value, str) and len(key) <= LONGEST_KEY and len(value) <= LONGEST_NOTE


def _response(status: int, request: int, body: dict[str, Any]) -> dict[str, Any]:
    return {"status_code": status, "request_id": f"req_{request}", "body": body}


def _result(
    batch: EmulatedBatch, number: int, response: dict[str, Any] | None, fault: dict[str, str] | None = None
) -> bytes:
    name = batch.lines[number].custom_id
    return dumps({"id": f"batch_req_{number}", "custom_id": name, "response": response, "error": fault})
