"""Checks of constructor values that algorithms share, each with a message for the person who gave the value."""

from __future__ import annotations

import math
import operator

from bbquery.errors import UsageError


def at_least_one(name: str, value: int) -> None:
    """Check that `value` is an integer of at least 1.

    Raises:
        UsageError: it is smaller, or not an integer (1e3 is not).
    """
    try:
        whole = operator.index(value)
    except TypeError:
        raise UsageError(f"{name} must be an integer of at least 1, not {value!r}") from None
    if whole < 1:
        raise UsageError(f"{name} must be an integer of at least 1, not {value!r}")


def positive(name: str, value: float) -> None:
    """Check that `value` is finite and above 0.

    Raises:
        UsageError: it is not.
    """
    try:
        good = 0 < value < math.inf
    except TypeError:
        good = False
    if not good:
        raise UsageError(f"{name} must be a finite number above 0, not {value!r}")


def proper_share(name: str, value: float) -> None:
    """Check that `value` is strictly between 0 and 1.

    Raises:
        UsageError: it is not.
    """
    if not 0 < value < 1:
        raise UsageError(f"{name} must be above 0 and below 1, not {value!r}")


def grey_level(name: str, value: float) -> None:
    """Check that `value` is a grey level, 0 to 255.

    Raises:
        UsageError: it is not.
    """
    if not 0 <= value <= 255:
        raise UsageError(f"{name} must be a grey level from 0 to 255, not {value!r}")
