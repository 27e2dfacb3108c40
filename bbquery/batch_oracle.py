"""The protocol of oracles that also take batches: answers within hours, at a price of their own.

A batch is named by us before it is submitted, and the vendor keeps that name: so a process that died between
submitting and hearing of it finds its batch again, and submits nothing twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from bbquery.oracle import Oracle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bbquery.errors import OracleError
    from bbquery.oracle import Quote
    from bbquery.types import Reply


@dataclass(frozen=True, kw_only=True)
class BatchLimits:
    """The most that one file may hold: lines, and bytes of all lines with their ends."""

    lines: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class BatchState:
    """How a submitted batch stands at the vendor.

    ended: nothing more will come, so its results may be collected. status: the vendor's own word. total, answered,
    failed: lines, as the vendor counts them. reason: why it failed as a whole; empty where it did not.
    """

    ended: bool
    status: str
    total: int
    answered: int
    failed: int
    reason: str = ""


@runtime_checkable
class BatchOracle(Oracle, Protocol):
    """An oracle that also answers batches."""

    @property
    def batch_limits(self) -> BatchLimits:
        """The most that one file may hold."""

    def batch_quote(self, payload: Any) -> Quote:
        """Return what one query with this payload may cost in a batch. Pure; needs no key and no connection."""

    def batch_line(self, payload: Any, line: str) -> bytes:
        """Return the line of the file that asks this, named `line`, with its end. Pure."""

    async def submit(self, lines: Path, batch: str) -> str:
        """Submit the file as the batch of our name `batch`; return the vendor's name for it.

        Raises:
            OracleError: with outcome "voided" nothing was submitted; otherwise it may have been: ask `submitted`.
        """

    async def submitted(self, batch: str) -> str | None:
        """Return the vendor's name for the batch of our name; None where it has none.

        Raises:
            OracleError: the vendor could not be asked.
        """

    async def batch_state(self, vendor: str) -> BatchState:
        """Return how a batch stands, by the vendor's name.

        Raises:
            OracleError: the vendor could not be asked, or does not know it.
        """

    def batch_results(self, vendor: str) -> AsyncIterator[tuple[str, Reply | OracleError]]:
        """Give the results of a batch that ended: a line's name, and its reply or why it has none, in any order.

        A line that was never worked on (expired, cancelled) gives an error with outcome "voided": it is not charged.
        A line that is not given at all was neither answered nor refused.

        Raises:
            OracleError: the results could not be fetched.
        """

    async def cancel_batch(self, vendor: str) -> None:
        """Ask the vendor to work on a batch no more; what was answered stays, and is charged.

        Raises:
            OracleError: the vendor could not be asked.
        """
