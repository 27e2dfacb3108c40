"""Algorithms as pure generators: they yield images, are sent scores, and return their result.

    def plan() -> Plan[float]:
        scores = yield Ask(images)          # one decision and one value for each image
        return float(scores.value.mean())

Rules that every plan keeps, so that stopping, resuming and replaying need nothing else:

1. It is a function of its arguments, its seed and the scores it is sent: no clock, file, event loop or global
   randomness. Batch sizes and order never depend on how fast answers come. So a second run asks the same
   questions, and an answer store makes the second run free.
2. It is *anytime*: at any yield it may receive `Stopped`, which carries every score that was paid for; it then
   returns its best so far and yields no more.
3. No answer is NaN in value and UNDECIDED in decision; it is neither a success nor a failure.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

import numpy as np

from bbquery.errors import UsageError
from bbquery.system.blas_threads import one_blas_thread
from bbquery.types import Scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.types import Image, Images

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Ask:
    """Images to ask, and how often each: once, `repeat` times each, or one count per row.

    Repeats are explicit because an equal question is otherwise answered once and remembered.
    """

    images: Images
    repeat: int | tuple[int, ...] = 1

    def __post_init__(self) -> None:
        if isinstance(self.repeat, tuple) and len(self.repeat) != len(self.images):
            raise UsageError(f"{len(self.repeat)} repeats for {len(self.images)} images: give one per image")
        if min(self.repeats, default=1) < 1:
            raise UsageError(f"repeat must be at least 1, not {self.repeat}")

    @property
    def repeats(self) -> tuple[int, ...]:
        """How often each row is asked."""
        return self.repeat if isinstance(self.repeat, tuple) else (self.repeat,) * len(self.images)

    @property
    def queries(self) -> int:
        """How many queries it takes."""
        return sum(self.repeats)


Plan: TypeAlias = Generator[Ask, Scores, T]
"""An algorithm at work: it yields `Ask`, is sent `Scores` for it, and returns its result."""


class Stopped(Exception):
    """Thrown into a plan at its yield when no more can be asked.

    scores: full-length, blank where unanswered, so that every paid answer reaches the plan.
    """

    def __init__(self, reason: str, scores: Scores) -> None:
        self.reason, self.scores = reason, scores
        super().__init__(reason)


@dataclass(frozen=True)
class Yielded:
    """A plan wants answers."""

    ask: Ask


@dataclass(frozen=True)
class Returned(Generic[T]):
    """A plan is done."""

    result: T


def step(plan: Plan[T], sent: Scores | Stopped | None) -> Yielded | Returned[T]:
    """Advance a plan with scores, a stop, or None to start it.

    A plan's end is a value here because StopIteration can cross neither a Future nor an executor.

    Raises:
        RuntimeError: the plan asked for more after it was stopped.
    """
    try:
        with one_blas_thread:
            if isinstance(sent, Stopped):
                plan.throw(sent)
                raise RuntimeError(  # noqa: TRY004 - it is about what the plan did, not about a type
                    "a plan asked for more after it was stopped; it must return its best so far"
                )
            return Yielded(next(plan) if sent is None else plan.send(sent))
    except StopIteration as end:
        return Returned(end.value)


def replay(plan: Plan[T], answer: Callable[[Ask], Scores], *, stop_after: int | None = None) -> T:
    """Run a plan synchronously, with `answer` in place of an oracle: for tests, closed forms and stored scores.

    stop_after: stop the plan once this many queries were asked; the rows that fit are still answered.
    """
    whole, sent = plan if stop_after is None else stopping_after(plan, stop_after), None
    while True:
        state = step(whole, sent)
        if isinstance(state, Returned):
            return state.result
        sent = answer(state.ask)


def stopping_after(plan: Plan[T], queries: int) -> Plan[T]:
    """Run a plan, and stop it after so many queries: it returns its best of those. The rows that fit are asked."""
    left, sent = queries, None
    while True:
        state = step(plan, sent)
        if isinstance(state, Returned):
            return state.result
        ask, rows = state.ask, sum(total <= left for total in accumulate(state.ask.repeats))
        fits = rows == len(ask.images)
        reason, scores = None if fits else f"stopped after {queries} queries", Scores.blank(0)
        try:
            if rows:
                scores = yield ask if fits else Ask(Rows([ask.images], np.arange(rows)), ask.repeats[:rows])
        except Stopped as stop:
            reason, scores = stop.reason, stop.scores
        blank = Scores.blank(len(ask.images) - len(scores))
        left -= ask.queries
        sent = scores if reason is None else Stopped(reason, concatenate([scores, blank]))


class Rows:
    """Rows of several sequences of images, one after another, rendered when indexed."""

    def __init__(self, parts: Sequence[Images], rows: NDArray[np.int64] | None = None) -> None:
        self._parts = parts
        self._starts = [0, *accumulate(len(part) for part in parts)]
        self._rows = np.arange(self._starts[-1]) if rows is None else rows

    def __len__(self) -> int:
        """How many rows."""
        return len(self._rows)

    @property
    def counts(self) -> tuple[int, ...]:
        """How many of them are of each sequence."""
        found: list[int] = np.histogram(self._rows, self._starts)[0].tolist()
        return tuple(found)

    def __getitem__(self, row: int, /) -> Image:
        """Render one row."""
        at = int(self._rows[row])
        part = int(np.searchsorted(self._starts, at, side="right")) - 1
        return self._parts[part][at - self._starts[part]]


def concatenate(parts: Sequence[Scores]) -> Scores:
    """Join scores row after row."""
    return Scores(
        np.concatenate([p.decision for p in parts]),
        np.concatenate([p.value for p in parts]),
        np.concatenate([p.spread for p in parts]),
        np.concatenate([p.answers for p in parts]),
    )


def together(plans: Sequence[Plan[T]]) -> Plan[list[T]]:
    """Run plans in lock-step: each round asks for what all of them want at once, and returns their results in order.

    A yield is a barrier, so 32 bisections of 10 steps are 10 rounds of 32 queries, not 320 of one.
    """
    states: list[Yielded | Returned[T]] = [step(plan, None) for plan in plans]
    while waiting := [i for i, state in enumerate(states) if isinstance(state, Yielded)]:
        asks = [_ask(states[i]) for i in waiting]
        sent: Scores | Stopped
        try:
            sent = yield Ask(Rows([a.images for a in asks]), tuple(r for a in asks for r in a.repeats))
        except Stopped as stop:
            sent = stop
        starts = [0, *accumulate(len(a.images) for a in asks)]
        for place, i in enumerate(waiting):
            states[i] = step(plans[i], _share(sent, starts[place], starts[place + 1]))
    return [_result(state) for state in states]


def _share(sent: Scores | Stopped, start: int, stop: int) -> Scores | Stopped:
    if isinstance(sent, Stopped):
        return Stopped(sent.reason, sent.scores.rows(start, stop))
    return sent.rows(start, stop)


def _ask(state: Yielded | Returned[Any]) -> Ask:
    assert isinstance(state, Yielded)  # noqa: S101 - chosen by the caller
    return state.ask


def _result(state: Yielded | Returned[T]) -> T:
    assert isinstance(state, Returned)  # noqa: S101 - the loop ends only when all have returned
    return state.result
