"""Result of a run of several attacks on several images: what remains of it once its images are written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bbquery.client.client import QueryCounts
from bbquery.jobs.attack.run import AttackRun
from bbquery.jobs.attack.summary import Finding, Summary, summary

if TYPE_CHECKING:
    from bbquery.errors import BbqueryError
    from bbquery.jobs.attack.series import Attacked
    from bbquery.ledger.records import UnknownAttempt

NO_QUERIES = QueryCounts(asked=0, sent=0, from_store=0, unknown=0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Attacks(AttackRun):
    """All attacks on all images.

    error: what ended the run, or else the first attack that is not whole; None where nothing did. queries: of all.
    call: the text of the call from Python that made it; empty where a command did.
    """

    findings: tuple[Finding, ...]
    queries: QueryCounts
    unknown: tuple[UnknownAttempt, ...]
    error: BbqueryError | None
    call: str = ""

    @property
    def partial(self) -> bool:
        """Whether any attack on any image is not complete."""
        return any(finding.status != "complete" for finding in self.findings)

    @property
    def summary(self) -> Summary:
        """What they come to."""
        return summary(self.findings, self.thresholds, linf_thresholds=self.linf_thresholds, seed=self.seed)


@dataclass
class Tally:
    """What is kept of attacks that are done: their numbers, not their pixels. error: see `Attacks`."""

    findings: list[Finding] = field(default_factory=list)
    queries: QueryCounts = NO_QUERIES
    unknown: list[UnknownAttempt] = field(default_factory=list)
    error: BbqueryError | None = None

    def take(self, result: Attacked) -> None:
        """Keep the numbers of an attack."""
        if result.stress is not None:
            self.queries = self.queries.plus(result.stress.queries)
            self.unknown += result.stress.unknown
        self.findings.append(Finding.of(result))
        if result.status != "complete" and (result.ended_run or self.error is None):
            self.error = result.error

    def whole(self, run: AttackRun, call: str = "") -> Attacks:
        """Return what all come to. run: as it stood after the last of them."""
        return Attacks(
            **vars(run), findings=tuple(self.findings), queries=self.queries, unknown=tuple(self.unknown),
            error=self.error, call=call,
        )  # fmt: skip
