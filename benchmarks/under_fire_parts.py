"""Parts of the benchmarks under fire: faults, and a model that counts its answers, to be killed in their midst."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

KINDS = ("rate_limited", "server_error", "dropped", "truncated", "junk")  # equal shares of the faults
SIZE = 16  # pixels on each side of what is sent


def sides(image: Any) -> list[float]:
    """Return how bright the left half is, and the right one."""
    half = image.shape[1] // 2
    left, right = float(image[:, :half].mean()) + 1, float(image[:, half:].mean()) + 1
    return [left / (left + right), right / (left + right)]


@dataclass
class Counting:
    """An oracle that counts its answers and calls `reached` once, when there are `threshold` of them."""

    inner: Any
    answered: int = 0
    threshold: int = -1
    reached: Callable[[], None] = field(default=lambda: None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def answer(self, payloads: Sequence[Any]) -> Any:
        """Answer, and count."""
        answers = await self.inner.answer(payloads)
        self.answered += len(payloads)
        if 0 <= self.threshold <= self.answered:
            self.threshold = -1
            self.reached()
        return answers

    def when_answered(self, more: int, act: Callable[[], None]) -> None:
        """Call `act` once so many more are answered."""
        self.threshold, self.reached = self.answered + more, act
