"""Result of an attack on one image."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from bbquery.jobs.attack.candidates import tries
from bbquery.jobs.attack.votes import raised, verdict
from bbquery.jobs.presented import Presented, brief, in_a_line

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bbquery.attacks import Attack, AttackResult
    from bbquery.client.client import QueryCounts
    from bbquery.drift import DriftReport
    from bbquery.errors import BbqueryError
    from bbquery.jobs.attack.goal import Goal
    from bbquery.jobs.attack.judgement import Judgement
    from bbquery.jobs.attack.preprocessing import Treated
    from bbquery.jobs.attack.verification import Refuted
    from bbquery.jobs.attack.votes import Votes
    from bbquery.jobs.spare import Rest
    from bbquery.ledger.records import BudgetState, UnknownAttempt
    from bbquery.oracle import Capabilities
    from bbquery.scoring.base import BoundScore, Score
    from bbquery.scoring.criteria import Criterion
    from bbquery.types import Answer, Image

Outcome: TypeAlias = Literal["adversarial", "unverified", "refuted", "empty", "not found", "not attacked"]


@dataclass(frozen=True, eq=False)
class Stress(Presented):
    """The result of an attack, and all that is needed to repeat and audit it.

    x: the clean pixels as they are sent. clean: the first answer to them, and its repeats as `votes`. score: what was
    bound to the clean label. goal: what was to be reached, as a score in `reached`: not met where it is. found: None
    where the clean image was not attacked, since it lacks the label, or reaches the goal already. start: the image that
    the search began at, as sent; None without one. verification: of the image that was found, None where that was not
    asked again. refuted: images that were found and kept the label when asked again, the nearest first: `found` has the
    next one, or the nearest where all were. labels: what the answers of the verification named first, by how often.
    judgements: by each criterion. treated: what was found and the clean image under preprocessing, None where that was
    not asked.
    linf_thresholds: the largest first, none by default. stopped: why the attack ended early, error: what ended it (a
    budget, the oracle, a person); None where nothing did. rest: what completing it takes.
    """

    run: str
    photo: NDArray[np.uint8]
    x: Image
    clean: Answer
    votes: Votes
    oracle: Capabilities
    attack: Attack
    score: Score
    bound: BoundScore
    goal: Goal
    reached: BoundScore
    start: Image | None
    thresholds: tuple[float, ...]
    linf_thresholds: tuple[float, ...]
    seed: int
    found: AttackResult | None
    verification: Votes | None
    refuted: tuple[Refuted, ...]
    labels: Mapping[str, int]
    judgements: Mapping[Criterion, Judgement]
    treated: tuple[Treated, ...] | None
    stopped: str | None
    error: BbqueryError | None
    unread: Counter[str]
    drift: DriftReport
    queries: QueryCounts
    budget: BudgetState
    unknown: tuple[UnknownAttempt, ...]
    seconds: dict[str, float]
    rest: Rest
    source: str = ""
    call: str = ""

    def __repr__(self) -> str:
        """Return what came of it, in a line: pixels and traces would fill pages."""
        target, distances = f"target={brief(self.bound.target)!r}", (f"rmse={self.rmse:.4f}", f"linf={self.linf:.4f}")
        return in_a_line(f"Stress {self.outcome}", target, *distances, f"{self.queries.asked} queries asked")

    @property
    def partial(self) -> bool:
        """Whether it ended before all that was planned was asked."""
        return self.error is not None

    @property
    def outcome(self) -> Outcome:
        """Adversarial is what was found, asked again, and still is, by most answers and more often than by chance.

        Refuted: by most answers it no longer is. Empty: most name nothing. Unverified: not asked again, or not to be
        told from chance.
        """
        if self.found is None:
            return "not attacked"
        return (
            "not found" if self.found.best is None else verdict(self.votes, self.verification, tries(len(self.refuted)))
        )

    @property
    def chance(self) -> float:
        """The probability that as many answers differ by the clean label's own flips alone; NaN if not asked again.

        It is raised where nearer images were refuted.
        """
        return (
            math.nan if self.verification is None else raised(self.votes, self.verification, tries(len(self.refuted)))
        )

    @property
    def rmse(self) -> float:
        """The distance of a verified adversarial image, 0 to 1; infinite where there is none."""
        return self.found.rmse if self.found is not None and self.outcome == "adversarial" else math.inf

    @property
    def linf(self) -> float:
        """The largest change of a verified adversarial image, 0 to 1; infinite where there is none."""
        return self.found.linf if self.found is not None and self.outcome == "adversarial" else math.inf

    @property
    def successes(self) -> dict[float, bool]:
        """Whether its RMSE is within each threshold."""
        return {threshold: self.rmse <= threshold for threshold in self.thresholds}

    @property
    def linf_successes(self) -> dict[float, bool]:
        """Whether its largest change is within each threshold of that."""
        return {threshold: self.linf <= threshold for threshold in self.linf_thresholds}
