"""Result of an attack on one image."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from bbquery.jobs.attack.votes import adversarial, chance
from bbquery.types import Decision

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bbquery.attacks import Attack, AttackResult
    from bbquery.client.client import QueryCounts
    from bbquery.drift import DriftReport
    from bbquery.errors import BbqueryError
    from bbquery.jobs.attack.votes import Votes
    from bbquery.jobs.spare import Rest
    from bbquery.ledger.records import BudgetState, UnknownAttempt
    from bbquery.oracle import Capabilities
    from bbquery.scoring.base import BoundScore, Score
    from bbquery.types import Answer, Image

Outcome: TypeAlias = Literal["adversarial", "unverified", "refuted", "not found", "not attacked"]


@dataclass(frozen=True, eq=False)
class Stress:
    """The result of an attack, and all that is needed to repeat and audit it.

    x: the clean pixels as they are sent. clean: the first answer to them, and its repeats as `votes`. score: what was
    bound to the clean label. found: None where the clean image was not attacked, since its own label does not stand.
    verification: of the image that was found, None where that was not asked again. stopped: why the attack ended early,
    error: what ended it (a budget, the oracle, a person); None where nothing did. rest: what completing it takes.
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
    thresholds: tuple[float, ...]
    seed: int
    found: AttackResult | None
    verification: Votes | None
    stopped: str | None
    error: BbqueryError | None
    unread: Counter[str]
    drift: DriftReport
    queries: QueryCounts
    budget: BudgetState
    unknown: tuple[UnknownAttempt, ...]
    seconds: dict[str, float]
    rest: Rest

    @property
    def partial(self) -> bool:
        """Whether it ended before all that was planned was asked."""
        return self.error is not None

    @property
    def outcome(self) -> Outcome:
        """Adversarial is what was found, asked again, and still is, by most answers and more often than by chance.

        Refuted: by most answers it no longer is. Unverified: not asked again, or not to be told from chance.
        """
        if self.found is None:
            return "not attacked"
        if self.found.best is None:
            return "not found"
        if self.verification is None:
            return "unverified"
        if self.verification.majority == Decision.MET:
            return "refuted"
        return "adversarial" if adversarial(self.votes, self.verification) else "unverified"

    @property
    def chance(self) -> float:
        """The probability that as many answers differ by the clean label's own flips alone; NaN if not asked again."""
        return math.nan if self.verification is None else chance(self.votes, self.verification)

    @property
    def rmse(self) -> float:
        """The distance of a verified adversarial image, 0 to 1; infinite where there is none."""
        return self.found.rmse if self.found is not None and self.outcome == "adversarial" else math.inf

    @property
    def successes(self) -> dict[float, bool]:
        """Whether it is within each threshold."""
        return {threshold: self.rmse <= threshold for threshold in self.thresholds}
