"""Summary of an audit: what its page, its files and its gates say, worked out from rows that are read one by one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from bbquery.units import NOTHING, Units

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.jobs.audit.row import Row
    from bbquery.jobs.intervals import Estimate
    from bbquery.ledger.records import BudgetState

ANEW = "to ask anew, and pay anew, give --ledger a new file and --out a new folder"
ANOTHER = "photos with another first label than before"
"""The figure that counts photos, each of which either has another label or has not: chance has no part in it."""
Verdict: TypeAlias = Literal["met", "failed", "cannot be told"]
"""What came of a gate."""


@dataclass(frozen=True, kw_only=True)
class Robustness:
    """How many photos kept their label up to a distance. rmse: 0 to 1. share: of those attacked, with its interval."""

    rmse: float
    share: Estimate


@dataclass(frozen=True, kw_only=True)
class OracleSummary:
    """One oracle over all photos; every `Estimate` has its 95 % interval and its n.

    name: in the plan. model: how the oracle calls itself, served: model versions that answered. photos: of the plan;
    complete, partial, failed, not_begun: of these. ended: what ended its lane early, empty where nothing did. right:
    share of labelled photos that it named right. flipped: share of repeated photos whose first label changed. refused:
    share of photos without an answer. chance: share of maps that could be chance. fidelity: mean of insertion less
    deletion. enough, breaks: mean shares of the photo. robust: by distance, the largest first. drifted: photos at which
    the model changed. unanswered: questions of `asked` without an answer, kinds: by kind. answered: photos with an
    answer; stored: of these, those of which nothing was asked anew, since the store gave all answers. sent, from_store:
    by the rows, each of the run that wrote it. budget: caps, what was posted and what is held, in every run;
    of_a_photo: what a complete photo cost on average. unknown: attempts that may have been billed without an answer.
    seconds: of all photos together.
    """

    name: str
    model: str
    served: tuple[str, ...]
    photos: int
    complete: int
    partial: int
    failed: int
    not_begun: int
    ended: str
    right: Estimate
    flipped: Estimate
    refused: Estimate
    chance: Estimate
    fidelity: Estimate
    enough: Estimate
    breaks: Estimate
    robust: tuple[Robustness, ...]
    drifted: int
    asked: int
    unanswered: int
    kinds: Mapping[str, int]
    answered: int
    stored: int
    sent: int
    from_store: int
    budget: BudgetState
    of_a_photo: Units
    unknown: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What came of one gate on one oracle, or on a pair of them.

    name: in the plan, such as "min_fidelity". oracle: of the plan; "one and other" for a pair. wanted: what is asked,
    found: what was seen, both in words. why: why it cannot be told; empty where it can. photos: that broke it, the
    worst first.
    """

    name: str
    oracle: str
    verdict: Verdict
    wanted: str
    found: str
    why: str = ""
    photos: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Two oracles on the same photos.

    labels: share of photos that both named the same first. maps: mean correlation of their maps of the same target
    words or of each one's first, −1 to 1. apart: photos that they named differently.
    """

    oracles: tuple[str, str]
    labels: Estimate
    maps: Estimate
    apart: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Change:
    """What changed of one figure of one oracle since a baseline, paired by photo.

    figure: in words. before, after: over the photos that both audits have. difference: after less before, with its
    interval. photos: that changed, the most first.
    """

    oracle: str
    figure: str
    before: Estimate
    after: Estimate
    difference: Estimate
    photos: tuple[str, ...] = ()

    @property
    def has_interval(self) -> bool:
        """Whether its difference could be either way and has an interval: only then can it be told from none."""
        return self.before.known and not math.isnan(self.difference.low)

    @property
    def excludes_none(self) -> bool:
        """Whether its difference's interval leaves out 0."""
        return self.has_interval and (self.difference.low > 0 or self.difference.high < 0)


@dataclass(frozen=True, kw_only=True)
class Summary:
    """An audit as it stands.

    name: of the plan. run: hash of what it asks. plan: the plan file as plain data. command: as it was typed; empty
    from Python. folder: of the audit, where its files lie. budget: of the whole. rests: what is not complete, and why,
    a line each. resume: the command that completes it, empty where it is whole. baseline: of what `changes` are, empty
    without one. ended: what ended the run as a whole, empty where nothing did. began: when this run began, ISO 8601.
    read: gives every row that is there. earlier: what runs before the last one took, held amounts included, of each
    oracle by name and of the whole by ""; empty where that is not known.
    """

    name: str
    run: str
    plan: Mapping[str, Any]
    command: tuple[str, ...]
    folder: Path
    oracles: tuple[OracleSummary, ...]
    budget: BudgetState
    read: Callable[[], Iterator[Row]]
    gates: tuple[Gate, ...] = ()
    agreements: tuple[Agreement, ...] = ()
    changes: tuple[Change, ...] = ()
    baseline: str = ""
    rests: tuple[str, ...] = ()
    resume: str = ""
    ended: str = ""
    began: str = ""
    earlier: Mapping[str, Units] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def changed(self) -> str:
        """What changed since the baseline, in words, and how many photos were asked anew; empty without one."""
        if not self.baseline:
            return ""
        labels = [change.difference for change in self.changes if change.figure == ANOTHER]
        others = sum(round(share.value * share.n) for share in labels)
        compared = [change for change in self.changes if change.has_interval]
        count = sum(change.excludes_none for change in compared)
        return (
            f"{self._anew}since the baseline {others:,} of {sum(share.n for share in labels):,} first labels changed,"
            f" and {count:,} of {len(compared):,} figures beyond chance"
        )

    @property
    def _anew(self) -> str:
        answered, stored = (sum(getattr(each, what) for each in self.oracles) for what in ("answered", "stored"))
        return f"{answered - stored:,} of {answered:,} photos asked anew; " if answered else ""

    @property
    def stored(self) -> tuple[str, ...]:
        """Of which oracles photos rest on stored answers alone, a sentence each, and how to ask anew; mostly empty."""
        said = [_stored(each) for each in self.oracles if each.stored]
        compares = self.baseline or (self.plan.get("gates") or {}).get("no_drift")
        said += [_earlier(each) for each in self.oracles if compares and self._is_of_earlier_runs(each)]
        return (*said, ANEW) if said else ()

    def _is_of_earlier_runs(self, found: OracleSummary) -> bool:
        return found.complete > 0 and not found.stored and self.taken(found.budget, found.name) == NOTHING

    def taken(self, budget: BudgetState, name: str = "") -> Units | None:
        """Return what the last run took of the budget of an oracle, or of the whole; None where that is not known."""
        before = self.earlier.get(name)
        if before is None:
            return None
        return Units(*(max(now - then, 0) for now, then in zip(budget.taken.amounts, before.amounts, strict=True)))

    def rows(self) -> Iterator[Row]:
        """Give every row that is there, oracle by oracle in the plan's order of photos, read one by one."""
        return self.read()


def _stored(found: OracleSummary) -> str:
    which = "every photo" if found.stored == found.answered else "the others"
    return (
        f"{found.name}: {found.answered - found.stored:,} of {found.answered:,} photos asked anew: all answers on "
        f"{which} are from the store, so a change of the model since then, under the same identity, does not show"
    )


def _earlier(found: OracleSummary) -> str:
    return (
        f"{found.name}: nothing was asked in the last run: all answers are those of an earlier one, so a change of the "
        "model since then does not show"
    )
