"""Activation of a model's numbers before they are its answer: nothing is guessed where two readings are possible.

Logits, which are negative or above 1, become probabilities by softmax. Numbers that add up to 1 are probabilities
already, and those that add up to 100 are percentages. But numbers within 0 to 1 that do not add up to 1 are the yes or
no of each class for itself (sigmoid, several labels), or else small logits: whoever has the model says which.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from bbquery.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Applied: TypeAlias = Literal["softmax", "sigmoid", "percent", "none"]
Activation: TypeAlias = Literal["auto", "softmax", "sigmoid", "percent", "none"]

TOLERANCE = 1e-3  # by which probabilities in float16 may miss 1 together
ROUNDING = 1e-6  # by which one in float32 may stray below 0 or above 1
CHOICES = (
    "activation=none if each is a probability for itself, activation=softmax or activation=sigmoid if they are logits"
)


def apply(applied: Applied, numbers: NDArray[Any]) -> NDArray[np.float64]:
    """Return what becomes of a model's numbers (k,)."""
    values = numbers.astype(np.float64)
    if applied == "softmax":
        return softmax(values)
    if applied == "sigmoid":
        return np.asarray(0.5 * (1 + np.tanh(values / 2)))  # 1 / (1 + exp(-x)), which never overflows
    return values / 100 if applied == "percent" else values


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Return probabilities in float64, in which one near 1 can still change by less than 6e-8."""
    shifted = logits.astype(np.float64) - logits.max()
    powers = np.exp(shifted)
    return np.asarray(powers / powers.sum())


def chosen(trials: NDArray[np.float64], said: str) -> Applied:
    """Return what some answers (n, k), k above 1, show to be fitting. said: whose numbers they are, for messages.

    Raises:
        UsageError: they may be read in two ways.
    """
    if are_shares(trials, 1.0):
        return "none"
    if are_shares(trials, 100.0):
        return "percent"
    if trials.min() >= -ROUNDING and trials.max() <= 1 + ROUNDING:
        raise UsageError(
            f"{said} are within 0 to 1 and add up to {trials[0].sum():.3g}, so nobody can tell what they are: "
            f"say {CHOICES}"
        )
    return "softmax"


def are_shares(numbers: NDArray[np.float64], whole: float) -> bool:
    """Whether numbers (…, k) are not negative and add up to a whole."""
    sums = numbers.sum(axis=-1)
    return bool(numbers.min() >= -ROUNDING * whole and (np.abs(sums - whole) <= TOLERANCE * whole).all())


def check_probabilities(values: NDArray[np.float64], said: str) -> None:
    """Check that what was made of numbers lies within 0 to 1.

    Raises:
        UsageError: it does not; says what may be meant.
    """
    low, high = values.min(), values.max()
    if low < -ROUNDING or high > 1 + ROUNDING:
        raise UsageError(
            f"{said} run from {low:.4g} to {high:.4g}, which are no probabilities: say activation=softmax or "
            "activation=sigmoid if they are logits, activation=percent if percentages, or answers=scores"
        )


def activation_text(applied: Applied, numbers: str, *, separate: bool = False) -> str:
    """Return what was made of numbers, for people. separate: whether each is a probability for itself."""
    return {
        "softmax": f"softmax of {numbers}",
        "sigmoid": f"sigmoid of {numbers}, each a probability for itself",
        "percent": f"{numbers}, which are percentages, divided by 100",
        "none": f"{numbers} as they are" + ", each a probability for itself" * separate,
    }[applied]
