"""One image asked several times, and what most of the answers say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery.plan import Ask
from bbquery.scoring.base import score_rows
from bbquery.types import Decision

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bbquery.client import Client
    from bbquery.scoring.base import BoundScore
    from bbquery.types import Image, Reply


@dataclass(frozen=True)
class Votes:
    """One image asked several times. kept, left: answers by which the clean label stands, or does not.

    asked: queries. Those that are neither were refused, could not be read, or were never answered.
    """

    asked: int
    kept: int
    left: int

    @property
    def majority(self) -> Decision:
        """MET where the label stands by most votes."""
        return Decision.UNDECIDED if self.kept == self.left else Decision(self.kept > self.left)

    @property
    def flip_rate(self) -> float:
        """The share of the minority; NaN without a vote."""
        return min(self.kept, self.left) / (self.kept + self.left) if self.kept + self.left else float("nan")


def count(bound: BoundScore, replies: Iterable[Reply | None]) -> Votes:
    """Return the votes of replies, None where none was to be had."""
    rows = [[None if reply is None else reply.answer] for reply in replies]
    decisions = score_rows(bound, rows).decision.tolist()
    return Votes(len(rows), decisions.count(Decision.MET), decisions.count(Decision.NOT_MET))


async def ask(client: Client, image: Image, times: int, *, first: int) -> list[Reply | None]:
    """Ask for an image so many times; `first` numbers the first of them among all times that it is ever asked."""
    (replies,) = await client.ask(Ask(image[None], repeat=times), first_sample=first)
    return replies
