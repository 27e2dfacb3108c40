"""`each`: a map for everything that the answer to the unperturbed image names, from one set of queries.

What a target is depends on the answer, and its score on the target:

numbers for classes   every class with 1 % or more, the likeliest first. Numbers that are no probabilities have no such
                      floor: the highest
labels                every label with a score of 1 % or more, or without one
labels with boxes     every object that has a box, by the score `box`
text                  every noun phrase that it says, by the score `mention`, and all of it as one sentence: by `text`
                      where a sentence embedding is here, else by `overlap`, which needs none

A score that a person names takes the place of these: of a text, `text` and `overlap` score phrases and the sentence,
`mention` phrases alone, and any other the one thing that it reads out of the text.

At most 8 get a map, or N (`each:N`): the rest is said, never dropped in silence. All share one set of queries, so the
method must ask the same whatever is answered; no target leads it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bbquery import load
from bbquery.errors import UsageError
from bbquery.jobs.each_target import LARGEST_MOST
from bbquery.jobs.targeting import LEAST
from bbquery.scoring._noun_phrases import noun_phrases
from bbquery.scoring.box import SameObject
from bbquery.scoring.embeddings.folder import packaged
from bbquery.scoring.embeddings.opening import opened
from bbquery.scoring.mention import Mention
from bbquery.scoring.overlap import WordOverlap
from bbquery.scoring.text import Similarity
from bbquery.shown import shown
from bbquery.types import Decision, Labels, Text, Vector, folded

if TYPE_CHECKING:
    from bbquery.oracle import Capabilities
    from bbquery.scoring.base import BoundScore, Score
    from bbquery.types import Answer, Label

LISTED = 5  # of what has no map
LONGEST = 60  # characters of a name in a sentence
OF_SENTENCES = (Similarity, WordOverlap)


@dataclass(frozen=True)
class Sought:
    """A target of the clean answer. target: as it is typed; None is all of the answer. score: which scores it."""

    target: str | None
    score: Score
    name: str


@dataclass(frozen=True)
class Bound:
    """A score that knows its target. scored_by: the score, before it did. name: of the target, which no other has."""

    score: BoundScore
    scored_by: Score
    name: str


@dataclass(frozen=True)
class Each:
    """How targets are found. score: the one that was named; None takes those of the answer's kind. most: maps."""

    score: Score | None
    most: int

    def check(self, capabilities: Capabilities) -> Score:
        """Check, before anything is sent, that the answers can be scored; return the score of most targets.

        Raises:
            UsageError: they cannot.
        """
        score = load.score_for(capabilities, self.score)
        score.check(capabilities, ["each"] if capabilities.answers == "text" else [])  # a text must have a target
        return score

    def bound(self, clean: Answer, capabilities: Capabilities) -> tuple[list[Bound], list[str]]:
        """Return the scores of the targets, none where the answer names nothing; and what must be known, in sentences.

        Raises:
            UsageError: no target can be scored.
        """
        sought = list(_sought(clean, capabilities, self))
        found: list[Bound] = []
        refused: list[UsageError] = []
        for each in sought[: self.most]:
            try:
                score = each.score.bind(clean, each.target, capabilities.classes)
            except UsageError as error:
                refused.append(error)
                continue
            taken = any(other.name == score.target for other in found)  # two classes may be called alike
            found.append(Bound(score, each.score, each.target or each.name if taken else score.target))
        if refused and not found:
            raise refused[0]
        lines = [f"no map of one target: {error}" for error in refused]
        return found, lines + self._left_out(sought) + self._without_embedding(clean)

    def _left_out(self, sought: Sequence[Sought]) -> list[str]:
        rest = [repr(shown(each.name, LONGEST)) for each in sought[self.most :]]
        if not rest:
            return []
        more = f" and {len(rest) - LISTED} more" if len(rest) > LISTED else ""
        kept = f"the first {self.most} of {len(sought)} targets get a map, and not {', '.join(rest[:LISTED])}{more}"
        return [f"{kept}: --target each:N takes up to {LARGEST_MOST}"]

    def _without_embedding(self, clean: Answer) -> list[str]:
        if self.score is not None or not isinstance(clean, Text) or isinstance(_of_sentence(), Similarity):
            return []
        return ["the sentence as a whole is scored by the words that it keeps: for its meaning install bbquery[text]"]


def _sought(clean: Answer, capabilities: Capabilities, each: Each) -> Iterator[Sought]:
    score = each.check(capabilities)
    match clean:
        case Vector(values):
            yield from _classes(values, capabilities, score)
        case Labels(labels) if isinstance(score, SameObject) or (each.score is None and any(map(_has_box, labels))):
            yield from _objects(labels, capabilities, score if isinstance(score, SameObject) else SameObject())
        case Labels(labels):
            yield from _labels(labels, capabilities, score)
        case Text() if isinstance(score, (Mention, *OF_SENTENCES)):
            yield from _parts_of_text(clean, each, score)
        case Text():
            yield Sought(None, score, clean.spoken.text)


def _parts_of_text(clean: Text, each: Each, score: Score) -> Iterator[Sought]:
    """Give the noun phrases of a text and all of it, which is among those that get a map unless only one does."""
    said = clean.spoken.text.strip()
    phrases = [Sought(phrase, score, phrase) for phrase in noun_phrases(said) if _is_said(phrase, clean)]
    if [phrase.name for phrase in phrases] == [_bare(said)] or (each.score is not None and isinstance(score, Mention)):
        yield from phrases
        return
    room = max(each.most - 1, 1)
    whole = Sought(said, score if isinstance(score, OF_SENTENCES) else _of_sentence(), said)
    yield from (*phrases[:room], whole, *phrases[room:])


def _classes(values: np.ndarray, capabilities: Capabilities, score: Score) -> Iterator[Sought]:
    """Give the classes that a vector gives enough, the highest first."""
    classes = capabilities.classes
    for index in np.argsort(-values, kind="stable"):
        if capabilities.answers == "probabilities" and values[index] < LEAST:
            return
        place = int(index)
        unique, name = (str(place), str(place)) if classes is None else (classes.unique(place), classes.show(place))
        yield Sought(unique, score, name)


def _labels(labels: Sequence[Label], capabilities: Capabilities, score: Score) -> Iterator[Sought]:
    """Give the labels that have a score that is high enough or none, each name once, in their order."""
    known: set[str] = set()
    for label in labels:
        if folded(label.name) in known or not label.name.strip() or (label.score is not None and label.score < LEAST):
            continue
        known.add(folded(label.name))
        yield Sought(_typed(label.name, capabilities), score, label.name)


def _objects(labels: Sequence[Label], capabilities: Capabilities, score: Score) -> Iterator[Sought]:
    """Give the objects that have a box, the best score first, each by its name and rank among those of its name."""
    count: Counter[str] = Counter()
    for label in sorted(filter(_has_box, labels), key=lambda label: -1.0 if label.score is None else -label.score):
        if label.score is not None and label.score < LEAST:
            continue
        count[folded(label.name)] += 1
        target = f"{_typed(label.name, capabilities)}#{count[folded(label.name)]}"
        yield Sought(target, score, target)


def _has_box(label: Label) -> bool:
    return label.box is not None and label.box.area > 0


def _typed(name: str, capabilities: Capabilities) -> str:
    r"""Return a label as a target is typed: a plus within a name of no closed set is written `\+`."""
    return name.strip() if capabilities.classes is not None else name.strip().replace("+", r"\+")


def _is_said(phrase: str, clean: Text) -> bool:
    (decision,), _ = Mention().bind(clean, phrase, None)([clean])
    return bool(decision == Decision.MET)


def _bare(said: str) -> str:
    return " ".join(said.casefold().strip(".!?… ").split())


def _of_sentence() -> Score:
    """Return the score of a whole sentence: by its embedding where that is here, else by its words."""
    score = Similarity()
    if packaged(score.model) is None:  # by its name alone it would be looked for on the network
        return WordOverlap()
    try:
        opened(score.backend, score.model)
    except UsageError:
        return WordOverlap()
    return score
