"""Goal of an attack: which answers count, in a user's words, and as scores bound to the clean answer.

Untargeted, the clean label must be lost by the chosen criterion (see `bbquery.scoring.criteria`). Targeted, the first
label must become another class. Plans see one score either way: NOT_MET is an answer that reaches the goal. All three
criteria are judged of what was found, whichever the search used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bbquery.errors import UnknownName, UsageError
from bbquery.option_types import instance, is_number
from bbquery.scoring import criteria
from bbquery.scoring.criteria import CRITERIA, Criterion, Turned
from bbquery.scoring.hard import PathDistance
from bbquery.types import Decision, Label, Labels, Vector, folded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bbquery.oracle import Capabilities
    from bbquery.scoring.base import BoundScore, Score
    from bbquery.types import Answer, Classes

DEFAULT_CRITERION: Criterion = "s2"


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What an attack must reach. target_class: None takes any other label, by the criterion. tau: of s3.

    Raises:
        UsageError: an option that cannot be used. UnknownName: no such criterion.
    """

    target_class: str | None = None
    criterion: Criterion = DEFAULT_CRITERION
    tau: float = 0.0

    def __post_init__(self) -> None:
        if self.target_class is not None:
            instance("target_class", self.target_class, str)
        if self.criterion not in CRITERIA:
            raise UnknownName("criterion", self.criterion, CRITERIA)
        if not is_number(self.tau) or not 0 <= self.tau < float("inf"):
            raise UsageError(f"--tau is a score of at least 0, not {self.tau!r}")
        if self.target_class is not None and self.criterion != DEFAULT_CRITERION:
            raise UsageError(f"--criterion {self.criterion} says which label is lost: leave it out with --target-class")

    @property
    def identity(self) -> dict[str, Any]:
        """What of it decides what a run asks; nothing of the defaults, which runs had before they were options."""
        named = {} if self.target_class is None else {"target_class": self.target_class}
        used = {} if self.criterion == DEFAULT_CRITERION else {"criterion": self.criterion}
        return named | used | ({"tau": float(self.tau)} if self.criterion == "s3" else {})

    def check(self, capabilities: Capabilities, target: str | None, score: Score) -> None:
        """See, before anything is asked, that a score can tell when it is reached. target: the clean label, if known.

        Raises:
            UnknownName: there is no such class. UsageError: it is the clean label; or WordNet is needed for s3, and is
                not there or does not know the label.
        """
        if self.target_class is not None:
            score.check(capabilities, [self.target_class])
            _check_reachable(score, self.target_class, capabilities)
            if target is not None and _same(target, self.target_class, capabilities.classes):
                raise UsageError(f"--target-class {self.target_class!r} is the label that must be lost: name another")
        if self.criterion == "s3":
            PathDistance().check(capabilities, [] if target is None else [target])

    def bind(self, score: Score, clean: Answer, target: str | None, classes: Classes | None) -> Bound:
        """Bind a score to the clean answer.

        Raises:
            UsageError: the score cannot use such an answer; or s3 is wanted, and WordNet does not know the label.
        """
        label = score.bind(clean, target, classes)
        judged: dict[Criterion, BoundScore] = {
            "s1": criteria.first_label(label),
            "s2": criteria.clean_labels(label, clean),
        }
        unknown = ""
        try:
            judged["s3"] = criteria.subtree(label, clean, target, classes, self.tau)
        except UsageError as error:
            if self.criterion == "s3":
                raise UsageError(
                    f"{error}, so that --criterion s3 cannot judge it: take s2, or name a --target"
                ) from error
            unknown = str(error)
        reached = judged.get(self.criterion, label)
        if self.target_class is not None:
            reached = Turned(criteria.first_label(score.bind(clean, self.target_class, classes)))
        return Bound(score, label, reached, judged, unknown)


def _check_reachable(score: Score, target: str, capabilities: Capabilities) -> None:
    """See that a class of a closed set would reach it: a noun that no class is a kind of never comes first.

    Raises:
        UnknownName: none would.
    """
    classes = capabilities.classes
    if classes is None or capabilities.answers == "text":
        return
    named: list[Answer] = [Labels((Label(name),)) for of_class in classes.names for name in of_class]
    if capabilities.answers != "labels":
        named = [Vector(top) for top in np.eye(len(classes))]
    decisions, _ = score.bind(named[0], target, classes)(named)
    if not np.equal(decisions, Decision.MET).any():
        raise UnknownName("label", target, [name for of_class in classes.names for name in of_class])


def _same(one: str, other: str, classes: Classes | None) -> bool:
    """Whether two labels are one class."""
    try:
        return folded(one) == folded(other) or (classes is not None and classes.find(one) == classes.find(other))
    except UnknownName:  # a set of classes, say
        return False


@dataclass(frozen=True, eq=False)
class Bound:
    """A goal that knows the clean answer.

    label: the score of the clean label. goal: what the attack is driven by: NOT_MET is an answer that reaches it.
    criteria: each of the three that can be judged; unknown: why s3 cannot, empty where it can.
    """

    score: Score
    label: BoundScore
    goal: BoundScore
    criteria: Mapping[Criterion, BoundScore]
    unknown: str


def bind_first(
    goal: Goal, scores: Sequence[Score], clean: Answer, target: str | None, classes: Classes | None
) -> Bound:
    """Bind the first score that can read the clean answer; on a worker thread, since it may take time.

    Raises:
        UsageError: none can; what speaks against the last one.
    """
    for score in scores[:-1]:
        try:
            return goal.bind(score, clean, target, classes)
        except UsageError:  # its label is no noun, say
            continue
    return goal.bind(scores[-1], clean, target, classes)
