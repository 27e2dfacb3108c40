"""Context that the parts of a batch run share: oracle, ledger, folder, and who is notified."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from bbquery.ledger import batches
from bbquery.ledger.owners import batch_owner

if TYPE_CHECKING:
    from bbquery.batch_oracle import BatchOracle
    from bbquery.batches.folder import Folder
    from bbquery.client.client import Client
    from bbquery.errors import Outcome
    from bbquery.ledger.batches import BatchRecord, State
    from bbquery.ledger.ledger import Ledger
    from bbquery.system.clock import Clock


class BatchListener(Protocol):
    """Listener to the progress of batches."""

    def batch_news(self, text: str) -> None:
        """Something happened that is worth a line of its own."""

    def batch_status(self, text: str) -> None:
        """How things stand; replaces what was said before."""


@dataclass(eq=False)
class BatchContext:
    """The context of a run's batches. fingerprint: the oracle's. ours: the owners that are batches of this run."""

    client: Client
    oracle: BatchOracle
    fingerprint: str
    folder: Folder
    clock: Clock
    listener: BatchListener
    ours: set[str] = field(default_factory=set)

    @property
    def ledger(self) -> Ledger:
        """Where batches are kept."""
        return self.client.ledger

    def go_on(self) -> None:
        """Return, unless the run is to stop.

        Raises:
            BbqueryError: why it is; Interrupted where a person said so.
        """
        if self.client.halt.error is not None:
            raise self.client.halt.error

    async def pause(self, seconds: float) -> None:
        """Wait, unless the run is to stop.

        Raises:
            BbqueryError: why it is; Interrupted where a person said so.
        """
        self.go_on()
        if seconds:
            await self.client.halt.sleep(seconds, self.clock)
            self.go_on()

    async def unfinished(self) -> list[BatchRecord]:
        """Return this run's batches that are neither collected nor dropped, and know them as ours."""
        budget = self.client.budget
        found = await self.client.off_loop(lambda: self.ledger.read(lambda c: batches.unfinished(c, budget)))
        self.ours.update(batch_owner(batch.name) for batch in found)
        return found

    async def advance(self, batch: BatchRecord, to: State, vendor: str | None = None) -> None:
        """Move a batch to its next state, if it is still where it was seen."""
        await self.ledger.write(lambda c: batches.advance(c, batch, to, vendor))

    async def drop(self, batch: BatchRecord, reason: str, outcome: Outcome) -> None:
        """End a batch that is not at the vendor, with this outcome of its attempts; its file goes."""
        await self.ledger.write(lambda c: batches.end(c, batch, "dropped", outcome, reason))
        await self.client.off_loop(self.folder.remove, batch.name)
