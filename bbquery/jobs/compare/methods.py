"""Which methods are compared, and how they are named."""

from __future__ import annotations

from bbquery.errors import UsageError
from bbquery.specification import parse

FEWEST, MOST = 2, 8


def checked(methods: list[str]) -> list[str]:
    """Return the methods once there are enough to compare, and none twice.

    Raises:
        UsageError: they are too few or too many, or one is named twice.
    """
    if not FEWEST <= len(methods) <= MOST:
        raise UsageError(f"{FEWEST} to {MOST} methods can be compared, not {len(methods)}: --methods rise,occlusion")
    twice = next((method for method in methods if methods.count(method) > 1), None)
    if twice is not None:
        raise UsageError(f"the method {twice!r} is named twice: its two maps would be the same")
    return methods


def names_of(methods: list[str]) -> list[str]:
    """Return a name for each method, for its budget and its folder: rise, and rise~2 for another form of it."""
    names: list[str] = []
    for method in methods:
        stem = parse(method)[0].replace(":", ".")
        taken = sum(name.partition("~")[0].casefold() == stem.casefold() for name in names)
        names.append(f"{stem}~{taken + 1}" if taken else stem)
    return names
