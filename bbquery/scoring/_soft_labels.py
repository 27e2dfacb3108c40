"""Soft score of answers that are a list of labels."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bbquery.errors import UsageError
from bbquery.scoring import _forms, _sets
from bbquery.types import Answer, Classes, Decision, Label, Labels, folded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.scoring._forms import Form, Shares
    from bbquery.scoring.base import About, BoundScore

WITHOUT_SCORE = "{} without a score, among labels that have one"


def bind_labels(clean: Labels, target: str | None, classes: Classes | None, form: Form) -> BoundScore:
    """Return the score of a target; None takes the first label.

    Raises:
        UnknownName: there is a closed set of classes, and none has this label. UsageError: the list is empty and no
            target is named, or labels have scores that this form cannot take.
    """
    if target is None and not clean.labels:
        raise UsageError("the unperturbed image has no label: name a target")
    known = [score for score in scores_of(clean.labels) if not math.isnan(score)]
    highest = max(known, default=1.0)
    bounded = highest <= 1 and all(score >= 0 for score in known)
    if not bounded and form in ("log_odds", "cross_entropy"):
        raise UsageError(f"form={form} needs scores of 0 to 1; this oracle answered {highest:.6g}: take form=margin")
    shown, names = names_of(clean.labels[0].name if target is None else target, target is None, classes)
    return BoundLabels("+".join(shown), frozenset(map(folded, names)), form=form, bounded=bounded)


def names_of(target: str, whole: bool, classes: Classes | None) -> tuple[list[str], list[str]]:
    """Return how a target is shown, and all names by which a label may stand for it. whole: it is one label as is."""
    if classes is None:
        names = [target] if whole else list(_sets.members(target))
        return names, names
    indices = _sets.indices(target, classes)
    keys = [classes.keys[index] for index in indices if classes.keys]
    return [classes.show(index) for index in indices], [name for i in indices for name in classes.names[i]] + keys


def scores_of(labels: Sequence[Label]) -> list[float]:
    """Return the labels' scores: 1 each where none has one; NaN for one that alone has none, since others do."""
    without = 1.0 if all(label.score is None for label in labels) else math.nan
    return [without if label.score is None else label.score for label in labels]


@dataclass(frozen=True)
class BoundLabels:
    """The soft score of the labels `names` (`folded`), shown as `target`. bounded: whether scores are 0 to 1."""

    target: str
    names: frozenset[str]
    form: Form = "probability"
    bounded: bool = True

    @property
    def about(self) -> About:
        """Meaning of a value; a list without the target says nothing of it."""
        nothing = _forms.Shares.single(0.0, 1.0, 0.0, 0.0)
        return _forms.about(self.form, "score of the label", bounded=self.bounded, nothing=nothing)

    def __call__(self, answers: Sequence[Answer]) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
        """Return whether the target is the first label, and its value; undecided where that is not known.

        Raises:
            UsageError: an answer is no list of labels.
        """
        shares = self._shares(answers)
        values = _forms.value(self.form, shares)
        decisions = np.where(
            np.isnan(values), Decision.UNDECIDED, shares.met
        )  # the codes of MET and NOT_MET are 1 and 0
        return decisions.astype(np.int8), values

    def unread(self, answers: Sequence[Answer]) -> Counter[str]:
        """Return the target where it is listed without a score among labels that have one; any other label is read."""
        return Counter(WITHOUT_SCORE.format(self.target) for answer in answers if math.isnan(self._read(answer)[0]))

    def steps(self, answer: Answer) -> list[str]:
        """Return what is listed of the target, and what the form makes of it."""
        listed = answer.labels if isinstance(answer, Labels) else ()
        found = [f"{label.name!r} at place {i + 1}" for i, label in enumerate(listed) if self._is_target(label)]
        shares = self._shares([answer])
        where = f"{', '.join(found)}: {shares.target[0]:.6g}" if found else "not listed: 0"
        return [
            f"the list has {len(listed)}; each score stands for itself, and where no label has one each counts 1",
            f"the target {self.target!r} is {where}",
            _forms.explained(self.form, shares),
        ]

    def _is_target(self, label: Label) -> bool:
        return folded(label.name) in self.names

    def _shares(self, answers: Sequence[Answer]) -> Shares:
        found = np.array([self._read(answer) for answer in answers], dtype=np.float64).reshape(-1, 3)
        best, best_other, first = found.T
        return _forms.Shares(best, 1 - best, best, best_other, first > 0)

    def _read(self, answer: Answer) -> tuple[float, float, bool]:
        """Return the best score of the target, the best of others, 0 for none, and whether the target is first."""
        if not isinstance(answer, Labels):
            raise UsageError(f"the score 'soft' was bound to a label; this oracle answered {answer}")
        own = [self._is_target(label) for label in answer.labels]
        scores = scores_of(answer.labels)
        best = _highest([score for score, is_own in zip(scores, own, strict=True) if is_own])
        best_other = _highest([score for score, is_own in zip(scores, own, strict=True) if not is_own])
        return best, best_other, bool(own) and own[0]


def _highest(scores: Sequence[float]) -> float:
    """Return the highest score, 0 of none; NaN where one is not known."""
    return math.nan if any(map(math.isnan, scores)) else max(scores, default=0.0)
