"""Result of an explanation: maps, and all that is needed to repeat and audit them."""

from __future__ import annotations

import functools
import math
import operator
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bbquery.errors import UnknownName
from bbquery.jobs.presented import Presented, brief, ending, in_a_line, several
from bbquery.recording import Recorded
from bbquery.run import Unanswered
from bbquery.types import Vector

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import NDArray

    from bbquery.client.client import QueryCounts
    from bbquery.drift import DriftReport
    from bbquery.errors import BbqueryError
    from bbquery.images.placement import Placement
    from bbquery.jobs.explain.verified import Verified
    from bbquery.jobs.spare import Rest
    from bbquery.ledger.records import BudgetState, UnknownAttempt
    from bbquery.oracle import Capabilities
    from bbquery.saliency import Method
    from bbquery.scoring.base import BoundScore, Score
    from bbquery.types import Answer, Image, SaliencyMap


@dataclass(frozen=True, eq=False)
class TargetMap:
    """The map of one target. values: float64 (H, W) in the photo's coordinates, NaN where the oracle saw nothing.

    sent: the same map in the coordinates of the pixels that were sent, with its sign, unit and counts.
    stopped: why it rests on fewer answers than planned; None where it does not. score: what was scored, and what its
    values mean; where lower ones are nearer to the target, the map is that of their negative. unread: what could not
    be read in the answers, by how often. standard_error: float64 (H, W) like values, None where the method has no
    estimate of it; where the photo's pixels lie between those sent it is on the safe side. asked: queries of
    this map, the unperturbed image's not counted. recorded: the scores they were given, to run the method again.
    unanswered: which of them got no answer. verified: facts that were asked for after the map; None where none were.
    chance: whether its answers go with what was changed no better than the same answers, shuffled; None where that was
    not worked out (see `bbquery.jobs.explain.shuffling`). scored_by: the score, before it knew its target; None: as of
    the run.
    """

    target: str
    values: NDArray[np.float64]
    sent: SaliencyMap
    stopped: str | None
    score: BoundScore
    unread: Counter[str]
    standard_error: NDArray[np.float64] | None = None
    asked: int = 0
    recorded: Recorded = field(default_factory=Recorded)
    unanswered: Unanswered = field(default_factory=Unanswered)
    verified: Verified | None = None
    chance: bool | None = None
    scored_by: Score | None = None

    @property
    def half_width(self) -> NDArray[np.float64] | None:
        """The half width of its 90 % interval, (H, W) like its values; None where the method has none."""
        return None if self.standard_error is None else self.sent.interval * self.standard_error

    def __repr__(self) -> str:
        """Return whose map it is, in a line."""
        height, width = self.values.shape
        queries = f"{self.asked:,} queries" + ("" if self.stopped is None else f", stopped: {brief(self.stopped)}")
        return in_a_line("TargetMap", repr(brief(self.target)), f"{height} × {width}", queries)

    @property
    def whole(self) -> bool:
        """Whether all was asked that was planned, its facts too."""
        return self.stopped is None and (self.verified is None or self.verified.stopped is None)

    @property
    def constant(self) -> bool:
        """Whether it says nothing, because no answer scored differently from another."""
        return self.sent.answered > 0 and bool(np.ptp(self.sent.values) == 0)


@dataclass(frozen=True, eq=False)
class Explanation(Presented):
    """Maps, one per target, and all that is needed to repeat and audit them.

    error: what ended the run early (a budget, the oracle, a person), None where nothing did. unknown: attempts of this
    run's budget that may have been billed without an answer. drift: whether the model stayed the same, as far as it was
    checked. seconds: by stage. score: how answers became numbers. rest: what completing it takes. placement: where on
    the photo the pixels lie that were sent; x: these pixels, unperturbed. source: where the photo is from, in words.

    `explanation["tabby"]` is the map of a target as an array, `explanation.only("tabby")` the explanation of it alone.
    """

    run: str
    photo: NDArray[np.uint8]
    x: Image
    placement: Placement
    maps: tuple[TargetMap, ...]
    clean: Answer
    oracle: Capabilities
    method: Method
    score: Score
    seed: int
    queries: QueryCounts
    budget: BudgetState
    unknown: tuple[UnknownAttempt, ...]
    error: BbqueryError | None
    drift: DriftReport
    seconds: dict[str, float]
    rest: Rest
    source: str = ""
    call: str = ""

    def __repr__(self) -> str:
        """Return what was explained, and what it took, in a line."""
        queries = f"{self.queries.answered:,} queries"
        targets = several([m.target for m in self.maps])
        return in_a_line(
            "Explanation", targets, brief(self.oracle.name), queries, ending(self.error, partial=self.partial)
        )

    def __getitem__(self, target: str) -> NDArray[np.float64]:
        """Return the map of a target: float64 (H, W) in the photo's coordinates, NaN where the oracle saw nothing.

        Raises:
            UnknownName: there is no map of it; says which there are.
        """
        return self.maps[self._place(target)].values

    def only(self, target: str | int) -> Self:
        """Return the explanation of one target alone, to be shown, plotted and saved.

        target: its name, or its place among the maps. What was asked and paid is that of the run, all targets together.

        Raises:
            UnknownName: there is no map of it; says which there are.
        """
        place = self._place(target)
        measured = self.drift.noise if place == 0 else math.nan  # of the first target's score alone
        return replace(self, maps=(self.maps[place],), drift=replace(self.drift, noise=measured))

    def _place(self, target: str | int) -> int:
        names = list(self)
        known = names if isinstance(target, str) else range(len(names))
        if target not in known:
            raise UnknownName("target", str(target), names)
        return known.index(target)  # type: ignore[arg-type] # of the kind that it was just found among

    def __iter__(self) -> Iterator[str]:
        """Give the targets that there are maps of, in order."""
        return iter(m.target for m in self.maps)

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    @property
    def partial(self) -> bool:
        """Whether any map, or what was verified of it, rests on fewer answers than planned."""
        return not all(m.whole for m in self.maps)

    @property
    def unread(self) -> Counter[str]:
        """What the score could not read in the answers (unknown labels, say), by how often."""
        return functools.reduce(operator.or_, (m.unread for m in self.maps), Counter())  # maps share answers

    @property
    def facts(self) -> list[str]:
        """What was verified of each map, and what was not and why, a line each, for people."""
        lines = []
        for m in self.maps:
            if m.verified is not None:
                lines += [f"verified: {m.target}: {says}" for says in m.verified.says]
                lines += [f"not verified: {m.target}: {m.verified.why}"] if m.verified.why else []
        return lines

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """Return the k highest classes of the clean image with their numbers; none where answers are no vectors."""
        if not isinstance(self.clean, Vector):
            return []
        return top_classes(self.clean, self.oracle, k)


def top_classes(answer: Vector, capabilities: Capabilities, k: int) -> list[tuple[str, float]]:
    """Return the k highest classes of an answer, by name where there are names, with their numbers."""
    best = np.argsort(-answer.values, kind="stable")[:k]
    show: Any = capabilities.classes.show if capabilities.classes else str
    return [(show(int(i)), float(answer.values[i])) for i in best]
