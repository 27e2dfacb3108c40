"""Finite differences along random directions (random gradient-free, RGF) or along coordinates.

forward   (f(x + z) - f(x)) z / σ², over n - 1 directions and one query of x itself
central   (f(x + z) - f(x - z)) z / 2σ², over n / 2 directions; free of the score's curvature

Nesterov and Spokoiny, "Random Gradient-Free Minimization of Convex Functions", eq. 22 and 26. Directions are uniform on
a "sphere" or "gaussian", which differ little in many dimensions: for a linear score of slope a over m directions in d
dimensions the variance of value i is (|a|² + aᵢ²) / m for Gaussian ones, and on a sphere
(d / (d + 2) (|a|² + 2aᵢ²) - aᵢ²) / m.

On uint8, clipping gives directions a mean, which forward differences would take for a slope. There they are taken to
the mean of the other rows instead, and the photo's own score tells nothing; central ones are symmetric: no change. On
a sphere the values left by clipping still depend on each other, as their squares have a fixed sum: forward slopes of an
all black or white photo come out a fifth too small, where gaussian directions have no such bias.

Along "coordinates" one value is moved at a time, in random order, and the estimate is the gradient's projection on the
values asked: exact there for a linear score, 0 elsewhere, and so of use only for small images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, get_args

import numpy as np

from bbquery.errors import UnknownName
from bbquery.estimators._gathering import Pairs, gather, gradient, mirrored_batches
from bbquery.estimators.statistics.differences import ForwardDifferences
from bbquery.estimators.statistics.moments import ratio
from bbquery.estimators.statistics.pairs import PairedMoments
from bbquery.perturb.added import AddedCopies, precision
from bbquery.perturb.checks import at_least_one, positive
from bbquery.perturb.directions import coordinates, on_sphere
from bbquery.perturb.noise import noise
from bbquery.types import batches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bbquery.estimators import Gradient
    from bbquery.perturb.added import Change
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image

Directions: TypeAlias = Literal["sphere", "gaussian", "coordinates"]
Scheme: TypeAlias = Literal["forward", "central"]


@dataclass(frozen=True, kw_only=True)
class FiniteDifferences:
    """Estimate the gradient of a score at a photo from the score's change along `queries` directions or half as many.

    Args:
        queries: images to ask; at least 1.
        sigma: how far a copy goes, in grey levels of 0 to 255: the root mean square of its change, and along
            coordinates the change of the one value; above 0.
        directions: along which the score's change is asked.
        scheme: central, or forward from the photo, which is asked first.
        batch: images to ask at once; central ones in whole pairs; at least 1.

    Raises:
        UsageError: queries or batch below 1, or sigma not above 0.
        UnknownName: no such directions or scheme.
    """

    adaptive: ClassVar[bool] = False
    queries: int = 1000
    sigma: float = 8.0
    directions: Directions = "sphere"
    scheme: Scheme = "central"
    batch: int = 256

    def __post_init__(self) -> None:
        at_least_one("queries", self.queries)
        positive("sigma", self.sigma)
        if self.directions not in get_args(Directions):
            raise UnknownName("directions", self.directions, get_args(Directions))
        if self.scheme not in get_args(Scheme):
            raise UnknownName("scheme", self.scheme, get_args(Scheme))
        at_least_one("batch", self.batch)

    def plan(self, x: Image, domain: Domain, seed: int) -> Plan[Gradient]:
        """Ask for changed copies of x (H, W, 3); return the gradient, same shape, in score per grey level."""
        central = self.scheme == "central"
        moments = PairedMoments(x.shape) if central else ForwardDifferences(x.shape)
        copies = self._pairs(x, domain, seed) if central else self._forward(x, domain, seed)
        yield from gather(copies, moments.add)
        return gradient(self._slope(moments, domain), self.queries, moments)

    def _slope(self, moments: PairedMoments | ForwardDifferences, domain: Domain) -> NDArray[np.float64]:
        if domain.dtype == "float64" and self.directions != "coordinates":
            return moments.weighted() / self.sigma**2
        if isinstance(moments, PairedMoments):
            return moments.slope()
        if self.directions == "coordinates":
            return ratio(moments.weighted(), moments.spread())
        return ratio(moments.moments.covariance(), moments.moments.variance())

    def _forward(self, x: Image, domain: Domain, seed: int) -> Iterator[AddedCopies]:
        for step, rows in enumerate(batches(self.queries, self.batch)):
            first = step * self.batch
            ahead = self._change(x, domain, rows=rows, first=first - 1, key=(seed, step))
            yield AddedCopies(x, domain, ahead if first else _photo_first(ahead, x, domain), rows=rows)

    def _pairs(self, x: Image, domain: Domain, seed: int) -> Iterator[AddedCopies]:
        def ahead(pairs: Pairs) -> Change:
            return self._change(x, domain, rows=pairs.rows, first=pairs.first, key=(seed, pairs.step))

        return mirrored_batches(x, domain, ahead, queries=self.queries, batch=self.batch)

    def _change(self, x: Image, domain: Domain, *, rows: int, first: int, key: tuple[int, int]) -> Change:
        if self.directions == "gaussian":
            return noise(x, "gaussian", self.sigma, domain, rows=rows, key=key)
        if self.directions == "sphere":
            return on_sphere(x.shape, self.sigma, precision(domain), rows=rows, key=key)
        return coordinates(x, self.sigma, precision(domain), first=first, seed=key[0])


def _photo_first(change: Change, x: Image, domain: Domain) -> Change:
    """Return the change whose row 0 is none at all, and whose others are those of `change`."""

    def after(row: int) -> NDArray[np.floating[Any]]:
        return change(row) if row else np.zeros(x.shape, dtype=precision(domain))

    return after


METHOD = FiniteDifferences
