"""A score of one's own, as tests name it where scores are named: it takes any oracle and any target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bbquery.types import Answer, Decision, Label, Labels, Vector
from tests.support.scores import EachAlone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.oracle import Capabilities
    from bbquery.types import Classes, Image


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


def always_cat(image: Image) -> str:
    """A model that names one thing, whatever it is shown."""
    return "cat"


def shy(image: Image) -> list[float] | None:
    """A model that refuses images with little to see: photos of tests are brighter than what masks hide."""
    bright = float(image.mean()) / 255
    return [bright, 1 - bright] if bright > 0.6 else None
