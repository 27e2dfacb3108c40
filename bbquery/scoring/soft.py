"""Soft scores: the probability, log-odds, cross-entropy or margin of a class, from an oracle that gives numbers.

What stands for a class's probability depends on the answer:

vector   its number. Numbers that are a distribution add up over a set of classes. Others (logits, say, or the
         probabilities of labels that do not exclude each other) do not, and a set has that of its best class.
labels   its score: 1 where no label has one, and 0 where it is not listed. A set has that of its best label. A target
         that is listed without a score, among labels that have one, cannot be read.
text     the probability of its *first token*, from the log-probabilities of the token that was said and of the
         alternatives to it, whatever their case and leading space; they add up over a set. A class that is not listed
         is no likelier than the least of those listed, and than what all of them leave: the lesser of both stands for
         it. So the model must answer with one token: yes or no, or a letter.

The forms, with their numerics, are in `_forms`; how a set of classes is written is in `_sets`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery.errors import UsageError
from bbquery.scoring import _sets
from bbquery.scoring._forms import Form  # noqa: TC001 - `load` reads the options' annotations
from bbquery.scoring._soft_labels import bind_labels
from bbquery.scoring._soft_tokens import bind_tokens
from bbquery.scoring._soft_vector import bind_vector
from bbquery.types import Answer, Classes, Labels, Text, Vector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.oracle import Capabilities
    from bbquery.scoring.base import BoundScore


@dataclass(frozen=True, kw_only=True)
class Soft:
    """The number that the oracle gives the target, in one of four forms; the criterion is that the target is on top.

    Args:
        form: probability (whatever the oracle's number is), log_odds, cross_entropy or margin; log_odds and
            cross_entropy need numbers of 0 to 1.
        softmax: whether the oracle's numbers are logits, of which the softmax is to be taken.
    """

    form: Form = "probability"
    softmax: bool = False

    def check(self, capabilities: Capabilities, targets: Sequence[str]) -> None:
        """Check, before anything is sent, that the oracle's answers have this form and the targets exist.

        Raises:
            UnknownName: no class has this label. UsageError: the answers have no such form.
        """
        kind = capabilities.answers
        if self.softmax and kind != "scores":
            raise UsageError(f"softmax=true is for scores such as logits; {capabilities.name} answers {kind}")
        if kind == "scores" and self.form in ("log_odds", "cross_entropy") and not self.softmax:
            raise UsageError(
                f"{capabilities.name} answers scores, and form={self.form} needs probabilities: if they are logits, "
                f"say soft:form={self.form},softmax=true; else take form=margin"
            )
        for target in targets:
            if capabilities.classes is None or kind == "text":  # a text need not name a class: it may say yes or no
                _sets.members(target)
            else:
                _sets.indices(target, capabilities.classes)

    def bind(self, clean: Answer, target: str | None, classes: Classes | None) -> BoundScore:
        """Fix the target, a class or label or a set of them; None takes the top one of the clean answer.

        Raises:
            UnknownName: no class has this label. UsageError: the clean answer has nothing on top, is a text without
                log-probabilities, or has numbers that this form cannot take.
        """
        if isinstance(clean, Vector):
            return bind_vector(clean, target, classes, self.form, softmax=self.softmax)
        if isinstance(clean, Labels):
            return bind_labels(clean, target, classes, self.form)
        if isinstance(clean, Text):
            return bind_tokens(clean, target, self.form)
        raise UsageError(f"the score 'soft' needs numbers; this oracle answered {clean}")


SCORE = Soft
