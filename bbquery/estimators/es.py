"""Evolution strategies: mirrored Gaussian noise, weighed by score or by rank.

Salimans et al., "Evolution Strategies as a Scalable Alternative to Reinforcement Learning", 2.1 and 3.1.

By score it is the likelihood ratio in pairs: the gradient of the score smoothed by the noise. By rank, the scores of a
batch, a generation, are first replaced by their ranks, from -½ to ½, ties by their mean rank. That estimates not the
gradient of the score but of its expected rank among the copies: the same whatever increasing function is applied to the
score, and deaf to outliers. Its direction is the gradient's where the score is nearly linear over the noise; its size
says nothing of the score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias, get_args

import numpy as np

from bbquery.errors import UnknownName
from bbquery.estimators._gathering import Pairs, gather, gradient, mirrored_batches
from bbquery.estimators.statistics.pairs import PairedMoments
from bbquery.perturb.checks import at_least_one, positive
from bbquery.perturb.noise import noise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.estimators import Gradient
    from bbquery.perturb.added import AddedCopies, Change
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image

Fitness: TypeAlias = Literal["score", "rank"]


@dataclass(frozen=True, kw_only=True)
class EvolutionStrategy:
    """Estimate the gradient of a score at a photo from `queries` copies, in pairs of mirrored Gaussian noise.

    Args:
        queries: images to ask; at least 1.
        sigma: standard deviation of the noise, in grey levels of 0 to 255; above 0.
        fitness: what weighs the noise: score, or rank within a batch, with which the gradient and its mean
            score are in ranks of -½ to ½.
        batch: images to ask at once, rounded up to whole pairs; at least 1.

    Raises:
        UsageError: queries or batch below 1, or sigma not above 0.
        UnknownName: no such fitness.
    """

    adaptive: ClassVar[bool] = False
    queries: int = 1000
    sigma: float = 16.0
    fitness: Fitness = "score"
    batch: int = 256

    def __post_init__(self) -> None:
        at_least_one("queries", self.queries)
        positive("sigma", self.sigma)
        at_least_one("batch", self.batch)
        if self.fitness not in get_args(Fitness):
            raise UnknownName("fitness", self.fitness, get_args(Fitness))

    def plan(self, x: Image, domain: Domain, seed: int) -> Plan[Gradient]:
        """Ask for pairs of copies of x (H, W, 3); return the gradient, same shape, in fitness per grey level."""
        moments = PairedMoments(x.shape)

        def noisy(pairs: Pairs) -> Change:
            return noise(x, "gaussian", self.sigma, domain, rows=pairs.rows, key=(seed, pairs.step))

        def add(copies: AddedCopies, scores: NDArray[np.float64]) -> None:
            moments.add(copies, ranks(scores) if self.fitness == "rank" else scores)

        copies = mirrored_batches(x, domain, noisy, queries=self.queries, batch=self.batch)
        yield from gather(copies, add)
        exact = domain.dtype == "float64"
        values = moments.weighted() / self.sigma**2 if exact else moments.slope()
        return gradient(values, self.queries, moments)


def ranks(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ranks (n,) of scores (n,), from -½ for the lowest to ½; equal ones share theirs, NaN stays NaN."""
    shaped = np.full(len(scores), np.nan)
    answered = ~np.isnan(scores)
    _, place, count = np.unique(scores[answered], return_inverse=True, return_counts=True)
    rank = np.cumsum(count) - (count + 1) / 2  # the mean of the places that equal scores take
    shaped[answered] = (rank / max(count.sum() - 1, 1) - (0.5 if count.sum() > 1 else 0.0))[place]
    return shaped


METHOD = EvolutionStrategy
