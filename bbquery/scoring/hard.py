"""Hard labels: path distance of the answered label to the target in WordNet, so a wrong label still has a value.

Zhang et al., "Forward Learning for Gradient-based Black-box Saliency Map Generation", section 3.3: "the nearest path
distance between the predicted class and ground truth" stands in for the loss where only a label is known. With d the
number of steps on the shortest path between two synsets:

similarity   1 / (1 + d), NLTK's path similarity: 1 at the target, and steepest near it
distance     d
list         sum_j s_j / (1 + d_j) over all labels of a list with their scores s_j (1 where there are none), or over all
             classes with their probabilities: what else the model sees counts too

A word has several senses. Of an answer's label the sense *nearest* to the target counts (`senses=nearest`), so a
doubtful label is given the benefit of the doubt; `senses=first` takes the likeliest one alone. The target is one
synset: what a WordNet ID or a class of the oracle says exactly, else the likeliest sense. A set of senses on both
sides would bring "dog" and "cat" together as two words for a man.

The criterion is met while the model's label is the target *or a kind of it*: a model that says "tabby" of a target
"cat" has not left it. Between the classes of ImageNet, none of which is a kind of another, that is plain equality.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from bbquery.errors import UsageError
from bbquery.scoring.base import About
from bbquery.scoring.wordnet.senses import resolver
from bbquery.scoring.wordnet.tree import DEEPEST
from bbquery.scoring.wordnet.vocabulary import Vocabulary, vocabulary
from bbquery.types import Answer, Classes, Decision, Label, Labels, Text, Vector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bbquery.oracle import Capabilities
    from bbquery.scoring.base import BoundScore
    from bbquery.scoring.wordnet.senses import Meaning
    from bbquery.scoring.wordnet.tree import Tree

Form = Literal["similarity", "distance", "list"]
Reading = tuple[Decision, float]
UNREAD: Final[Reading] = (Decision.UNDECIDED, math.nan)
SHOWN: Final = 80  # letters of a label that could not be read
UNITS: Final = {
    "similarity": "path similarity in WordNet",
    "distance": "steps in WordNet",
    "list": "sum of scores times path similarity in WordNet",
}


@dataclass(frozen=True, kw_only=True)
class PathDistance:
    """The nearest path in WordNet from an answer's label to the target, as `form` says; see the module.

    Reads one label, the first of a list, the top class of a vector, or a text that is a label. What names no noun of
    WordNet 3.0 is undecided and NaN, never 0, and is reported.

    Args:
        form: similarity: 1 / (1 + d), d being the steps on the shortest path, 1 at the target; distance: d;
            list: the sum of the similarities of all labels, each times its score.
        senses: of a label with several senses, the one nearest to the target, or the first, which is the
            likeliest.
    """

    form: Form = "similarity"
    senses: Literal["nearest", "first"] = "nearest"

    def check(self, capabilities: Capabilities, targets: Sequence[str]) -> None:
        """Check, before anything is sent, that there is a WordNet, that the classes are nouns and the targets exist.

        Raises:
            UnknownName: a target names neither a class nor a noun. UsageError: there is no WordNet, no class is a noun,
                or the oracle's numbers are no weights for `form=list`.
        """
        words = vocabulary(resolver(), capabilities.classes)
        if capabilities.answers in ("probabilities", "scores"):
            self._check_vectors(capabilities, words)
        for target in targets:
            words.synset(target)

    def _check_vectors(self, capabilities: Capabilities, words: Vocabulary) -> None:
        if capabilities.classes is None:
            raise UsageError(f"{capabilities.name} answers numbers without names: the score 'hard' needs labels")
        if not any(words.of_classes):
            shown = ", ".join(capabilities.classes.show(index) for index in range(min(3, len(capabilities.classes))))
            raise UsageError(f"no class of {capabilities.name} is a noun of WordNet 3.0: {shown}, …")
        if self.form == "list" and capabilities.answers == "scores":
            raise UsageError(f"{capabilities.name} answers scores, which are no weights: 'hard:form=list' needs them")

    def bind(self, clean: Answer, target: str | None, classes: Classes | None) -> BoundScore:
        """Fix the target; None takes the label of the clean answer.

        Raises:
            UnknownName: the target, or the clean answer's label, names neither a class nor a noun.
            UsageError: the clean answer has no label.
        """
        words = vocabulary(resolver(), classes)
        named = top_label(clean, classes)
        if named is None and (target is None or isinstance(clean, Vector)):
            raise UsageError(f"the score 'hard' finds no label in the clean answer: {clean!s:.200}")
        wanted = target or named or ""
        index = words.class_named(wanted)
        shown = wanted if index is None or classes is None else classes.show(index)
        return BoundPathDistance(shown, words.synset(wanted), words, self.form, self.senses)


def top_label(answer: Answer, classes: Classes | None) -> str | None:
    """Return the label of an answer, of a vector what means its top class alone; None where it has none."""
    match answer:
        case Vector(values) if classes is not None:
            return classes.unique(int(np.argmax(values)))
        case Labels((first, *_)):
            return first.name
        case Text():
            return answer.spoken.text.strip() or None
    return None


@dataclass(frozen=True)
class BoundPathDistance:
    """`PathDistance` to `synset`, shown as `target`.

    What a label comes to is worked out once, when it first appears: an answer costs one look into a table.
    """

    target: str
    synset: int
    vocabulary: Vocabulary = field(repr=False)
    form: Form = "similarity"
    senses: Literal["nearest", "first"] = "nearest"
    _known: dict[str, Reading] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def about(self) -> About:
        """Meaning of a value. "Entity", which everything is, is the label that says nothing; a list may be empty."""
        depth = self._tree.depth(self.synset)
        nothing = {"similarity": 1 / (1 + depth), "distance": float(depth), "list": 0.0}
        high = {"similarity": 1.0, "distance": float(depth + DEEPEST), "list": math.inf}
        return About(
            unit=UNITS[self.form],
            direction="lower" if self.form == "distance" else "higher",
            low=0.0,
            high=high[self.form],
            criterion=f"the label is {self.vocabulary.resolver.show(self.synset)} or a kind of it",
            no_information=nothing[self.form],
        )

    def __call__(self, answers: Sequence[Answer]) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
        """Return the decision and the value of each answer."""
        readings = [self._read(answer) for answer in answers]
        return (
            np.array([decision for decision, _ in readings], dtype=np.int8),
            np.array([value for _, value in readings], dtype=np.float64),
        )

    def unread(self, answers: Sequence[Answer]) -> Counter[str]:
        """Return the labels that name no noun of WordNet 3.0, by how often they were given."""
        labels = [label.name for answer in answers for label in self._labels(answer)]
        return Counter(name[:SHOWN] for name in labels if self._of_label(name) is UNREAD)

    def steps(self, answer: Answer) -> list[str]:
        """Return what becomes of each label that counts, and of the answer."""
        lines = [line for label in self._labels(answer) for line in self._path_lines(label)]
        target = f"target {self.target!r}: {self.vocabulary.resolver.show(self.synset)}"
        return [target, *(lines or ["no label in this answer"])]

    @property
    def _tree(self) -> Tree:
        return self.vocabulary.resolver.tree

    def _read(self, answer: Answer) -> Reading:
        match answer:
            case Vector(values):
                return self._of_vector(values)
            case Labels(labels) if self.form == "list":
                return self._of_list(labels)
            case Labels((first, *_)):
                return self._of_label(first.name)
            case Text():
                return self._of_label(answer.spoken.text)
        return UNREAD

    def _of_label(self, name: str) -> Reading:
        found = self._known.get(name)
        if found is None:
            found = self._known[name] = self._of_meaning(self.vocabulary.meaning(name))
        return found

    def _of_meaning(self, meaning: Meaning | None) -> Reading:
        if meaning is None:
            return UNREAD
        candidates = meaning.senses if self.senses == "nearest" else meaning.senses[:1]
        _, distance = self._tree.nearest(candidates, self.synset)
        met = any(self._tree.is_a(sense, (self.synset,)) for sense in candidates)
        value = float(distance) if self.form == "distance" else 1 / (1 + distance)
        return Decision(met), value

    def _of_vector(self, values: NDArray[np.float64]) -> Reading:
        if not self._of_classes:
            return UNREAD
        decision, value = self._of_classes[int(np.argmax(values))]
        return decision, float(values @ self._similarities) if self.form == "list" else value

    @functools.cached_property
    def _of_classes(self) -> tuple[Reading, ...]:
        return tuple(map(self._of_meaning, self.vocabulary.of_classes))

    @functools.cached_property
    def _similarities(self) -> NDArray[np.float64]:
        """Of each class, (k,); one that is no noun adds nothing."""
        values = (0.0 if decision is Decision.UNDECIDED else value for decision, value in self._of_classes)
        return np.fromiter(values, dtype=np.float64, count=len(self._of_classes))

    def _of_list(self, labels: Sequence[Label]) -> Reading:
        """Return the sum over the labels that are nouns; of no labels at all it is 0, and the criterion is not met."""
        decision, total = (Decision.UNDECIDED, 0.0) if labels else (Decision.NOT_MET, 0.0)
        known = self._known  # a call less for each label: lists are long, and nearly all labels are known
        without = 0.0 if any(label.score is not None for label in labels) else 1.0  # what others have, one may lack
        for label in labels:
            own, similarity = known.get(label.name) or self._of_label(label.name)
            if own is not Decision.UNDECIDED:
                total += similarity * (without if label.score is None else label.score)
                decision = own if decision is Decision.UNDECIDED else decision  # the first known label's
        return (decision, total) if decision is not Decision.UNDECIDED else UNREAD

    def _labels(self, answer: Answer) -> Sequence[Label]:
        """Return the labels that count: of a vector its top class."""
        match answer:
            case Labels(labels):
                return labels if self.form == "list" else labels[:1]
            case Vector(values) if self.vocabulary.classes is not None:
                top = int(np.argmax(values))
                return (Label(self.vocabulary.classes.show(top), float(values[top])),)
            case Text():
                return (Label(answer.spoken.text),)
        return ()

    def _path_lines(self, label: Label) -> list[str]:
        """Return the senses that a label may have, and the way from the nearest of them to the target."""
        scored = "" if label.score is None else f" (score {label.score:.4g})"
        said = f"label {label.name[:SHOWN]!r}{scored}"
        meaning = self.vocabulary.meaning(label.name)
        if meaning is None:
            return [f"{said}: names no noun of WordNet 3.0"]
        candidates = meaning.senses if self.senses == "nearest" else meaning.senses[:1]
        nearest, distance = self._tree.nearest(candidates, self.synset)
        words = self.vocabulary.resolver
        up, down = self._tree.path(nearest, self.synset)
        way = " → ".join(words.nouns.names[synset][0] for synset in (*up, *down))
        similarity = "" if self.form == "distance" else f"; similarity 1 / (1 + {distance}) = {1 / (1 + distance):.4g}"
        return [
            f"{said}: {meaning.how}; of {len(candidates)} meant, the nearest is {words.show(nearest)}",
            f"path: {way}; distance {distance}{similarity}",
        ]


SCORE = PathDistance
