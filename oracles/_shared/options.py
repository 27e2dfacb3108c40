"""Options that several oracles have: read and checked alike, before anything is sent."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, get_args

from bbquery.errors import UnknownName, UsageError
from bbquery.oracle import View

if TYPE_CHECKING:
    from collections.abc import Sequence


def check_choices(**options: tuple[Any, Any]) -> None:
    """Check each option, a value and the `Literal` that it must be one of.

    Raises:
        UnknownName: it is none of them.
    """
    for option, (value, choices) in options.items():
        if value not in get_args(choices):
            raise UnknownName(f"value of {option}", str(value), get_args(choices))


def check_positive(**options: float | None) -> None:
    """Check that each option that is given is above 0 and finite.

    Raises:
        UsageError: it is not.
    """
    for option, value in options.items():
        if value is not None and not 0 < value < math.inf:
            raise UsageError(f"{option} must be above 0 and finite, not {value}")


def check_at_least_one(**options: int | None) -> None:
    """Check that each count that is given is at least 1.

    Raises:
        UsageError: it is not.
    """
    for option, value in options.items():
        if value is not None and value < 1:
            raise UsageError(f"{option} must be at least 1, not {value}")


def check_crop(crop: float | None) -> None:
    """Check a share of a photo's shorter side.

    Raises:
        UsageError: it is not above 0 and at most 1.
    """
    if crop is not None and not 0 < crop <= 1:
        raise UsageError(
            f"crop is the share of the photo's shorter side that is sent, above 0 and at most 1, not {crop}"
        )


def view_of(height: int | None, width: int | None, crop: float | None = None) -> View:
    """Return what is sent of a photo: resized to height and width, or as large as it is where neither is given.

    Raises:
        UsageError: one is given without the other.
    """
    if (height is None) != (width is None):
        raise UsageError("give height and width, or neither")
    return View(size=None if height is None or width is None else (height, width), crop=crop)


def class_names(classes: str | Sequence[str] | None) -> list[str]:
    """Return the names of classes, which are separated by "|" in a string; none where none are given."""
    return classes.split("|") if isinstance(classes, str) else list(classes or ())
