"""The cosine between an estimated gradient and the true one (Zhang et al., tables 4 and 5), where that can be had.

Direction alone counts, not scale: 1 is the same direction, 0 is what unrelated directions get, with a standard
deviation of 1 / √d for d values. Of a map that is itself a gradient with signs it asks nothing; of the magnitude of one
that an estimator made it asks what the estimator asked, which the answer store knows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bbquery.errors import UsageError
from bbquery.metrics import Measurement, Metric, Need, Quantity, Question
from bbquery.specification import constructor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.estimators import Gradient, GradientEstimator
    from bbquery.metrics import Case, Given, Reference
    from bbquery.plan import Plan


def gradient_cosine(estimated: NDArray[np.float64], true: NDArray[np.float64]) -> float:
    """Return the cosine of the angle between two gradients of one shape, -1 to 1; NaN where one is zero.

    Raises:
        UsageError: their shapes differ, or one has NaN or infinite values.
    """
    if np.shape(estimated) != np.shape(true):
        raise UsageError(f"gradients of shapes {np.shape(estimated)} and {np.shape(true)} have no angle")
    a, b = _direction(estimated), _direction(true)
    if a is None or b is None:
        return math.nan
    return float(np.clip(np.einsum("i,i->", a, b), -1.0, 1.0))


def _direction(gradient: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return the flat gradient at length 1; None for zero, which has no direction."""
    flat = np.asarray(gradient, dtype=np.float64).ravel()
    if not np.isfinite(flat).all():
        raise UsageError("a gradient must be finite everywhere: it has NaN or infinite values")
    largest = float(np.abs(flat).max(initial=0.0))
    if largest == 0:
        return None
    scaled = flat / largest  # so that squares neither overflow nor vanish
    return scaled / math.sqrt(float(np.einsum("i,i->", scaled, scaled)))


@dataclass(frozen=True, kw_only=True)
class GradientCosine(Metric):
    """The cosine of the angle between an estimated gradient and one that was computed elsewhere. It has no options."""

    quantities: ClassVar[tuple[Quantity, ...]] = (
        Quantity("gradient_cosine", "higher", "cosine, -1 to 1", "unrelated directions get 0 ± 1 / √d for d values"),
    )
    needs: ClassVar[tuple[Need, ...]] = ("gradient",)
    wants: ClassVar[tuple[Need, ...]] = ("made",)
    takes_gradient: ClassVar[bool] = True
    place: ClassVar[int] = 100

    def question(self, given: Given, /) -> Question | None:
        """Return the estimator's question; None where the map itself must be the estimate."""
        made = given.made
        if made is None or made.estimator is None:
            return None
        estimator, seed = made.estimator, made.seed
        return Question(
            name=f"GradientAgain(estimator={constructor(estimator)}, seed={seed})",
            queries=estimator.queries,
            plan=lambda case: self.plan(case, estimator, seed),
        )

    def plan(self, case: Case, estimator: GradientEstimator, seed: int) -> Plan[Gradient]:
        """Return the plan of an estimator for the photo of a case.

        Raises:
            UsageError: the reference is of other pixels.
        """
        fitting(_of(case), [case.x.shape])
        return estimator.plan(case.x, case.domain, seed)

    def measurements(self, case: Case, answer: Gradient | None, /) -> list[Measurement]:
        """Return the cosine.

        Raises:
            UsageError: nothing was asked, and the map is no gradient of the reference's pixels.
        """
        reference, (quantity,) = _of(case), self.quantities
        used = f"against {reference.source}; 0 ± {1 / math.sqrt(reference.values.size):.2g} by chance"
        if answer is None:
            estimate = among(reference, (case.values, case.in_photo))
            return [quantity.measured(seen_cosine(estimate, reference), used=used)]
        return [
            quantity.measured(
                seen_cosine(answer.values, reference), steps=1, queries=answer.rows,
                unanswered=answer.rows - answer.answered, used=used,
            )
        ]  # fmt: skip


def _of(case: Case) -> Reference:
    assert case.given.gradient is not None  # noqa: S101 - a metric is only asked where all that it needs is given
    return case.given.gradient


def among(reference: Reference, estimates: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the first of several forms of an estimated gradient that has a reference's shape.

    Raises:
        UsageError: none has, or it has no negative value where the reference does, so it holds magnitudes.
    """
    estimate = estimates[fitting(reference, [each.shape for each in estimates])]
    if np.nanmin(estimate) >= 0 > reference.values.min():
        raise UsageError(
            f"the map has no negative value, but the gradient of {reference.source} does: the map holds magnitudes, "
            "which have no direction; give a map with signs, or one that an estimator made, with its run.json"
        )
    return estimate


def fitting(reference: Reference, shapes: Sequence[tuple[int, ...]]) -> int:
    """Return the place of the first of several shapes that is a reference's.

    Raises:
        UsageError: none is.
    """
    if reference.values.shape in shapes:
        return shapes.index(reference.values.shape)
    known = " or ".join(map(str, dict.fromkeys(shapes)))
    raise UsageError(
        f"the gradient of {reference.source} has shape {reference.values.shape}, but the estimated one {known}: give "
        "that of the same pixels"
    )


def seen_cosine(estimate: NDArray[np.float64], reference: Reference) -> float:
    """Return the cosine of the angle with a reference of the same shape, over what the estimate knows (is finite)."""
    seen = np.isfinite(estimate)
    return gradient_cosine(estimate[seen], reference.values[seen])


METRIC = GradientCosine
