"""`each` as a target: everything that the answer to the unperturbed image names; `each:N` for at most N maps.

A label that is called so is written with a capital letter, for labels are found whatever their case.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bbquery.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

FORM = re.compile(r"each(?::(?P<most>\d{1,6}))?")
DEFAULT_MOST = 8
LARGEST_MOST = 32  # maps: each takes its own pictures, and the method's own work


def most_maps(targets: Sequence[str]) -> int | None:
    """Return how many maps `each` may make at most; None where targets are named, or none is.

    Raises:
        UsageError: it stands beside other targets, or the number is outside 1 to 32.
    """
    form = next(filter(None, map(FORM.fullmatch, targets)), None)
    if form is None:
        return None
    if len(targets) > 1:
        raise UsageError(f"{form[0]!r} is every target of the answer, so no other is named beside it")
    most = DEFAULT_MOST if form["most"] is None else int(form["most"])
    if not 1 <= most <= LARGEST_MOST:
        raise UsageError(f"{form[0]!r}: give 1 to {LARGEST_MOST} maps, as in each:{DEFAULT_MOST}")
    return most


def maps_of(targets: Sequence[str]) -> int:
    """Return how many maps targets make; of `each`, whose targets the first answer names, at most. None is one."""
    return most_maps(targets) or max(len(targets), 1)
