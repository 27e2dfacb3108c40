"""Scores for tests: what says of one answer what it is, made whole with what every score has."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bbquery.errors import UsageError
from bbquery.scoring.base import About
from bbquery.types import Answer, Classes, Decision, Label, Labels, NoAnswer, Vector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bbquery.oracle import Capabilities
    from bbquery.scoring.base import BoundScore


class EachAlone:
    """Scores answers one by one by `one`. It is never called with what is no answer."""

    @property
    def about(self) -> About:
        return About(unit="number", direction="higher", low=0, high=1, criterion="above", no_information=np.nan)

    def one(self, answer: Answer) -> tuple[Decision, float]:
        raise NotImplementedError

    def __call__(self, answers: Sequence[Answer]) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
        assert answers
        assert not any(isinstance(answer, NoAnswer) for answer in answers)
        found = [self.one(answer) for answer in answers]
        return np.array([d for d, _ in found], np.int8), np.array([v for _, v in found])

    def unread(self, answers: Sequence[Answer]) -> Counter[str]:
        return Counter()

    def steps(self, answer: Answer) -> list[str]:
        return []


@dataclass(frozen=True, kw_only=True)
class LeftShare:
    """The first number of a vector; what is below `from_` cannot be read, and is reported as murky."""

    from_: float = 0.0

    def check(self, capabilities: Capabilities, targets: Sequence[str]) -> None:
        if not targets:
            raise UsageError("say what is to be explained")

    def bind(self, clean: Answer, target: str | None, classes: Classes | None) -> BoundScore:
        return BoundLeftShare(from_=self.from_)


@dataclass(frozen=True, kw_only=True)
class BoundLeftShare(EachAlone):
    from_: float
    target: str = "left"

    def one(self, answer: Answer) -> tuple[Decision, float]:
        assert isinstance(answer, Vector)
        share = float(answer.values[0])
        return (Decision.MET, share) if share >= self.from_ else (Decision.UNDECIDED, np.nan)

    def unread(self, answers: Sequence[Answer]) -> Counter[str]:
        return Counter("murky" for answer in answers if np.isnan(self.one(answer)[1]))


@dataclass(frozen=True, kw_only=True)
class First:
    """The first number of an answer, met from a half on; what has no number cannot be read."""

    def check(self, capabilities: Capabilities, targets: Sequence[str]) -> None:
        return

    def bind(self, clean: Answer, target: str | None, classes: Classes | None) -> BoundFirst:
        return BoundFirst(target or "first")


@dataclass(frozen=True)
class BoundFirst(EachAlone):
    target: str

    def one(self, answer: Answer) -> tuple[Decision, float]:
        match answer:
            case Vector(values):
                return Decision(int(values[0] >= 0.5)), float(values[0])
            case Labels((Label(_, float(score)), *_)):
                return Decision(int(score >= 0.5)), score
        return Decision.UNDECIDED, np.nan
