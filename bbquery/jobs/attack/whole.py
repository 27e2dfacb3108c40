"""Result of a run of several attacks on several images: what remains of it once its images are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery.jobs.attack.summary import Summary, summary

if TYPE_CHECKING:
    from bbquery.client.client import QueryCounts
    from bbquery.errors import BbqueryError
    from bbquery.jobs.attack.summary import Finding
    from bbquery.ledger.records import BudgetState, UnknownAttempt
    from bbquery.oracle import Capabilities


@dataclass(frozen=True)
class AttackedImage:
    """One of the images. name: of its folder. source: as it was given. pixels: digest. label: the one to be lost.

    label: None where that was what the oracle said first.
    """

    name: str
    source: str
    pixels: str
    label: str | None


@dataclass(frozen=True, eq=False)
class Attacks:
    """All attacks on all images. thresholds, linf_thresholds: of RMSE, and of the largest change; the largest first.

    error: what ended the run, or else the first attack that is not whole; None where nothing did. queries: of all.
    """

    run: str
    images: tuple[AttackedImage, ...]
    findings: tuple[Finding, ...]
    thresholds: tuple[float, ...]
    linf_thresholds: tuple[float, ...]
    oracle: Capabilities
    seed: int
    queries: QueryCounts
    budget: BudgetState
    unknown: tuple[UnknownAttempt, ...]
    error: BbqueryError | None
    seconds: dict[str, float]

    @property
    def partial(self) -> bool:
        """Whether any attack on any image is not complete."""
        return any(finding.status != "complete" for finding in self.findings)

    @property
    def summary(self) -> Summary:
        """What they come to."""
        return summary(self.findings, self.thresholds, linf_thresholds=self.linf_thresholds, seed=self.seed)
