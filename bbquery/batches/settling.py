"""What the results of a batch mean for the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery.answers import checked
from bbquery.errors import CostAboveHold, MalformedAnswer, OracleError
from bbquery.ledger import batches, statements
from bbquery.ledger.records import Settlement
from bbquery.types import Reply, Units

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from bbquery.ledger.batches import Batch, Line
    from bbquery.oracle import Capabilities

Result = Reply | OracleError


@dataclass(frozen=True)
class Settled:
    """What came of some lines. answered: how many were. failures: why others were not. above: a cost above its hold."""

    answered: int
    failures: tuple[OracleError, ...]
    above: CostAboveHold | None


def settle(
    connection: sqlite3.Connection, batch: Batch, results: Mapping[str, Result], capabilities: Capabilities
) -> Settled:
    """Settle the lines of a batch that are in `results` and still open, each answer with its cost in this transaction.

    Names that are no open line of this batch are passed over: they were settled before, or are none of ours.
    """
    by_attempt = {int(name): result for name, result in results.items() if name.isdecimal() and len(name) < 20}
    lines = batches.open_lines(connection, batch, list(by_attempt))
    ended = {attempt: _checked(by_attempt[attempt], capabilities) for attempt in lines}
    if ended:
        statements.settle(connection, [settlement(lines[attempt], result) for attempt, result in ended.items()])
    above = (_above(lines[attempt], result, capabilities) for attempt, result in ended.items())
    failures = tuple(result for result in ended.values() if isinstance(result, OracleError))
    return Settled(len(ended) - len(failures), failures, next((error for error in above if error is not None), None))


def settlement(line: Line, result: Result) -> Settlement:
    """Return how a line's attempt ended."""
    if not isinstance(result, OracleError):
        return Settlement(line.attempt, "posted", result.cost or line.hold, question=line.question, reply=result)
    cost = Units()
    if result.outcome == "posted":
        cost = (result.cost if isinstance(result, MalformedAnswer) else None) or line.hold
    return Settlement(line.attempt, result.outcome, cost, reason=f"{type(result).__name__}: {result}")


def _checked(result: Result, capabilities: Capabilities) -> Result:
    return checked([result], 1, capabilities)[0]


def _above(line: Line, result: Result, capabilities: Capabilities) -> CostAboveHold | None:
    if isinstance(result, OracleError) or result.cost is None or result.cost.within(line.hold):
        return None
    told = f"a query cost {result.cost}, above its worst case of {line.hold}: no cap is safe, please report it"
    return CostAboveHold(told, oracle=capabilities.name)
