"""Verified facts of a map: parts of the photo, in the map's order, with what the model answered to them, twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery.shown import shown
from bbquery.types import Labels, Text, Vector

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bbquery.jobs.explain.bisection import Question
    from bbquery.oracle import Capabilities
    from bbquery.types import Answer

LONGEST_TEXT, LONGEST_LABEL = 60, 80  # letters of an answer in a sentence


@dataclass(frozen=True, eq=False)
class Part:
    """A part of the photo that was shown alone or hidden, and what the model answered to that.

    share: of the pixels that are sent, 0 to 1, shown alone or hidden. image: uint8 (h, w, 3), as it was asked. shown:
    bool (h, w), which of its pixels are the photo's. answers: as it was found, and as it was asked again. says: the
    fact, as people are told it. value: mean of the score's values.
    """

    share: float
    image: NDArray[np.uint8]
    shown: NDArray[np.bool_]
    answers: tuple[Answer, ...]
    says: str
    value: float


@dataclass(frozen=True, eq=False)
class Verified:
    """Facts that were asked for, beside the estimate that a map is.

    enough: the smallest part found, in the map's order, that keeps the answer where it alone is shown. breaks: the
    smallest found whose hiding changes the answer. Each is None where none was answered so twice. queries: how many
    were asked. filling: what stood where pixels were hidden; empty where nothing was asked. why: why a fact is missing,
    and which part was answered differently the second time; empty where neither is so. keeps: when an answer counts as
    kept. asked: every question, in order. stopped: what ended the questions early; None where nothing did.
    """

    enough: Part | None
    breaks: Part | None
    queries: int
    filling: str
    why: str
    keeps: str = ""
    asked: tuple[Question, ...] = ()
    stopped: str | None = None

    @property
    def says(self) -> list[str]:
        """The facts, a sentence each."""
        return [part.says for part in (self.enough, self.breaks) if part is not None]


def nothing(why: str) -> Verified:
    """Return that nothing was asked, and why."""
    return Verified(None, None, 0, "", why)


def brief(answer: Answer, oracle: Capabilities) -> str:
    """Return what a model said, in a few words: its top class, its first label, or the beginning of its text."""
    match answer:
        case Vector(values):
            best = int(values.argmax())
            return f"class {best}" if oracle.classes is None else shown(oracle.classes.show(best), LONGEST_LABEL)
        case Labels(labels):
            return shown(labels[0].name, LONGEST_LABEL) if labels else "no label"
        case Text():
            return f"“{shown(' '.join(answer.spoken.text.split()), LONGEST_TEXT)}”"
    return "no answer"
