"""One image asked several times, what most of the answers say, and whether that can be told from chance.

The test: Fisher's exact test, one-sided (R. A. Fisher, "The Design of Experiments", 1935). Of the clean image m answers
were counted, c of them without the clean label; of the image that was found n, a of them. If both lose the label as
often, by chance alone, then given that a + c of the m + n answers lack it, their number in the second image is
hypergeometric, and the probability of a or more is

    P = Σ_{k ≥ a} C(n, k) C(m, a + c - k) / C(m + n, a + c)

An image is adversarial if most answers say so and P is at most 2 %. The answer by which the search chose the image does
not count: it was picked because it lacked the label. Where the first six answers to the clean image differ, ten more
are asked of it and of the image that was found. An image that is refuted gives way to the next nearest (`candidates`);
P of that is multiplied by how many images may have their turn (Bonferroni). So fewer than 1 run in 100 calls chance
adversarial, whatever the share of answers that are chance (exactly .29 % at a fifth of them, .99 % at the worst share:
`tests/jobs/attack/test_chance.py`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from bbquery.plan import Ask
from bbquery.scoring.base import score_rows
from bbquery.scoring.criteria import NOTHING
from bbquery.types import Decision

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bbquery.client.client import Client
    from bbquery.scoring.base import BoundScore
    from bbquery.types import Image, Reply

MOST_CHANCE = 0.02
"""The probability of chance up to which an image counts as adversarial."""

Verdict: TypeAlias = Literal["adversarial", "unverified", "refuted", "empty"]

TEST = "Fisher's exact test, one-sided, against the clean image's own answers"


@dataclass(frozen=True)
class Votes:
    """One image asked several times. kept, left: answers by which the clean label stands, or does not.

    Of a targeted attack: answers that are not the target class, or are. asked: queries. Those that are neither were
    refused, could not be read, or were never answered; empty: or were empty lists.
    """

    asked: int
    kept: int
    left: int
    empty: int = 0

    @property
    def majority(self) -> Decision:
        """MET where the label stands by most votes."""
        return Decision.UNDECIDED if self.kept == self.left else Decision(self.kept > self.left)

    @property
    def flip_rate(self) -> float:
        """The share of the minority; NaN without a vote."""
        return min(self.kept, self.left) / (self.kept + self.left) if self.kept + self.left else float("nan")


def chance(clean: Votes, again: Votes) -> float:
    """Return the probability that an image loses the label at least so often, if it does so as the clean image does.

    0 to 1; 1 where nothing was counted. The test is described above.
    """
    m, n, left = clean.kept + clean.left, again.kept + again.left, clean.left + again.left
    ways = sum(math.comb(n, k) * math.comb(m, left - k) for k in range(again.left, min(n, left) + 1))
    return ways / math.comb(m + n, left)


def raised(clean: Votes, again: Votes, tries: int) -> float:
    """Return the probability of chance, raised for the images among which one was chosen (Bonferroni)."""
    return min(1.0, tries * chance(clean, again))


def adversarial(clean: Votes, again: Votes, tries: int = 1) -> bool:
    """Return whether the label is lost by most answers, and more often than chance would have it."""
    return again.majority == Decision.NOT_MET and raised(clean, again, tries) <= MOST_CHANCE


def verdict(clean: Votes, again: Votes | None, tries: int = 1) -> Verdict:
    """Return what the answers to the image that was found come to. again: None where it was not asked again.

    tries: among how many images it was chosen by such answers (see `bbquery.jobs.attack.candidates.tries`).
    """
    if again is None:
        return "unverified"
    if 2 * again.empty > again.asked:
        return "empty"
    if again.majority == Decision.MET:
        return "refuted"
    return "adversarial" if adversarial(clean, again, tries) else "unverified"


def count(bound: BoundScore, replies: Iterable[Reply | None]) -> Votes:
    """Return the votes of replies, None where none was to be had."""
    rows = [[None if reply is None else reply.answer] for reply in replies]
    decisions = score_rows(bound, rows).decision.tolist()
    empty = sum(answer == NOTHING for (answer,) in rows)
    return Votes(len(rows), decisions.count(Decision.MET), decisions.count(Decision.NOT_MET), empty)


async def ask(client: Client, image: Image, times: int, *, first: int) -> list[Reply | None]:
    """Ask for an image so many times; `first` numbers the first of them among all times that it is ever asked."""
    (replies,) = await client.ask(Ask(image[None], repeat=times), first_sample=first)
    return replies
