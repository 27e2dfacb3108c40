"""Score of a class that was read from a text, bound to its target."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bbquery.scoring._closed_set import closed_set
from bbquery.scoring._noun_phrase import contains, read_phrase
from bbquery.scoring._said import said
from bbquery.scoring.base import About
from bbquery.types import Decision, Label, Labels, composed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bbquery.scoring._chatter import Reading
    from bbquery.scoring.base import BoundScore
    from bbquery.types import Answer, Classes


def reading(answer: Answer, classes: Classes | None) -> Reading:
    """Return the class that an answer names, of a closed set or (None) as a noun phrase.

    Raises:
        UsageError: the answer is no text.
    """
    text = composed(said(answer).text)
    return read_phrase(text) if classes is None else closed_set(classes).read(text)


@dataclass(frozen=True, kw_only=True)
class BoundReading:
    """The class that a text names, scored.

    index: of the target in the closed set `classes`; both None where any noun may be named. inner: the score that a
    class is given to, as a label; None for 1 if it is the target and 0 if it is not. A noun phrase is the target if it
    has the target's words within: "large tabby cat" is a "cat".
    """

    target: str
    index: int | None = None
    classes: Classes | None = None
    inner: BoundScore | None = None

    @property
    def about(self) -> About:
        """Meaning of the values."""
        if self.inner is not None:
            return self.inner.about
        return About(
            unit="1 where the class is the target, else 0",
            direction="higher",
            low=0.0,
            high=1.0,
            criterion="the text names the target, and no other class",
            no_information=0.0 if self.classes is None else 1 / len(self.classes),
        )

    def __call__(self, answers: Sequence[Answer]) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
        """Return decisions and values, (n,) each; undecided and NaN where no class could be read.

        Raises:
            UsageError: an answer is no text.
        """
        read = [reading(answer, self.classes) for answer in answers]
        known = [i for i, one in enumerate(read) if one.name is not None]
        decisions = np.full(len(read), Decision.UNDECIDED, dtype=np.int8)
        values = np.full(len(read), np.nan)
        decisions[known], values[known] = self._scored([read[i] for i in known])
        return decisions, values

    def _scored(self, read: Sequence[Reading]) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
        if self.inner is not None:
            return self.inner([_label(one) for one in read])
        hit = np.array([self._is_target(one) for one in read], dtype=bool)
        return np.where(hit, Decision.MET, Decision.NOT_MET).astype(np.int8), hit.astype(np.float64)

    def _is_target(self, read: Reading) -> bool:
        if self.index is not None:
            return read.index == self.index
        return contains(read.name or "", composed(self.target).casefold())

    def unread(self, answers: Sequence[Answer]) -> Counter[str]:
        """Return how texts failed that name no class, and what the inner score could not read, by how often."""
        read = [reading(answer, self.classes) for answer in answers]
        failed = Counter(str(one.failure) for one in read if one.name is None)
        if self.inner is None:
            return failed
        return failed + self.inner.unread([_label(one) for one in read if one.name is not None])

    def steps(self, answer: Answer) -> list[str]:
        """Return what the score does to an answer, a line a step."""
        read = reading(answer, self.classes)
        first = [f"answer: {said(answer).text!r}"]
        if read.name is None:
            return [*first, f"no class was read from {read.where}: {read.failure}"]
        first.append(f"class read from {read.where}: {read.name}")
        if self.inner is not None:
            return [*first, *self.inner.steps(_label(read))]
        return [*first, f"{'is' if self._is_target(read) else 'is not'} the target {self.target}"]


def _label(read: Reading) -> Labels:
    return Labels((Label(read.name or ""),))
