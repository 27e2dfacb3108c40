"""How much of a photo to show where an answer says yes or no, and behind half-visible masks nearly always the same.

A label that stays behind nearly every half-visible mask, or behind nearly none, tells nothing. So where nearly all of
the first scores are alike, be they 0 or 1, the share that a row shows is moved to the nearest one at which either
answer has a chance of a fifth. No farther, and only there: at the very share at which half of the answers flip one
learns most of the score there, but less of the score elsewhere, and maps get no better by it (docs/designed.md has
figures). The chance of a 1 is fitted as a sigmoid of the logit of the share that is visible, with a weak prior.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

NEARLY_ALIKE = 0.1  # of the scores at most are otherwise
LEAST_CHANCE = 0.2  # of either answer
PRIOR_MEAN = np.array([0.0, 2.0])  # of the sigmoid's level where half is visible, and of its slope
PRIOR_PRECISION = np.diag([1 / 16, 1.0])
LEAST_SLOPE = 0.5  # more visible is nearer to the target
FARTHEST = 4.0  # logit of a share: from 1.8 to 98.2 % of the photo is shown
STEPS = 20  # of Newton's method, each of at most LONGEST
LONGEST = 2.0


class Flip(NamedTuple):
    """The chance of a 1 is sigmoid(level + slope * logit of the share that is visible)."""

    level: float
    slope: float

    def telling(self, shares: Floats) -> Floats:
        """Return shares, each moved to the nearest one at which both answers have a chance."""
        ends = (_logit(np.array([LEAST_CHANCE, 1 - LEAST_CHANCE])) - self.level) / self.slope
        lowest, highest = _sigmoid(np.clip(ends, -FARTHEST, FARTHEST))
        moved: Floats = np.clip(shares, lowest, highest)
        return moved


def decided(scores: Floats, answers: Floats) -> bool:
    """Whether all scores (n,), of which there is one at least, are decisions: 0 or 1, or means of as many answers."""
    ones = scores * answers
    return bool(len(scores) and ((scores >= 0) & (scores <= 1) & np.isclose(ones, np.rint(ones))).all())


def nearly_alike(scores: Floats) -> bool:
    """Whether nearly all of these decisions (n,) are the same."""
    mean = float(scores.mean())
    return min(mean, 1 - mean) <= NEARLY_ALIKE


def flip(visible: Floats, scores: Floats) -> Flip:
    """Return the likeliest flip, by Newton's method.

    visible: (n,), the share of each row that was visible, above 0 and below 1. scores: (n,), 0 to 1.
    """
    logits, found = _logit(visible), PRIOR_MEAN
    features = np.stack([np.ones_like(logits), logits], axis=1)
    for _ in range(STEPS):
        chances = _sigmoid(features @ found)
        gradient = features.T @ (scores - chances) - PRIOR_PRECISION @ (found - PRIOR_MEAN)
        curvature = (features * (chances * (1 - chances))[:, None]).T @ features + PRIOR_PRECISION
        found = found + np.clip(np.linalg.solve(curvature, gradient), -LONGEST, LONGEST)
    return Flip(float(found[0]), max(float(found[1]), LEAST_SLOPE))


def _logit(shares: Floats) -> Floats:
    logits: Floats = np.log(shares / (1 - shares))
    return logits


def _sigmoid(logits: Floats) -> Floats:
    shares: Floats = 0.5 + 0.5 * np.tanh(logits / 2)
    return shares
