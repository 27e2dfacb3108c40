"""Limits of one file: how lines are split into files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from bbquery.errors import UsageError

if TYPE_CHECKING:
    from bbquery.batch_oracle import BatchLimits


class Filling:
    """Fill level of a file: `lines` lines of `bytes` bytes together."""

    def __init__(self, limits: BatchLimits) -> None:
        self._limits = limits
        self.lines = self.bytes = 0

    def room_for(self, sizes: Sequence[int]) -> int:
        """Return how many lines of these sizes, from the first, still fit.

        Raises:
            UsageError: the first is larger than any file may be.
        """
        if sizes and (sizes[0] > self._limits.bytes or self._limits.lines < 1):
            raise UsageError(
                f"one question takes {sizes[0]:,} bytes, and a batch's file may hold {self._limits.bytes:,} bytes and"
                f" {self._limits.lines:,} lines: send smaller images, or leave out --batch"
            )
        lines, total = self.lines, self.bytes
        for place, size in enumerate(sizes):
            lines, total = lines + 1, total + size
            if lines > self._limits.lines or total > self._limits.bytes:
                return place
        return len(sizes)

    def add(self, size: int) -> None:
        """Count one more line."""
        self.lines += 1
        self.bytes += size


def split(sizes: Iterable[int], limits: BatchLimits) -> Iterator[int]:
    """Yield for each line, in order, the number of the file it goes into: each file is as full as the next line allows.

    Raises:
        UsageError: a line is larger than any file may be.
    """
    filling, number = Filling(limits), 0
    for size in sizes:
        if not filling.room_for([size]):
            filling, number = Filling(limits), number + 1
        filling.add(size)
        yield number
