"""Results of a batch as they come in: line by line, in any order, some perhaps more than once.

An answer is settled as soon as it is read. A line that failed waits until all is read: a vendor's file may name a line
twice, and what was answered was paid for, whatever else it says of it. Of two answers the first is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from blake3 import blake3

from bbquery.errors import OracleError
from bbquery.ledger import codec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bbquery.batches.settlement import Result
    from bbquery.types import Reply

LINES_AT_ONCE = 256  # settled in one commit


class Results:
    """Results of a batch so far. contradicted: lines that came more than once, and differed."""

    def __init__(self) -> None:
        self._answers: dict[str, Result] = {}
        self._failures: dict[str, OracleError] = {}
        self._seen: dict[str, bytes] = {}  # of lines that were answered, and what
        self._contradicted: set[str] = set()

    @property
    def contradicted(self) -> int:
        """Number of lines that came more than once, and differed."""
        return len(self._contradicted)

    def add(self, name: str, result: Result) -> bool:
        """Take a line's result; return whether enough answers are there to be settled together."""
        if isinstance(result, OracleError):
            self._failed(name, result)
        else:
            self._answered(name, result)
        return len(self._answers) >= LINES_AT_ONCE

    def _failed(self, name: str, error: OracleError) -> None:
        if name in self._seen or str(self._failures.get(name, error)) != str(error):
            self._contradicted.add(name)
        paid = name in self._failures and self._failures[name].outcome != "voided"
        if name not in self._seen and not paid:  # what may have been charged stays held
            self._failures[name] = error

    def _answered(self, name: str, reply: Reply) -> None:
        said = _digest(reply)
        if name in self._failures or self._seen.get(name, said) != said:
            self._contradicted.add(name)
        if name not in self._seen:
            self._failures.pop(name, None)
            self._seen[name], self._answers[name] = said, reply

    def answers(self) -> dict[str, Result]:
        """Hand over the answers that were not handed over yet."""
        ready, self._answers = self._answers, {}
        return ready

    def failures(self) -> Iterator[dict[str, Result]]:
        """Yield the lines that failed, once all is read, as many at a time as are settled together."""
        names = list(self._failures)
        for start in range(0, len(names), LINES_AT_ONCE):
            yield {name: self._failures[name] for name in names[start : start + LINES_AT_ONCE]}


def _digest(reply: Reply) -> bytes:
    """Return a short hash of an answer; of one that cannot be stored, always the same."""
    try:
        return blake3(codec.pack(reply.answer)).digest(length=8)
    except (TypeError, ValueError):
        return b""
