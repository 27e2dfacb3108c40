"""Criteria for when the clean label of an image is lost, where a model answers a list of labels: S1, S2 and S3.

s1   the first label is no longer the clean one: what the score itself decides (`hard`: nor a kind of it)
s2   nor is it any other label of the clean answer: it lies outside the clean set. This is the primary one: where two
     labels of one list change places, the model still sees what it saw
s3   no label whose score is above τ lies in the clean label's subtree of WordNet: none is a kind of it

For a model that answers one label, s1 and s2 are the same; for numbers the top class is the one label. Each criterion
is a score bound to the clean image: MET while its label stands, NOT_MET where it is lost; values are those of the score
within. An empty list is neither: it names nothing else. So are labels that cannot be read, for s3 too: where WordNet
does not know a label above τ, and none that it knows is in the subtree.

Where a score's own criterion has nothing to do with what is named first (`box`, one object of several; `threshold`, a
number that is high enough), s1 and s2 are that criterion: other labels may stay or come, and an empty list decides too.

A targeted attack has one class to reach: `Turned` is met while that class is not the first label.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from bbquery.errors import UsageError
from bbquery.scoring.base import nearer_is_higher
from bbquery.scoring.hard import BoundPathDistance, top_label
from bbquery.scoring.wordnet.senses import resolver
from bbquery.scoring.wordnet.vocabulary import vocabulary
from bbquery.types import Answer, Decision, Labels, Text, folded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bbquery.scoring.base import About, BoundScore
    from bbquery.types import Classes

Criterion: TypeAlias = Literal["s1", "s2", "s3"]
CRITERIA: tuple[Criterion, ...] = ("s1", "s2", "s3")

NOTHING = Labels(())
EMPTY = "an empty list"
"""How it is called among what a score could not read."""


def first_label(score: BoundScore) -> BoundScore:
    """Return s1: what a score decides, and nothing of an empty list where the criterion is about what is first."""
    return Judged(score, score.about.criterion) if score.about.of_first else score


def clean_labels(score: BoundScore, clean: Answer) -> BoundScore:
    """Return s2. clean: the answer to the clean image; where its labels lack the target, there is no set to leave."""
    if not isinstance(clean, Labels) or clean == NOTHING or not score.about.of_first:
        return first_label(score)
    decisions, _ = score([Labels((label,)) for label in clean.labels])
    if not np.equal(decisions, Decision.MET).any():
        return first_label(score)
    names = tuple(dict.fromkeys(label.name for label in clean.labels))
    if len(names) == 1:
        return WithinSet(score, score.about.criterion, names)
    listed = ", ".join(map(repr, names))
    return WithinSet(score, f"the first label is one of the clean answer's: {listed}", names)


def subtree(score: BoundScore, clean: Answer, target: str | None, classes: Classes | None, tau: float) -> BoundScore:
    """Return s3. target: the clean label; None takes the first of the clean answer.

    Raises:
        UsageError: WordNet does not know the label, or there is no WordNet; or the clean answer is a text, no label.
        UnknownName: several classes have the name.
    """
    label = top_label(clean, classes) if target is None else target
    if label is None:
        raise UsageError("the clean answer has no label")
    words = vocabulary(resolver(), classes)
    synset, index = words.known(label), words.class_named(label)
    shown = label if index is None or classes is None else classes.show(index)
    if synset is None:
        raise UsageError(f"WordNet does not know {shown!r}")
    above = f"with a score above {tau:g} " if tau > 0 else ""
    stands = f"a label {above}is {words.resolver.show(synset)} or a kind of it"
    bound = WithinSubtree(score, stands, BoundPathDistance(shown, synset, words), tau)
    if isinstance(clean, Text) and np.equal(bound([clean])[0], Decision.UNDECIDED).all():
        raise UsageError(f"the clean answer is a text, and no noun of WordNet: {clean.spoken.text!r:.80}")
    return bound


@dataclass(frozen=True)
class Judged:
    """A score with the decisions of a criterion. of: whose target and values it keeps. stands: when it is met."""

    of: BoundScore
    stands: str

    @property
    def target(self) -> str:
        """The target, for people."""
        return self.of.target

    @property
    def about(self) -> About:
        """Meaning of a value, and the criterion."""
        return replace(self.of.about, criterion=self.stands)

    def __call__(self, answers: Sequence[Answer]) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
        """Return the criterion's decisions, and the score's values: that of no information where it has none."""
        within, values = self.of(answers)
        decisions, empty = self.decided(answers, within), _empty(answers)
        decided = np.equal(within, Decision.UNDECIDED) & np.not_equal(decisions, Decision.UNDECIDED)
        values = np.where(decided, self.of.about.no_information, values)
        undecided = empty | (decided & np.isnan(values))
        return np.where(undecided, Decision.UNDECIDED, decisions).astype(np.int8), np.where(empty, np.nan, values)

    def decided(self, answers: Sequence[Answer], within: NDArray[np.int8]) -> NDArray[np.int8]:  # noqa: ARG002 - others look
        """Return the criterion's decisions. within: those of the score itself."""
        return within

    def unread(self, answers: Sequence[Answer]) -> Counter[str]:
        """Return what the score could not read, and how many lists were empty."""
        return self.of.unread([answer for answer in answers if answer != NOTHING]) + _emptied(answers)

    def steps(self, answer: Answer) -> list[str]:
        """Return the score's steps, and the criterion."""
        return [*self.of.steps(answer), f"the label stands while {self.stands}"]


@dataclass(frozen=True)
class WithinSet(Judged):
    """S2. names: of the clean answer."""

    names: tuple[str, ...]

    def decided(self, answers: Sequence[Answer], within: NDArray[np.int8]) -> NDArray[np.int8]:
        """Return MET where the first label is one of the names, else what the score decides."""
        names = frozenset(map(folded, self.names))
        first = [each.labels[0].name if isinstance(each, Labels) and each.labels else None for each in answers]
        stands = [name is not None and folded(name) in names for name in first]
        return np.where(stands, Decision.MET, within).astype(np.int8)


@dataclass(frozen=True)
class WithinSubtree(Judged):
    """S3. path: knows the clean label's place in WordNet. tau: the score above which a label counts."""

    path: BoundPathDistance
    tau: float

    def decided(self, answers: Sequence[Answer], within: NDArray[np.int8]) -> NDArray[np.int8]:  # noqa: ARG002 - as of all
        """Return MET where a label is in the subtree, UNDECIDED where one that is not known might be."""
        return np.array([self._decision(answer) for answer in answers], dtype=np.int8)

    def unread(self, answers: Sequence[Answer]) -> Counter[str]:
        """Return the labels that count and WordNet does not know, and how many lists were empty."""
        return self.path.unread([each for answer in answers for each in self._counting(answer)]) + _emptied(answers)

    def _decision(self, answer: Answer) -> Decision:
        counting = self._counting(answer)
        decisions = self.path(counting)[0].tolist()
        return next((each for each in (Decision.MET, Decision.UNDECIDED) if each in decisions), Decision.NOT_MET)

    def _counting(self, answer: Answer) -> list[Answer]:
        """Return what counts of an answer, each label alone."""
        if not isinstance(answer, Labels):
            return [answer]
        return [Labels((label,)) for label in answer.labels if label.score is None or label.score > self.tau]


@dataclass(frozen=True)
class Turned:
    """A score of a class to be reached: met while it is not, and the higher the farther the answer is from it."""

    of: BoundScore

    @property
    def target(self) -> str:
        """The class that is to be reached, for people."""
        return self.of.target

    @property
    def about(self) -> About:
        """Meaning of a value: the other way round."""
        was = nearer_is_higher(self.of).about
        return replace(
            was,
            unit=f"negative {was.unit}",
            direction="higher",
            low=-was.high,
            high=-was.low,
            criterion=f"not yet: {was.criterion}",
            no_information=-was.no_information,
        )

    def __call__(self, answers: Sequence[Answer]) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
        """Return decisions turned round, but for those that are none, and values with the sign turned."""
        decisions, values = nearer_is_higher(self.of)(answers)
        undecided = np.equal(decisions, Decision.UNDECIDED)
        return np.where(undecided, decisions, 1 - decisions).astype(
            np.int8
        ), -values  # codes of MET and NOT_MET: 1 and 0

    def unread(self, answers: Sequence[Answer]) -> Counter[str]:
        """Return what could not be read."""
        return self.of.unread(answers)

    def steps(self, answer: Answer) -> list[str]:
        """Return the other's steps, and the turn."""
        return [*self.of.steps(answer), "turned round: this class is to be reached"]


def _emptied(answers: Sequence[Answer]) -> Counter[str]:
    return Counter(EMPTY for empty in _empty(answers) if empty)


def _empty(answers: Sequence[Answer]) -> NDArray[np.bool_]:
    return np.array([answer == NOTHING for answer in answers], dtype=bool)
