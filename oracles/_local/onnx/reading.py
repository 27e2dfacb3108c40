"""Interpretation of a model's output as an answer, judged by what it gives for a few images of noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from bbquery.errors import UsageError
from bbquery.types import Label, Labels, Vector
from oracles._shared import activation as activations

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.types import Answer, Classes
    from oracles._shared.activation import Activation, Applied

Answers: TypeAlias = Literal["probabilities", "scores", "labels"]


@dataclass(frozen=True, kw_only=True)
class OutputReading:
    """How an output is read. applied: to its numbers. description: for people. classes: where they are known."""

    answers: Answers
    applied: Applied
    description: str
    classes: Classes | None

    def __call__(self, numbers: NDArray[Any]) -> Answer:
        """Return the answer that an output's numbers, (k,), are."""
        if self.answers != "labels":
            return Vector(activations.apply(self.applied, numbers))
        index = int(numbers[0])
        known = self.classes is not None and 0 <= index < len(self.classes)
        return Labels((Label(self.classes.show(index) if self.classes and known else str(index)),))


def reading(
    trials: NDArray[Any], output: str, *, answers: Answers, activation: Activation, classes: Classes | None
) -> OutputReading:
    """Return how an output is read. trials: what it gave for some images, (n, k), of its own type.

    Raises:
        UsageError: its numbers may be read in two ways, or are not what the options say; says what to write.
    """
    whole, count = np.issubdtype(trials.dtype, np.integer), trials.shape[1]
    said = f"the {'one number' if count == 1 else f'{count} numbers'} of the output {output!r}"
    if answers == "labels":
        return _index(said, whole=whole and count == 1, activation=activation, classes=classes)
    _check_count(count, classes, whole=bool(whole))
    if whole and activation == "auto" and answers == "probabilities":
        raise UsageError(_whole_numbers(said, count, str(trials.dtype)))
    if answers == "scores" or (count == 1 and activation == "auto"):
        return _scores(said, count, activation=activation, classes=classes)
    if count == 1 and activation == "softmax":
        raise UsageError(f"the softmax of {said} is always 1: say activation=sigmoid, or leave the option out")
    numbers = trials.astype(np.float64)
    applied = activations.chosen(numbers, said) if activation == "auto" else activation
    made = np.array([activations.apply(applied, row) for row in numbers])
    activations.check_probabilities(made, said)
    separate = applied == "none" and not activations.are_shares(made, 1.0)
    description = activations.activation_text(applied, said, separate=separate)
    return OutputReading(answers="probabilities", applied=applied, description=description, classes=classes)


def _scores(said: str, count: int, *, activation: Activation, classes: Classes | None) -> OutputReading:
    if activation not in ("auto", "none"):
        raise UsageError(f"answers=scores takes {said} as they are: leave out activation={activation}, or answers")
    description = f"{said}: a score of one class" if count == 1 else activations.activation_text("none", said)
    return OutputReading(answers="scores", applied="none", description=description, classes=classes)


def _index(said: str, *, whole: bool, activation: Activation, classes: Classes | None) -> OutputReading:
    if not whole:
        raise UsageError(f"answers=labels is for a model that gives the index of a class, not for {said}: leave it out")
    if activation not in ("auto", "none"):
        raise UsageError(f"the index of a class is no score: leave out activation={activation}")
    return OutputReading(answers="labels", applied="none", description=f"{said}: the index of a class", classes=classes)


def _check_count(count: int, classes: Classes | None, *, whole: bool) -> None:
    if classes is None or len(classes) == count:
        return
    if count == 1 and not whole:
        raise UsageError(
            f"the model gives one number for an image, a score of one class, and there are {len(classes)} labels: "
            "give a file with the name of that class, or leave out labels"
        )
    if count > 1:
        raise UsageError(f"the model gives {count} numbers for an image, and there are {len(classes)} labels")


def _whole_numbers(said: str, count: int, dtype: str) -> str:
    if count == 1:
        return (
            f"{said} is whole ({dtype}), so it is the index of a class and not a score: name the output that has the "
            "scores, as output=NAME, or say answers=labels to have that class as a label"
        )
    return f"{said} are whole ({dtype}), so nobody can tell what they are: say answers=scores, or {activations.CHOICES}"
