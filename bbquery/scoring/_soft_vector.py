"""Soft score of answers that are one number for each class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from bbquery.errors import UsageError
from bbquery.scoring import _forms, _sets
from bbquery.types import Answer, Classes, Vector

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.scoring._forms import Form, Shares
    from bbquery.scoring.base import About, BoundScore

Numbers: TypeAlias = Literal["distribution", "separate", "scores"]
"""What an oracle's numbers are: a distribution; probabilities of 0 to 1 each for itself; or any real numbers."""

ROUNDING = 1e-3  # by which the sum of a thousand probabilities in 16 bits may be off
TOGETHER = 1024  # answers in one array: 8 MB of a thousand classes
SHOWN = 3  # of the highest classes, to people


def bind_vector(clean: Vector, target: str | None, classes: Classes | None, form: Form, *, softmax: bool) -> BoundScore:
    """Return the score of a target; None takes the class on top.

    Raises:
        UnknownName: no class has this label. UsageError: this form cannot take such numbers, or the target is all
            classes.
    """
    count = len(clean.values)
    known = classes or Classes(tuple((str(i),) for i in range(count)))
    indices = (int(np.argmax(clean.values)),) if target is None else _sets.indices(target, known)
    if len(indices) == count and (count > 1 or form != "probability"):
        raise UsageError(f"the target {target!r} is all {count} classes, which says nothing: leave some out")
    numbers: Numbers = "distribution" if softmax else _numbers(clean)
    if numbers == "scores" and form in ("log_odds", "cross_entropy"):
        raise UsageError(
            f"form={form} needs numbers of 0 to 1; this oracle answered {clean.values.min():.6g} to "
            f"{clean.values.max():.6g}: take form=margin, or softmax=true if these are logits"
        )
    name = "+".join(known.show(index) for index in indices)
    return BoundVector(indices, name, count, form=form, numbers=numbers, softmax=softmax, classes=known)


def _numbers(clean: Vector) -> Numbers:
    """Return what an oracle's numbers are, judged by one answer."""
    if not (clean.values >= -ROUNDING).all():
        return "scores"
    if abs(float(clean.values.sum()) - 1) <= ROUNDING:
        return "distribution"
    return "separate" if (clean.values <= 1 + ROUNDING).all() else "scores"


@dataclass(frozen=True)
class BoundVector:
    """The soft score of the classes at `indices` among `count`, shown as `target`."""

    indices: tuple[int, ...]
    target: str
    count: int
    form: Form = "probability"
    numbers: Numbers = "distribution"
    softmax: bool = False
    classes: Classes | None = field(default=None, repr=False, compare=False)

    @property
    def about(self) -> About:
        """Meaning of a value."""
        nothing, prior = float("nan"), len(self.indices) / self.count
        if self.numbers == "distribution":
            shares = _forms.Shares.single(prior, 1 - prior, 1 / self.count, 1 / self.count)
        else:
            shares = _forms.Shares.single(nothing, nothing, 0.0, 0.0)
        unit = "probability" if self.numbers == "distribution" else "score of the class"
        return _forms.about(self.form, unit, bounded=self.numbers != "scores", nothing=shares)

    def __call__(self, answers: Sequence[Answer]) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
        """Return whether the target is on top (of equal numbers the first is), and its value.

        Raises:
            UsageError: an answer is no vector of as many classes.
        """
        parts = [self._shares(values) for values in self._arrays(answers)]
        decisions = [part.met.astype(np.int8) for part in parts]  # the codes of MET and NOT_MET are 1 and 0
        return np.concatenate(decisions), np.concatenate([_forms.value(self.form, part) for part in parts])

    def unread(self, answers: Sequence[Answer]) -> Counter[str]:  # noqa: ARG002 - as every score
        """Return nothing: every number can be read."""
        return Counter()

    def steps(self, answer: Answer) -> list[str]:
        """Return what is on top, the target's number, and what the form makes of it."""
        (values,) = next(self._arrays([answer]))
        shares = self._shares(values[None])
        top = ", ".join(f"{self._show(int(i))} {values[i]:.6g}" for i in np.argsort(-values, kind="stable")[:SHOWN])
        sort = {"distribution": "a distribution", "separate": "each for itself", "scores": "of any size"}[self.numbers]
        each = ", ".join(f"{self._show(i)} (class {i}) {values[i]:.6g}" for i in self.indices)
        joined = "their sum" if self.numbers == "distribution" else "the best of them"
        together = f": {joined} is {shares.target[0]:.6g}" if len(self.indices) > 1 else ""
        return [
            f"{self.count} numbers, one for each class, {sort}{', by their softmax' * self.softmax}",
            f"the highest: {top}",
            f"the target: {each}{together}",
            _forms.explained(self.form, shares),
        ]

    def _show(self, index: int) -> str:
        return self.classes.show(index) if self.classes else str(index)

    def _arrays(self, answers: Sequence[Answer]) -> Iterator[NDArray[np.float64]]:
        """Yield the answers' numbers, (n, k), so many at a time that they stay small."""
        for start in range(0, len(answers), TOGETHER):
            values = np.array([self._values(answer) for answer in answers[start : start + TOGETHER]], dtype=np.float64)
            if self.softmax:
                values = np.exp(values - values.max(axis=1, keepdims=True))
                values /= values.sum(axis=1, keepdims=True)
            yield values

    def _values(self, answer: Answer) -> NDArray[np.float64]:
        if not isinstance(answer, Vector) or len(answer.values) != self.count:
            raise UsageError(f"the score 'soft' was bound to {self.count} numbers; this oracle answered {answer}")
        return answer.values

    def _shares(self, values: NDArray[np.float64]) -> Shares:
        """Return what answers, (n, k), give the target."""
        own = list(self.indices)
        inside, outside = values[:, own], np.delete(values, own, axis=1)
        best = inside.max(axis=1)
        met = np.isin(values.argmax(axis=1), own)
        best_other = outside.max(axis=1, initial=-np.inf)
        if self.numbers == "distribution":
            return _forms.Shares(inside.sum(axis=1), outside.sum(axis=1), best, best_other, met)
        return _forms.Shares(best, 1 - best, best, best_other, met)
