"""Summary of attacks over photos: successes, medians, and which attacks can be told apart.

1. What counts are photos with their own label, on which an attack asked all that it planned: one that was stopped early
   had fewer queries than the others, so it is left out, and how often is said.
2. An attack succeeds within a distance where it found an adversarial image that was verified. Elsewhere it failed, and
   its distance is infinite.
3. Two attacks are told apart where one is nearer on more photos than chance explains: by the sign test on the photos
   that both attacked, raised for the number of pairs (`statistics`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bbquery.jobs.attack import statistics
from bbquery.jobs.chance import OUTSIDE, holm
from bbquery.jobs.intervals import rate, unknown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.attacks import Point
    from bbquery.jobs.attack.result import Outcome, Stress
    from bbquery.jobs.attack.series import Attacked
    from bbquery.jobs.intervals import Estimate
    from bbquery.jobs.parts import Status


@dataclass(frozen=True)
class Finding:
    """What one attack came to on one photo, without pixels. image, attack: how its folders are called.

    given: the attack, as it was given. rmse, linf: 0 to 1, infinite where it failed. queries: that the attack asked.
    trace: each new nearest image. labels: as of `Stress`. survived: how many treatments the change survives, and how
    many tell of it; None where that was not asked. outcome: None where not even the clean image was answered.
    """

    image: str
    attack: str
    given: str
    control: bool
    status: Status
    outcome: Outcome | None
    rmse: float
    linf: float
    queries: int
    trace: tuple[Point, ...]
    labels: Mapping[str, int]
    survived: tuple[int, int] | None

    @classmethod
    def of(cls, result: Attacked) -> Finding:
        """Return what a result came to."""
        stress = result.stress
        found = None if stress is None else stress.found
        rmse, linf = (math.inf, math.inf) if stress is None else (stress.rmse, stress.linf)
        return cls(
            image=result.image, attack=result.attack, given=result.given, control=result.control, status=result.status,
            outcome=None if stress is None else stress.outcome, rmse=rmse, linf=linf,
            queries=0 if found is None else found.queries, trace=() if found is None else found.trace,
            labels={} if stress is None else stress.labels, survived=_survived(stress),
        )  # fmt: skip

    @property
    def counts(self) -> bool:
        """Whether it is one of those that the summary is of."""
        return self.status == "complete" and self.outcome != "not attacked"

    def distances(self, queries: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the distance of the nearest image after so many queries each; infinite where the attack failed."""
        passed = [point.queries for point in self.trace] if self.outcome == "adversarial" else []
        nearest = np.array([math.inf, *(point.rmse for point in self.trace)])
        return nearest[np.searchsorted(passed, queries, side="right")]


def _survived(stress: Stress | None) -> tuple[int, int] | None:
    if stress is None or stress.treated is None or stress.outcome != "adversarial":
        return None
    telling = [each for each in stress.treated if each.tells]
    return sum(each.survived for each in telling), len(telling)


@dataclass(frozen=True)
class Row:
    """One attack over all photos. findings: of the photos that count. successes: the share within each RMSE.

    linf_successes: within each largest change. median: unknown of a control, which asks at the distances alone.
    not_attacked: photos that lack their label, or reach the goal already.
    incomplete: attacks that were stopped early, failed or never began.
    """

    attack: str
    given: str
    control: bool
    findings: tuple[Finding, ...]
    successes: dict[float, Estimate]
    linf_successes: dict[float, Estimate]
    median: Estimate
    not_attacked: int
    incomplete: int

    @property
    def photos(self) -> int:
        """How many photos count."""
        return len(self.findings)


@dataclass(frozen=True)
class Within:
    """Successes of two attacks within one distance, on photos that both attacked: of one alone, and of the other.

    chance: by McNemar's exact test, the probability that they differ so much by chance.
    """

    one: int
    other: int
    chance: float


@dataclass(frozen=True)
class Pair:
    """Two attacks on the same photos. ratio: of their distances, one / other, with n photos on which both are finite.

    photos: that both attacked. nearer: on how many of them one is nearer, and the other. chance: by the sign test, the
    probability of that by chance, raised for the number of pairs. within: by distance.
    """

    one: str
    other: str
    photos: int
    ratio: Estimate
    nearer: tuple[int, int]
    chance: float
    within: dict[float, Within]

    @property
    def enough(self) -> bool:
        """Whether one is nearer on so many photos that the sign test could tell them apart, were it always the same."""
        return sum(self.nearer) >= statistics.FEWEST

    @property
    def told_apart(self) -> bool:
        """Whether chance does not explain which is nearer."""
        return self.chance <= OUTSIDE


@dataclass(frozen=True)
class Summary:
    """What attacks come to over photos. rows: attacks, then controls. pairs: of attacks alone, by RMSE."""

    thresholds: tuple[float, ...]
    linf_thresholds: tuple[float, ...]
    rows: tuple[Row, ...]
    pairs: tuple[Pair, ...]

    @property
    def alike(self) -> list[Pair]:
        """Pairs that cannot be told apart."""
        return [pair for pair in self.pairs if not pair.told_apart]


def summary(
    findings: Iterable[Finding], thresholds: Sequence[float], *, linf_thresholds: Sequence[float] = (), seed: int = 0
) -> Summary:
    """Return what findings come to. thresholds: of RMSE. linf_thresholds: of largest changes. seed: of bootstraps."""
    of_attack: dict[str, list[Finding]] = {}
    for finding in findings:
        of_attack.setdefault(finding.attack, []).append(finding)
    rows = [_row(each, thresholds, linf_thresholds) for each in of_attack.values()]
    rows.sort(key=lambda row: row.control)
    pairs = list(itertools.combinations([row for row in rows if not row.control], 2))
    compared = [_pair(one, other, thresholds, seed) for one, other in pairs]
    adjusted = holm([pair.chance for pair in compared])
    raised = [Pair(**vars(pair) | {"chance": chance}) for pair, chance in zip(compared, adjusted, strict=True)]
    return Summary(tuple(thresholds), tuple(linf_thresholds), tuple(rows), tuple(raised))


def _row(findings: Sequence[Finding], thresholds: Sequence[float], linf_thresholds: Sequence[float]) -> Row:
    counted, first = tuple(each for each in findings if each.counts), findings[0]
    return Row(
        attack=first.attack, given=first.given, control=first.control, findings=counted,
        successes=_within_each([each.rmse for each in counted], thresholds),
        linf_successes=_within_each([each.linf for each in counted], linf_thresholds),
        median=unknown() if first.control else statistics.median([each.rmse for each in counted]),
        not_attacked=sum(each.outcome == "not attacked" for each in findings),
        incomplete=sum(each.status != "complete" for each in findings),
    )  # fmt: skip


def _within_each(distances: Sequence[float], thresholds: Sequence[float]) -> dict[float, Estimate]:
    return {limit: rate(sum(each <= limit for each in distances), len(distances)) for limit in thresholds}


def _pair(one: Row, other: Row, thresholds: Sequence[float], seed: int) -> Pair:
    """Return two attacks compared; its chance is that of one test alone."""
    of_other = {finding.image: finding.rmse for finding in other.findings}
    shared = [(finding.rmse, of_other[finding.image]) for finding in one.findings if finding.image in of_other]
    ones, others = [pair[0] for pair in shared], [pair[1] for pair in shared]
    nearer = statistics.nearer(ones, others)
    return Pair(
        one=one.attack, other=other.attack, photos=len(shared), ratio=statistics.ratio(ones, others, seed),
        nearer=nearer, chance=statistics.sign_test(*nearer),
        within={threshold: _within(shared, threshold) for threshold in thresholds},
    )  # fmt: skip


def _within(shared: Sequence[tuple[float, float]], threshold: float) -> Within:
    alone = sum(a <= threshold < b for a, b in shared), sum(b <= threshold < a for a, b in shared)
    return Within(*alone, statistics.sign_test(*alone))
