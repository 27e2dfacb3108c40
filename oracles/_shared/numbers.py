"""Numbers out of a server's JSON: Python reads more as numbers than there are, and some cannot be used."""

from __future__ import annotations

import math


def finite(value: object) -> float | None:
    """Return a finite number as a float; None for anything else, true and false among it."""
    if type(value) not in (int, float):
        return None
    try:
        number = float(value)  # type: ignore[arg-type]  # the line above checks
    except OverflowError:  # 10**400 is a number of JSON
        return None
    return number if math.isfinite(number) else None


def whole(value: object, most: int) -> int | None:
    """Return a whole number of 0 to `most`, also one written with a point (100.0); None for anything else."""
    number = finite(value)
    return int(number) if number is not None and number.is_integer() and 0 <= number <= most else None
