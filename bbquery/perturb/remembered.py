"""A small cache of what was drawn for a row: drawing it again costs more than all else that is done with it.

Rows are remembered until a fixed number of bytes is full; beyond it they are drawn again. What a row is never depends
on that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

BYTES = 1 << 26  # 64 MiB: a batch of 256 copies of 224 × 224 uint8 pixels and some more

T = TypeVar("T")


class Remembered(Generic[T]):
    """A cache of read-only values by row. size: bytes of the largest value."""

    def __init__(self, size: int) -> None:
        self._most = BYTES // max(size, 1)
        self._known: dict[int, T] = {}

    def __call__(self, row: int, make: Callable[[int], T]) -> T:
        """Return the row's value, by `make` if not cached. `make` is not kept: that would close a reference cycle."""
        found = self._known.get(row)
        if found is None:
            found = make(row)
            if len(self._known) < self._most:
                self._known[row] = found
        return found
