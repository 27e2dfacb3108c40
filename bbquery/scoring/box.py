"""Box: how well one object of the photo is still found where it was, for detectors.

Petsiuk et al., "Black-box Explanation of Object Detectors via Saliency Maps" (D-RISE, CVPR 2021), their similarity: a
detection has a box L, class probabilities P and an objectness O, and is like the target by

    s(target, detection) = IoU(L_t, L_d) · cos(P_t, P_d) · O_d;    an answer counts by its best detection.

A label with a box and a score has one class and no probabilities, so the cosine is 1 where the class is the target's
and 0 elsewhere, and the score stands for the objectness:

    value = max over the detections of the class of IoU(box of the target, box) · score

A detection without a score counts 1 where none of the answer has one. The target's box is that of the clean answer, or
one that a person types; `_object_targets` says how.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from bbquery.errors import UsageError
from bbquery.scoring import _object_targets
from bbquery.scoring._soft_labels import WITHOUT_SCORE, scores_of
from bbquery.scoring.base import About, TargetObject
from bbquery.types import Answer, Classes, Decision, Label, Labels, folded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from bbquery.images.boxes import Box
    from bbquery.oracle import Capabilities
    from bbquery.scoring.base import BoundScore

UNIT: Final = "score of the object times overlap with its box"
ROUNDING: Final = 1e-6  # that scores in 32 bits may stray beyond 1


@dataclass(frozen=True, kw_only=True)
class SameObject:
    """Overlap of the target's box with the best detection of its class, times that detection's score; 0 to 1.

    Of several objects with one name a target says which: "bicycle#2" is the one with the second highest score,
    "bicycle@left" (@right, @top, @bottom) the one farthest to that side, "bicycle[0.1,0.2,0.5,0.9]" the one in this
    box (left, top, right, bottom in shares of the photo), "bicycle" the one with the highest score.

    The overlap is intersection over union. The criterion is met while the class is found with enough of it.

    Args:
        overlap: intersection over union from which on a detection is the same object; above 0, at most 1.

    Raises:
        UsageError: overlap is outside that range.
    """

    overlap: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.overlap <= 1:
            raise UsageError(f"overlap must be above 0 and at most 1, not {self.overlap:g}")

    def check(self, capabilities: Capabilities, targets: Sequence[str]) -> None:
        """Check, before anything is sent, that labels have boxes and that the targets are objects.

        Raises:
            UnknownName: no class has this label. UsageError: the answers have no boxes, or a target is no object.
        """
        if capabilities.answers != "labels" or not capabilities.boxes:
            raise UsageError(
                f"the score 'box' needs labels with boxes, and {capabilities.name} answers {capabilities.answers}"
                f"{' without them' if capabilities.answers == 'labels' else ''}: see in 'bbquery list oracles' whether "
                "it has an option that gives them"
            )
        for target in targets:
            _object_targets.check(target, capabilities.classes)

    def bind(self, clean: Answer, target: str | None, classes: Classes | None) -> BoundScore:
        """Fix the target, an object; None takes the first of the clean answer that has a box.

        Raises:
            UnknownName: no class has this label. UsageError: the clean answer has no such object, or scores that are
                not 0 to 1.
        """
        if not isinstance(clean, Labels):
            raise UsageError(f"the score 'box' needs labels with boxes; this oracle answered {clean!s:.200}")
        highest = max((score for score in scores_of(clean.labels) if not math.isnan(score)), default=1.0)
        if highest > 1 + ROUNDING:
            raise UsageError(f"the score 'box' needs scores of 0 to 1; this oracle answered {highest:.6g}")
        found = _object_targets.found(target, clean, classes)
        return BoundObject(
            found.shown if target is None else target.strip(), found.shown, found.names, found.box, self.overlap
        )


@dataclass(frozen=True)
class BoundObject:
    """`SameObject` of the object `name` in `box`. names: all by which a label may stand for it, `folded`."""

    target: str
    name: str
    names: frozenset[str]
    box: Box
    overlap: float = 0.5

    @property
    def about(self) -> About:
        """Meaning of a value; an answer without such an object says nothing of it."""
        return About(
            unit=UNIT,
            direction="higher",
            low=0.0,
            high=1.0,
            criterion=f"{self.name!r} is found in {self.box} or overlaps it by {self.overlap:.0%} or more",
            no_information=0.0,
            object=TargetObject(self.name, self.box),
            of_first=False,
        )

    def __call__(self, answers: Sequence[Answer]) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
        """Return whether the object is found, and the best of overlap times score.

        Raises:
            UsageError: an answer is no list of labels.
        """
        read = [self._read(answer) for answer in answers]
        decisions = np.array([decision for decision, _ in read], dtype=np.int8)
        return decisions, np.array([value for _, value in read], dtype=np.float64)

    def unread(self, answers: Sequence[Answer]) -> Counter[str]:
        """Return the object where it is listed without a score of 0 to 1, among labels that have scores."""
        return Counter(
            WITHOUT_SCORE.format(self.name) for answer in answers if self._read(answer)[0] == Decision.UNDECIDED
        )

    def steps(self, answer: Answer) -> list[str]:
        """Return each detection of the class, and what it comes to."""
        lines = [
            f"{label.name!r} in {label.box}: overlap {overlap:.6g} × score {score:.6g} = {overlap * score:.6g}"
            for label, overlap, score in self._own(answer)
        ]
        _, value = self._read(answer)
        return [
            f"the object is {self.name!r} in {self.box}",
            *(lines or [f"no {self.name!r} with a box in this answer"]),
            f"the best of them: {value:.6g}",
        ]

    def _read(self, answer: Answer) -> tuple[Decision, float]:
        own = [(overlap, score) for _, overlap, score in self._own(answer) if overlap > 0]
        if any(not 0 <= score <= 1 + ROUNDING for _, score in own):  # a NaN is not either
            return Decision.UNDECIDED, math.nan
        met = any(overlap >= self.overlap and score > 0 for overlap, score in own)
        return Decision(met), min(1.0, max((overlap * score for overlap, score in own), default=0.0))

    def _own(self, answer: Answer) -> Iterator[tuple[Label, float, float]]:
        """Give the labels of the class that have boxes, with their overlap and score."""
        if not isinstance(answer, Labels):
            raise UsageError(f"the score 'box' was bound to labels with boxes; this oracle answered {answer!s:.200}")
        for label, score in zip(answer.labels, scores_of(answer.labels), strict=True):
            if label.box is not None and folded(label.name) in self.names:
                yield label, self.box.overlap(label.box), score


SCORE = SameObject
