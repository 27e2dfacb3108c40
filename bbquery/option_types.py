"""Types of options that are given from Python, checked before anything is asked: a wrong one names itself."""

from __future__ import annotations

import numbers
import operator
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from bbquery.errors import UsageError

T = TypeVar("T")


def whole(name: str, value: int, least: int | None = None) -> int:
    """Return an integer of Python for any integer, such as one of NumPy's; 3.0, "3" and True are none.

    Raises:
        UsageError: it is none, or less than `least`.
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or (least is not None and number < least):
        above = "" if least is None else f" of at least {least}"
        raise UsageError(f"{name} must be a whole number{above}, not {value!r}")
    return number


def is_number(value: object) -> bool:
    """Whether it is a real number, of Python or of NumPy."""
    return isinstance(value, numbers.Real)


def texts(name: str, value: str | Iterable[str] | None) -> tuple[str, ...]:
    """Return one text or several as several; None is none.

    Raises:
        UsageError: it is neither.
    """
    if value is None or isinstance(value, str):
        return () if value is None else (value,)
    several = tuple(value) if isinstance(value, Iterable) else (value,)
    if not all(isinstance(each, str) for each in several):
        raise UsageError(f"{name} must be text, or several texts, not {value!r}")
    return several


def items(name: str, value: Iterable[T]) -> tuple[T, ...]:
    """Return the items of a list or the like.

    Raises:
        UsageError: it has none, since it is one thing; a text, whose letters are no items, is one too.
    """
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise UsageError(f"{name} must be several in a list, not {value!r}")
    return tuple(value)


def instance(name: str, value: object, kind: type[object]) -> None:
    """See that an object is of a kind.

    Raises:
        UsageError: it is of another.
    """
    if not isinstance(value, kind):
        what = "text" if kind is str else f"an object of bbquery.{kind.__name__}"
        raise UsageError(f"{name} must be {what}, not {value!r}")


def folder(name: str, value: object) -> Path:
    """Return the path of a folder.

    Raises:
        UsageError: it is none.
    """
    if not isinstance(value, str | os.PathLike):
        raise UsageError(f"{name} must be the path of a folder, not {value!r}")
    return Path(value)


def path(name: str, value: object) -> Path:
    """Return the path of a file where an array might have been given.

    Raises:
        UsageError: it is neither.
    """
    if not isinstance(value, str | os.PathLike):
        raise UsageError(f"{name} must be a NumPy array or the path of a .npy file, not {type(value).__name__}")
    return Path(value)
