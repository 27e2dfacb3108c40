r"""Targets that are sets: `cat+dog` is one target, met by any of its parts; `cat,dog` on the command line is two.

A name that has a plus in it, and is a class, stands for itself; where there is no closed set of classes, a plus within
a name is written `\+`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bbquery.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from bbquery.types import Classes

SEPARATOR = re.compile(r"(?<!\\)\+")


def members(target: str) -> tuple[str, ...]:
    """Return the names that a target joins by plus signs, each once; one name is a set of one.

    Raises:
        UsageError: a name is empty.
    """
    names = [name.replace(r"\+", "+").strip() for name in SEPARATOR.split(target)]
    if not all(names):
        raise UsageError(f"the target {target!r} names an empty label: join labels by single plus signs, as in cat+dog")
    return tuple(dict.fromkeys(names))


def indices(target: str, classes: Classes) -> tuple[int, ...]:
    """Return the indices of the classes that a target names, each once, in the order named.

    Raises:
        UnknownName: no class has a name. UsageError: a name is empty.
    """
    if "+" in target:
        try:
            return (classes.find(target),)
        except UnknownName:
            return tuple(dict.fromkeys(classes.find(name) for name in members(target)))
    return (classes.find(target),)
