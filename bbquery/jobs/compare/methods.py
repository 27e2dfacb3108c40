"""Which methods are compared."""

from __future__ import annotations

from bbquery.errors import UsageError

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
