"""Judgement of what was found by each criterion, whichever of them the search used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery.jobs.attack import votes
from bbquery.scoring.criteria import CRITERIA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.jobs.attack.goal import Bound
    from bbquery.jobs.attack.votes import Verdict, Votes
    from bbquery.scoring.criteria import Criterion
    from bbquery.types import Reply


@dataclass(frozen=True)
class Judgement:
    """Votes of one criterion. stands: while what the clean label stands. found: None where it was not asked again.

    tries: as of `votes.verdict`. unknown: why nobody can judge by it, and then there are no votes; empty where one can.
    """

    stands: str
    clean: Votes | None
    found: Votes | None
    tries: int = 1
    unknown: str = ""

    @property
    def verdict(self) -> Verdict | None:
        """What the answers to what was found come to; None where nobody can say, or nothing was found."""
        return None if self.clean is None or self.found is None else votes.verdict(self.clean, self.found, self.tries)


def judgements(
    bound: Bound, clean: Sequence[Reply | None], found: Sequence[Reply | None] | None, tries: int
) -> dict[Criterion, Judgement]:
    """Return what each criterion makes of the replies to the clean image and to what was found. tries: see above."""
    made = {}
    for name in CRITERIA:
        if name not in bound.criteria:
            made[name] = Judgement("", None, None, unknown=bound.unknown)
            continue
        score = bound.criteria[name]
        again = None if found is None else votes.count(score, found)
        made[name] = Judgement(score.about.criterion, votes.count(score, clean), again, tries)
    return made
