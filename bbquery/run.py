"""The only place where plans meet the outside: a plan's images become queries, their answers become its scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from bbquery.plan import Plan, Returned, Stopped, step
from bbquery.scoring.base import BoundScore, score_rows

if TYPE_CHECKING:
    from bbquery.client import Client
    from bbquery.drift import DriftWatch
    from bbquery.types import Scores

T = TypeVar("T")


@dataclass(frozen=True)
class Driven(Generic[T]):
    """A plan's result, and why it was stopped early (None: it was not)."""

    result: T
    stopped: str | None


async def drive(plan: Plan[T], client: Client, score: BoundScore, drift: DriftWatch | None = None) -> Driven[T]:
    """Run a plan to its end, or to the client's halt; then it returns its best so far.

    The plan's own work runs on a worker thread, so several drives share one client and one event loop. drift: checks
    between batches that the model stays the same.
    """
    sent: Scores | Stopped | None = None
    while True:
        state = await client.off_loop(step, plan, sent)
        if isinstance(state, Returned):
            return Driven(state.result, sent.reason if isinstance(sent, Stopped) else None)
        rows = await client.ask(state.ask)
        scores = score_rows(score, [[None if reply is None else reply.answer for reply in row] for row in rows])
        missing = any(reply is None for row in rows for reply in row)
        if drift is not None:
            drift.saw(reply for row in rows for reply in row)
            await drift.after(client)
        sent = Stopped(client.halt.reason, scores) if missing else scores
