"""Smallest parts of a photo, in the order of a map, that keep an answer alone or change it when hidden: by bisection.

1. With all hidden the answer must be another one: else no part of the photo decides it, and only that is asked again.
2. *Enough*: the highest-ranked share alone is shown. *Breaks*: it alone is hidden. Each share is halved between one
   that did not do it and one that did, both bisections side by side, until they meet or one query is left.
3. The smallest share that did it is asked again, as a question of its own. If the second answer differs, the next
   larger share that did it is asked again, as long as there are queries.

Bisection assumes that a larger part does what a smaller one did. Where that fails there may be a smaller part: what is
returned was answered twice, and is the smallest found, no more.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from bbquery.plan import Ask, Stopped, together
from bbquery.types import Decision, Scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.plan import Plan
    from bbquery.types import Image

Kind: TypeAlias = Literal["shown", "hidden"]
"""Whether a share is shown alone, or hidden alone."""

STEPS = 100  # shares: whole percents, as people are told them
FEWEST = 5  # queries: all hidden, and for each part one share that is asked twice
DOES: dict[Kind, Decision] = {"shown": Decision.MET, "hidden": Decision.NOT_MET}
"""What a share must be answered: shown alone it keeps the answer, hidden alone it changes it."""


@dataclass(frozen=True)
class Question:
    """A question. share: of the pixels, 0 to 1. again: whether it was asked a second time.

    did: whether the share alone kept the answer (shown) or changed it (hidden); of a second time, whether it did both
    times. value: of the score, NaN where there is none; of a second time the mean of both. answered: whether it was.
    """

    kind: Kind
    share: float
    again: bool
    did: bool
    value: float
    answered: bool

    @property
    def wavers(self) -> bool:
        """Whether it did it once, and not when asked again."""
        return self.again and self.answered and not self.did


@dataclass(frozen=True)
class SmallestParts:
    """How many of `Parts.steps` shares were enough, and how many broke the answer; None where none did so twice.

    asked: every question, in the order of the rows. stopped: why no more was asked; None where nothing stopped it.
    """

    enough: int | None
    breaks: int | None
    asked: tuple[Question, ...]
    stopped: str | None = None

    @property
    def wavers(self) -> bool:
        """Whether the model was seen to answer equal pictures differently."""
        return any(each.wavers for each in self.asked)


class Parts:
    """Copies of a photo of which a share of the pixels alone is shown, or alone is hidden.

    x, filling: (H, W, 3), as sent. ranked: (H, W), 0 is taken first.
    """

    def __init__(self, x: Image, filling: Image, ranked: NDArray[np.int64]) -> None:
        self._x, self._filling, self._ranked = x, filling, ranked
        self.steps = min(STEPS, ranked.size)

    def share(self, taken: int) -> float:
        """Return the share of the pixels, 0 to 1, that so many steps are."""
        return self._pixels(taken) / self._ranked.size

    def shown(self, kind: Kind, taken: int) -> NDArray[np.bool_]:
        """Return where the photo is shown, (H, W)."""
        first: NDArray[np.bool_] = self._ranked < self._pixels(taken)
        return first if kind == "shown" else ~first

    def image(self, kind: Kind, taken: int) -> Image:
        """Render a copy: (H, W, 3), exactly as it will be sent."""
        return np.where(self.shown(kind, taken)[..., None], self._x, self._filling)

    def _pixels(self, taken: int) -> int:
        return taken * self._ranked.size // self.steps


def smallest_parts(parts: Parts, queries: int) -> Plan[SmallestParts]:
    """Ask at most so many queries, at least `FEWEST`, and return the smallest parts that were found.

    An answer is MET while it is kept, and NOT_MET once it is another one.
    """
    questions, left = _Questions(parts), queries - 1
    if (yield from questions.does("shown", 0)) and questions.stopped is None:
        left -= 1
        if (yield from questions.does("shown", 0, again=True)):
            return questions.found(enough=0)
    if questions.stopped is not None:
        return questions.found()
    changed = questions.last == Decision.NOT_MET  # a second answer that differs leaves it undecided
    searches = [
        _smallest(questions, "shown", left // 2, did=[]),
        _smallest(questions, "hidden", left // 2, did=[parts.steps] if changed else []),
    ]
    enough, breaks = yield from together(searches)
    return questions.found(enough, breaks)


def _smallest(questions: _Questions, kind: Kind, queries: int, did: list[int]) -> Plan[int | None]:
    """Return the smallest number of steps found that did it twice. did: those that did it once, the smallest last."""
    low, high = 0, questions.parts.steps
    while high - low > 1 and queries > 1 and questions.stopped is None:
        middle, queries = (low + high) // 2, queries - 1
        if (yield from questions.does(kind, middle)):
            high = middle
            did.append(middle)
        else:
            low = middle
    while did and queries and questions.stopped is None:
        taken, queries = did.pop(), queries - 1
        if (yield from questions.does(kind, taken, again=True)):
            return taken
    return None


class _Questions:
    """What was asked so far. stopped: why no more may be. last: what the last answer was decided to be."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.stopped: str | None = None
        self.last = int(Decision.UNDECIDED)
        self._asked: list[Question] = []

    def does(self, kind: Kind, taken: int, *, again: bool = False) -> Generator[Ask, Scores, bool]:
        """Ask a copy, for the first or the second time; return whether it did it, both times if twice."""
        times = 2 if again else 1  # of two the first is in the store
        try:
            scores = yield Ask(self.parts.image(kind, taken)[None], times)
        except Stopped as stop:
            self.stopped, scores = stop.reason, stop.scores
        (self.last,), (answers,), (value,) = scores.decision.tolist(), scores.answers.tolist(), scores.value.tolist()
        did = answers == times and self.last == DOES[kind]
        answered = self.stopped is None or answers == times
        self._asked.append(Question(kind, self.parts.share(taken), again, did, value, answered))
        return did

    def found(self, enough: int | None = None, breaks: int | None = None) -> SmallestParts:
        """Return what was found."""
        return SmallestParts(enough, breaks, tuple(self._asked), self.stopped)
