"""Boundary attack: a random walk along the boundary, nearer and nearer (Brendel et al., 2018).

Brendel, Rauber and Bethge, "Decision-Based Adversarial Attacks: Reliable Attacks Against Black-Box Machine Learning
Models", ICLR 2018, in the form of the authors' library: from an adversarial image at distance D of the clean one,

1. an orthogonal step: Gaussian noise at right angles to the way to the clean image, of length δ D, and back onto the
   sphere of radius D around it;
2. a source step of ε D towards the clean image. The result is asked, and is the next image if it is adversarial.
3. In every tenth step the point on the sphere is asked as well. Once 100 of these are known, both lengths grow by half
   where more than 50 % were adversarial, and shrink so where less than 20 % were; once 30 results are known, ε alone
   does where more than 25 %, less than 10 % were.

As published, δ = ε = 1 %: soon fainter than a grey level. Aware of rounding (`eight_bit`), the orthogonal step has at
least one grey level, the walk stands on pixels that were asked, and what rounding makes no nearer is not taken.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bbquery.attacks._boundary import is_aware, probe
from bbquery.attacks._record import GREY_LEVELS, Record, rms
from bbquery.attacks._start import begin
from bbquery.perturb.added import precision
from bbquery.perturb.checks import at_least_one, positive

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.attacks import AttackResult
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image

STEPS = 0xB0DA
"""Beside the seed, what the steps are drawn from."""

EVERY = 10  # steps from one that the lengths are adapted by to the next
CONVERGED = 1e-7  # ε below which nothing nearer is expected


@dataclass(frozen=True, kw_only=True)
class Boundary:
    """Look for the nearest image, by RMSE, whose label changes, by a random walk along the boundary.

    Args:
        queries: images to ask at most; at least 1.
        orthogonal: δ at first: length of a step along the sphere, over the distance; above 0.
        source: ε at first: length of a step towards the photo, over the distance; above 0.
        adaptation: factor by which both grow and shrink; above 0.
        eight_bit: whether rounding to whole grey levels is reckoned with; false is as published.

    Raises:
        UsageError: a number out of its range.
    """

    queries: int = 10_000
    orthogonal: float = 0.01
    source: float = 0.01
    adaptation: float = 1.5
    eight_bit: bool = True

    def __post_init__(self) -> None:
        at_least_one("queries", self.queries)
        for name in ("orthogonal", "source", "adaptation"):
            positive(name, getattr(self, name))

    def plan(self, x: Image, domain: Domain, seed: int, start: Image | None = None) -> Plan[AttackResult]:
        """Ask for copies of x (H, W, 3) and return the nearest adversarial one; see `bbquery.attacks.Attack`."""
        record = Record(x, domain, self.queries)
        return record.run(self._search(record, seed, start))

    def _search(self, record: Record, seed: int, start: Image | None) -> Plan[None]:
        aware = is_aware(record, eight_bit=self.eight_bit)
        rng, dtype = np.random.default_rng((STEPS, seed)), precision(record.domain)
        x: NDArray[np.floating] = record.x.astype(dtype)
        lengths = _Lengths(self.orthogonal, self.source, self.adaptation)
        at: NDArray[np.floating] = (yield from begin(record, seed, start)).astype(dtype)
        distance = rms(at - x)
        for step in count(1):
            if distance == 0 or lengths.source < CONVERGED:
                return
            orthogonal = probe(lengths.orthogonal * distance, eight_bit=aware)
            noise = rng.standard_normal(x.shape, dtype=dtype)
            proposal = _proposed(x, at, noise, orthogonal, lengths.source * distance)
            checked = step % EVERY == 0
            images = np.stack([record.pixels(each) for each in (proposal if checked else proposal[:1])])
            adversarial = yield from record.adversarial(images)
            if checked:
                lengths.learn(sphere=bool(adversarial[1]), candidate=bool(adversarial[0]))
            if adversarial[0]:
                moved = images[0].astype(dtype) if aware else proposal.candidate
                reached = rms(moved - x)
                if reached < distance:
                    at, distance = moved, reached


class _Proposal(NamedTuple):
    """Where a step leads, (H, W, 3): both parts of it, and the orthogonal one alone."""

    candidate: NDArray[np.floating]
    sphere: NDArray[np.floating]


def _proposed(
    x: NDArray[np.floating], at: NDArray[np.floating], noise: NDArray[np.floating], orthogonal: float, source: float
) -> _Proposal:
    """Propose a step from `at`, whose parts are of these lengths, in grey levels RMS. noise: is written over."""
    outwards, root = at - x, math.sqrt(x.size)
    length = float(np.linalg.norm(outwards))
    noise -= outwards * (float(np.vdot(noise, outwards)) / length**2)
    noise *= orthogonal * root / float(np.linalg.norm(noise))
    noise += outwards
    noise /= math.hypot(1, orthogonal * root / length)
    noise += x
    sphere = np.clip(noise, 0, GREY_LEVELS, out=noise)
    np.subtract(sphere, x, out=outwards)
    reached = float(np.linalg.norm(outwards))
    outwards *= min(length - source * root, reached) / reached
    outwards += x  # between two photos, so it is one
    return _Proposal(outwards, sphere)


@dataclass
class _Lengths:
    """Lengths of steps over the distance, as they are adapted to how often they stay adversarial."""

    orthogonal: float
    source: float
    factor: float
    _spheres: deque[bool] = field(default_factory=lambda: deque(maxlen=100))
    _candidates: deque[bool] = field(default_factory=lambda: deque(maxlen=30))

    def learn(self, *, sphere: bool, candidate: bool) -> None:
        """Take in a step: whether its point on the sphere, and its candidate, were adversarial."""
        self._spheres.append(sphere)
        self._candidates.append(candidate)
        by = self._by(self._spheres, 0.2, 0.5)
        self.orthogonal *= by
        self.source *= by * self._by(self._candidates, 0.1, 0.25)

    def _by(self, seen: deque[bool], low: float, high: float) -> float:
        """Return the factor that a share of adversarial points asks for, once it is known; what was seen is used up."""
        share = sum(seen) / len(seen)
        if len(seen) < (seen.maxlen or 0) or low <= share <= high:
            return 1.0
        seen.clear()
        return self.factor if share > high else 1 / self.factor


ATTACK = Boundary
