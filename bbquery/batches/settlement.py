"""Settlement of a batch's results in the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery.client.answer_checks import checked
from bbquery.errors import CostAboveHold, OracleError
from bbquery.ledger import batches, statements
from bbquery.ledger.outcomes import above_hold, settlement
from bbquery.types import Reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bbquery.ledger.batches import BatchRecord
    from bbquery.ledger.connection import Connection
    from bbquery.oracle import Capabilities

Result = Reply | OracleError


@dataclass(frozen=True)
class Settled:
    """Settled lines. answered: number of answers. failures: why others have none. above: a cost above its hold."""

    answered: int
    failures: tuple[OracleError, ...]
    above: CostAboveHold | None


def settle(
    connection: Connection, batch: BatchRecord, results: Mapping[str, Result], capabilities: Capabilities
) -> Settled:
    """Settle the lines of a batch that are in `results` and still open, each answer with its cost in this transaction.

    Names that are no open line of this batch are passed over: they were settled before, or are none of ours.
    """
    by_attempt = {int(name): result for name, result in results.items() if name.isdecimal() and len(name) < 20}
    lines = batches.open_lines_of(connection, batch, list(by_attempt))
    ended = {attempt: _checked(by_attempt[attempt], capabilities) for attempt in lines}
    if ended:
        statements.settle(connection, [settlement(lines[attempt], result) for attempt, result in ended.items()])
    above = (above_hold(lines[attempt], result, capabilities.name) for attempt, result in ended.items())
    failures = tuple(result for result in ended.values() if isinstance(result, OracleError))
    return Settled(len(ended) - len(failures), failures, next((error for error in above if error is not None), None))


def _checked(result: Result, capabilities: Capabilities) -> Result:
    return checked([result], 1, capabilities)[0]
