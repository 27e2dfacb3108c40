"""The scores a plan was sent, kept so that it can be run again, in part or in whole, without a query."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import numpy as np

from bbquery.types import Scores

if TYPE_CHECKING:
    from collections.abc import Callable

    from bbquery.plan import Ask


class Recorded:
    """Scores, ask after ask. They lie in four flat arrays: an attack may ask 100,000 times for one row."""

    def __init__(self) -> None:
        self._decision, self._value, self._spread, self._answers = array("b"), array("d"), array("d"), array("q")
        self._starts = array("q", [0])

    def add(self, scores: Scores) -> None:
        """Add what an ask was sent."""
        self._decision.frombytes(scores.decision.astype(np.int8).tobytes())
        self._value.frombytes(scores.value.astype(np.float64).tobytes())
        self._spread.frombytes(scores.spread.astype(np.float64).tobytes())
        self._answers.frombytes(scores.answers.astype(np.int64).tobytes())
        self._starts.append(len(self._value))

    def __len__(self) -> int:
        """How many asks."""
        return len(self._starts) - 1

    def __getitem__(self, ask: int, /) -> Scores:
        """Return what an ask was sent, counted from 0."""
        if not 0 <= ask < len(self):
            raise IndexError(f"ask {ask} of {len(self)}")
        rows = slice(self._starts[ask], self._starts[ask + 1])
        return Scores(
            np.array(self._decision[rows], dtype=np.int8),
            np.array(self._value[rows], dtype=np.float64),
            np.array(self._spread[rows], dtype=np.float64),
            np.array(self._answers[rows], dtype=np.int64),
        )

    @property
    def values(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """The value of every row, one after another; NaN where there is no answer."""
        return np.array(self._value, dtype=np.float64)

    @property
    def decisions(self) -> np.ndarray[tuple[int], np.dtype[np.int8]]:
        """The decision of every row, one after another: codes of `bbquery.types.Decision`."""
        return np.array(self._decision, dtype=np.int8)

    def answering(self) -> Callable[[Ask], Scores]:
        """Return what answers the asks of the same plan, run again from its start: see `bbquery.plan.replay`.

        An ask for fewer rows, as the last one of a run that is cut short, takes the first ones.
        """
        asks = iter(range(len(self)))
        return lambda ask: self[next(asks)].rows(0, len(ask.images))
