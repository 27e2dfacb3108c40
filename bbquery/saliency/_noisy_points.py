"""Gradients at noisy copies of a photo: the part that SmoothGrad and VarGrad share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from bbquery.estimators import GradientEstimator  # noqa: TC001 - load reads annotations
from bbquery.estimators.lr import LikelihoodRatio
from bbquery.perturb.checks import at_least_one, positive
from bbquery.perturb.noise import GaussianCopies
from bbquery.saliency import Method
from bbquery.saliency._points import Spread, advice, check_split, gradients, shares

if TYPE_CHECKING:
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image


class Found(NamedTuple):
    """The spread of the gradients over the points, how many rows were answered, and what to say of so few."""

    spread: Spread
    answered: int
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class NoisyPoints(Method):
    """The options of a method over gradients at noisy copies, and its questions; see `SmoothGrad` for each option.

    Raises:
        UsageError: queries, points or rows below 1, sigma not above 0, or an estimator without the option queries.
    """

    queries: int = 1000
    estimator: GradientEstimator = field(default_factory=LikelihoodRatio)
    sigma: float = 38.0
    points: int = 50
    rows: int = 20

    def __post_init__(self) -> None:
        check_split(self.queries, self.rows, self.estimator)
        positive("sigma", self.sigma)
        at_least_one("points", self.points)

    @property
    def adaptive(self) -> bool:
        """Whether what it asks depends on answers."""
        return self.estimator.adaptive

    def found(self, x: Image, domain: Domain, seed: int) -> Plan[Found]:
        """Ask around noisy copies of x (H, W, 3); return what the gradients there are."""
        rows = shares(self.queries, self.points, self.rows)
        points = GaussianCopies(x, self.sigma, domain, rows=len(rows), key=(seed, 0))
        spread = Spread(x.shape)
        answered = yield from gradients(self.estimator, points, rows, domain=domain, seed=seed, take=spread.add)
        return Found(spread, answered, advice(rows, domain))
