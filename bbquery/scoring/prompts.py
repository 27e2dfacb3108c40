"""Constructed prompts: the class that a model's text names, in any wording, or its log-probability.

Zhang et al., "Forward Learning for Gradient-based Black-box Saliency Map Generation", section 3.4, "prompt
construction": the model is asked to answer "The input image belongs to [MASK]" and the nearest path in WordNet from the
mask to the target is the score. `bbquery.prompt_templates` holds the questions; this score reads the answers:

read=class         the class that the text names. With a closed set (`classes=cat|dog`, or the oracle's own) by name and
                   alias, whole words, the longest first; without one the noun phrase. Then
                   then=match: 1 for the target and 0 for another class (the default with a closed set);
                   then=hard: the WordNet score of the class, in the `form` of `hard` (the default without).
read=probability   the target's probability among the classes, from the log-probabilities of the tokens.
read=yes-no        P(yes) / (P(yes) + P(no)), for the question whether the image shows the target.

What is not read as a class is undecided and NaN, and reported by its name: "refusal" (the model declined), "unclear"
(it says that it cannot tell), "several classes", "no class". English sentences are understood; of other languages, bare
names.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from bbquery.errors import UsageError
from bbquery.scoring._reading_score import BoundReading, reading
from bbquery.scoring._said import said
from bbquery.scoring._token_scores import BoundClassProbability, BoundYesNo
from bbquery.scoring.hard import Form, PathDistance
from bbquery.types import Classes, Label, Labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.oracle import Capabilities
    from bbquery.scoring.base import BoundScore
    from bbquery.types import Answer


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """Reads a class out of a text; see the module.

    Args:
        classes: the closed set, names separated by "|", further names of a class after "=": tabby=tabby
            cat|lynx. None takes the oracle's own, and without one any noun may be named.
        read: class, that the text names; probability of the target among the classes, from the
            log-probabilities of the tokens; yes-no, P(yes) / (P(yes) + P(no)).
        then: match, 1 for the target and 0 for another class (the default with a closed set); hard, the WordNet
            score of the class (the default without).
        form: of the WordNet score, as of `hard`.
    """

    classes: str | None = None
    read: Literal["class", "probability", "yes-no"] = "class"
    then: Literal["match", "hard"] | None = None
    form: Form = "similarity"

    def check(self, capabilities: Capabilities, targets: Sequence[str]) -> None:
        """Check, before anything is sent, that the answers are texts and the targets exist.

        Raises:
            UnknownName: a target is not in the closed set, or with then=hard no noun. UsageError: the answers are no
                texts; read=probability has no closed set; read=yes-no has no target; there is no WordNet.
        """
        if capabilities.answers != "text":
            raise UsageError(f"{capabilities.name} answers {capabilities.answers}; the score 'prompts' reads texts")
        known = self._known(capabilities.classes)
        if self.read == "yes-no" and not targets:
            raise UsageError("yes to what? Say with --target which class the question is about")
        for target in targets:
            self._index(known, target)
        if self._then(known) == "hard":
            self._hard.check(_of_labels(capabilities, known), targets)

    def bind(self, clean: Answer, target: str | None, classes: Classes | None) -> BoundScore:
        """Fix the target; None takes the class that the clean answer names.

        Raises:
            UnknownName: the target is not in the closed set, or with then=hard no noun. UsageError: the clean answer is
                no text, names no class where it must, or has no log-probabilities where they are read.
        """
        known = self._known(classes)
        if self.read == "yes-no":
            return BoundYesNo(target=target or "yes")
        name = _top(clean, known) if target is None else target
        index = self._index(known, name)
        if self.read == "probability" and known is not None and index is not None:
            if not said(clean).tokens:
                raise UsageError("the answers have no log-probabilities: ask for them, as openai:top_logprobs=20 does")
            return BoundClassProbability(target=known.show(index), index=index, classes=known)
        shown = name if known is None or index is None else known.show(index)
        if self._then(known) == "hard":
            inner = self._hard.bind(Labels((Label(shown),)), name, known)
            return BoundReading(target=shown, index=index, classes=known, inner=inner)
        return BoundReading(target=shown, index=index, classes=known)

    @property
    def _hard(self) -> PathDistance:
        return PathDistance(form=self.form)

    def _then(self, known: Classes | None) -> Literal["match", "hard"] | None:
        if self.read != "class":
            return None
        return self.then or ("hard" if known is None else "match")

    def _known(self, own: Classes | None) -> Classes | None:
        """Return the closed set; None where any noun may be named."""
        known = own if self.classes is None else parsed_classes(self.classes)
        if self.read == "probability" and known is None:
            raise UsageError("read=probability needs the closed set that was asked about: classes=cat|dog")
        return known

    def _index(self, known: Classes | None, target: str) -> int | None:
        return None if known is None or self.read == "yes-no" else known.find(target)


def parsed_classes(text: str) -> Classes:
    """Return the classes of "name=alias=alias|name".

    Raises:
        UsageError: a name is empty, or there is only one class.
    """
    names = tuple(tuple(name.strip() for name in one.split("=")) for one in text.split("|"))
    if len(names) < 2 or not all(name for one in names for name in one):
        raise UsageError(f"classes={text} must be at least two names: classes=cat|dog, or with aliases cat=kitty|dog")
    return Classes(names)


def _of_labels(capabilities: Capabilities, known: Classes | None) -> Capabilities:
    """Return the capabilities as the score of a label sees them: what it is given is a class's name."""
    return replace(capabilities, answers="labels", classes=known)


def _top(clean: Answer, known: Classes | None) -> str:
    """Return the class that the clean answer names; of a closed set what means it alone, since names repeat."""
    top = reading(clean, known)
    if top.name is None:
        raise UsageError(
            f"the answer to the unperturbed image names no class ({top.failure}): {said(clean).text!r:.200}."
            " Say with --target what is to be explained"
        )
    return top.name if known is None or top.index is None else known.unique(top.index)


SCORE = Prompts
