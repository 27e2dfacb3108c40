from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bbquery.estimators import Gradient
from bbquery.estimators.lr import LikelihoodRatio
from bbquery.plan import Ask, replay
from bbquery.saliency.vanilla import GradientMap
from bbquery.types import UINT8, Scores

if TYPE_CHECKING:
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image

PHOTO = np.full((5, 6, 3), 128, dtype=np.uint8)


@dataclass(frozen=True, kw_only=True)
class Known:
    """An estimator that asks one row and returns a gradient given beforehand."""

    adaptive: ClassVar[bool] = False
    queries: int = 1

    def plan(self, x: Image, domain: Domain, seed: int) -> Plan[Gradient]:
        yield Ask(x[None])
        values = np.zeros(x.shape)
        values[1, 2] = (0.5, -3.0, 2.0)
        return Gradient(values, rows=4, answered=3, mean_score=0.0)


def test_the_map_is_the_largest_magnitude_over_the_channels() -> None:
    """A pixel's value is max over channels of |gradient|, unsigned, with the estimator's counts."""
    found = replay(GradientMap(estimator=Known()).plan(PHOTO, UINT8, 0), lambda ask: Scores.blank(len(ask.images)))

    expected = np.zeros((5, 6))
    expected[1, 2] = 3.0
    np.testing.assert_array_equal(found.values, expected)
    assert (found.signed, found.unit, found.rows, found.answered) == (False, "score per grey level", 4, 3)


def test_a_pixel_that_decides_stands_out() -> None:
    """With the likelihood ratio, a score that reads one pixel has its maximum there, for either sign of the slope."""

    def answer(ask: Ask) -> Scores:
        values = np.array([-float(ask.images[row][3, 4, 1]) for row in range(len(ask.images))])
        return Scores(np.zeros(len(values), dtype=np.int8), values)

    found = replay(GradientMap(estimator=LikelihoodRatio(queries=300)).plan(PHOTO, UINT8, 0), answer)

    assert found.values.argmax() == np.ravel_multi_index((3, 4), found.values.shape)
    assert abs(found.values[3, 4] - 1.0) < 1e-9  # covariance over realised variance is exact for the only cause


def test_it_asks_what_its_estimator_asks() -> None:
    """Its queries are the estimator's, and its repr is its constructor call."""
    vanilla = GradientMap(estimator=LikelihoodRatio(queries=7))

    assert vanilla.queries == 7
    assert repr(vanilla) == f"GradientMap(estimator={LikelihoodRatio(queries=7)!r})"
    assert GradientMap() == GradientMap(estimator=LikelihoodRatio())
