"""Scores with a known gradient, as answers to a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bbquery.plan import Ask, replay
from bbquery.types import Decision, Scores

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bbquery.estimators import GradientEstimator
    from bbquery.types import Domain, Image

    Score = Callable[[Image], float]
    Answer = Callable[[Ask], Scores]


def answer(score: Score) -> Answer:
    """Answer each row with the score of its image; NaN is no answer."""

    def answers(ask: Ask) -> Scores:
        values = np.array([score(ask.images[row]) for row in range(len(ask.images))])
        decided = np.where(np.isnan(values), Decision.UNDECIDED, Decision.NOT_MET).astype(np.int8)
        return Scores(decided, values)

    return answers


def linear(a: NDArray[np.float64], b: float = 0.0) -> Score:
    return lambda image: b + float(np.vdot(a, image.astype(np.float64)))


def estimates(
    estimator: GradientEstimator, score: Score, x: Image, domain: Domain, *, seeds: int
) -> NDArray[np.float64]:
    """Return the gradients (seeds, values) of as many seeds."""
    found = [replay(estimator.plan(x, domain, seed), answer(score)).values.ravel() for seed in range(seeds)]
    return np.stack(found)


def assert_mean(found: NDArray[np.float64], expected: NDArray[Any], sigmas: float = 5.0) -> None:
    """The mean over seeds is the expected one, within its own standard error and rounding."""
    error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    assert np.all(np.abs(found.mean(axis=0) - expected.ravel()) <= sigmas * error + 1e-9 * np.abs(expected).max())
