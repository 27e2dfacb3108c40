"""Max-sensitivity (Yeh et al., "On the (in)fidelity and sensitivity of explanations", definition 3.1).

    SENS = max over y with |y - x| ≤ r of ‖Φ(y) - Φ(x)‖ / ‖Φ(x)‖

estimated over copies y that differ from x by a little uniform noise in every value: how far the *map* moves when the
photo all but stays. The division by the map's own length, as in captum and quantus, makes maps of different units
comparable. Lower is better, 0 is a map that does not move. It asks for a whole map of each copy, which is many queries.

Every map is made with the same seed: the method's own chance is no sensitivity, and `repeatability` measures it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bbquery.metrics import Measurement, Metric, Need, Quantity, Question
from bbquery.perturb.checks import at_least_one, positive
from bbquery.perturb.rows import row_generator
from bbquery.plan import together

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bbquery.metrics import Case, Given
    from bbquery.plan import Plan
    from bbquery.saliency import Method
    from bbquery.types import Domain, Image, SaliencyMap


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """How far a map moves with the photo, as a share of its length.

    largest, mean: over the copies; NaN where the map of the photo itself is zero. radius: of the noise, in grey levels.
    copies: how many. partial: whether some map rests on fewer answers than planned, which moves maps too. unanswered:
    how many rows of all maps had no answer.
    """

    largest: float
    mean: float
    radius: float
    copies: int
    partial: bool
    unanswered: int = 0


@dataclass(frozen=True, kw_only=True)
class MaxSensitivity(Metric):
    """Explain slightly noisy copies of a photo, and say how far their maps are from its own.

    Args:
        noisy_copies: noisy copies, each with a map; at least 1.
        radius: the most that a value moves, in grey levels: 5.1 is 2 % of the range; above 0.

    Raises:
        UsageError: noisy_copies below 1, or radius not above 0.
    """

    quantities: ClassVar[tuple[Quantity, ...]] = (
        Quantity("max_sensitivity", "lower", "share of the map's length", "a map that does not move gets 0"),
        Quantity("mean_sensitivity", "lower", "share of the map's length", "a map that does not move gets 0"),
    )
    needs: ClassVar[tuple[Need, ...]] = ("made",)
    lowered: ClassVar[str] = "noisy_copies"
    place: ClassVar[int] = 80
    noisy_copies: int = 3
    radius: float = 5.1

    def __post_init__(self) -> None:
        at_least_one("noisy_copies", self.noisy_copies)
        positive("radius", self.radius)

    def queries(self, method: Method) -> int:
        """Return how many rows are asked with a method: a map of the photo and of each copy."""
        return (self.noisy_copies + 1) * method.queries

    def plan(self, x: Image, domain: Domain, method: Method, seed: int) -> Plan[Sensitivity]:
        """Ask all that `method` asks of x (H, W, 3) and of its noisy copies, in lock-step; return how far maps move."""
        photos = [domain.realise(x), *(self.noisy(x, domain, copy, seed) for copy in range(self.noisy_copies))]
        maps = yield from together([method.plan(photo, domain, seed) for photo in photos])
        return self._compared(maps)

    def noisy(self, x: Image, domain: Domain, copy: int, seed: int) -> Image:
        """Return noisy copy `copy` of x, as `domain` sends it."""
        noise = row_generator((seed, 0), copy, self.noisy_copies).uniform(-self.radius, self.radius, x.shape)
        return domain.realise(x + noise)

    def question(self, given: Given, /) -> Question:
        """Return the question of a map of the photo and of each copy."""
        made = given.making
        return Question(
            name=f"Again(metric=MaxSensitivity(copies={self.noisy_copies}, radius={self.radius}), made={made!r})",
            queries=self.queries(made.method),
            plan=lambda case: self.plan(case.x, case.domain, made.method, made.seed),
        )

    def measurements(self, case: Case, answer: Sensitivity, /) -> list[Measurement]:
        """Return how far maps move, at most and in the mean."""
        method = case.given.making.method
        return [
            quantity.measured(
                value, steps=answer.copies, queries=self.queries(method), unanswered=answer.unanswered,
                used=f"radius {answer.radius:g} grey levels; {method.queries} queries a map",
            )
            for quantity, value in zip(self.quantities, (answer.largest, answer.mean), strict=True)
        ]  # fmt: skip

    def _compared(self, maps: Sequence[SaliencyMap]) -> Sensitivity:
        whole = _length(maps[0].values)
        moved = [_length(m.values - maps[0].values) / whole if whole > 0 else math.nan for m in maps[1:]]
        partial, unanswered = any(m.partial for m in maps), sum(m.rows - m.answered for m in maps)
        return Sensitivity(max(moved), float(np.mean(moved)), self.radius, self.noisy_copies, partial, unanswered)


def _length(values: NDArray[Any]) -> float:
    """Return the Euclidean length of a map."""
    return math.sqrt(float(np.einsum("ij,ij->", values, values)))


METRIC = MaxSensitivity
