"""MI-FGSM on likelihood-ratio gradients of a hard label (Zhang et al.), with calibrated noise and a shrinking ball.

Zhang et al., "Forward Learning for Gradient-based Black-box Saliency Map Generation", section 4.3, put the gradient
that the likelihood-ratio method estimates from n noisy copies (eq. 2) in the place of backpropagation in MI-FGSM (Dong
et al., "Boosting Adversarial Attacks with Momentum", algorithm 1), T steps within a ball of radius ε:

    g ← μ g + ĝ / ‖ĝ‖₁             eq. 6 of Dong et al.
    x ← clip_ε(x - α sign(g))      eq. 7; minus, since the value is *higher* the nearer the label is to the clean one

`lr_mifgsm_paper` is that, as published. A label is constant around most photos, so there ĝ is zero, or, with scores
that are not centred, a random sign pattern. What is done here instead, each switchable by an option:

1. What is descended is f = (1 - w) 1[label unchanged] + w value (`value_weight` w): the first says where the boundary
   is, the second, WordNet's similarity, breaks ties between wrong labels. Alone it shuns a sibling class, which counts.
2. Scores are centred (`centred`), and the noise is smooth (`noise`), which networks react to more.
3. σ is calibrated at the clean image by at most 100 rows until 20 to 50 % of the copies change their label (`sigma`).
4. The ball shrinks (`ball`): once anything asked is adversarial, the nearest of that is the radius, and each step goes
   from the clean image all the way along -g, along the best direction so far, and along their mean, to where the label
   changes. There the next gradient is estimated: half of the copies change their label however small the noise. So σ is
   at most a quarter of the radius, and halved where the boundary is so curved that nearly all copies do, or none. The
   boundary is nearly flat at that scale, so μ = 1 averages the estimates of all steps.
5. The ball is Euclidean (`norm`), as RMSE measures it; a sign step wastes a fifth of its length there.

All rows that are asked count, and the nearest adversarial among them is the result, be it a probe.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from bbquery.attacks import Norm
from bbquery.attacks._rays import queries_for, search
from bbquery.attacks._record import GREY_LEVELS, Record, changed, rms
from bbquery.errors import UnknownName, UsageError
from bbquery.estimators.statistics.moments import Moments
from bbquery.perturb.checks import at_least_one, positive
from bbquery.perturb.lowfrequency import SmoothCopies
from bbquery.perturb.noise import GaussianCopies

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.attacks import AttackResult
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image, Scores

Noise = Literal["smooth", "full"]
Ball = Literal["shrinking", "fixed"]

CALIBRATION_ROUNDS, CALIBRATION_COPIES = 8, 12
LOW, HIGH = 0.2, 0.5  # the share of copies that change their label: enough of either kind to tell a direction
SIGMA_FROM, SIGMA_TO = 1.0, 256.0  # grey levels: below, rounding eats the noise; above, it hides the photo
SIGMA_FACTOR = 1.4  # by which σ follows the share from step to step
SIGMA_OF_RADIUS = 0.25  # the most noise at the boundary
LEAST_COPIES = 8
ENOUGH_COPIES = 50  # for a step to be worth its rays
MOST_STEPS = 20
RAYS = 3


@dataclass(frozen=True, kw_only=True)
class LrMifgsm:
    """Look for the nearest image whose label changes, by MI-FGSM on likelihood-ratio gradients.

    Args:
        queries: images to ask at most; at least 1.
        rmse: ε, the radius of the (first) ball; above 0.
        steps: T, how often the photo is moved; none takes 20, or fewer where each would have fewer
            than 50 copies; at least 1.
        copies: n, noisy copies in each step; none spreads what the queries leave; at least 1.
        momentum: μ, the share of the last direction that is kept; at least 0.
        alpha: α, the length of a step, as RMSE; none takes ε / T; above 0.
        sigma: standard deviation of the noise, in grey levels; none calibrates it; above 0.
        noise: smooth, or full, each pixel by itself.
        cells: cells along each side of the smooth noise's grid; at least 1.
        centred: whether scores lose the mean of the other copies.
        value_weight: weight of the score's value; the rest is that of whether the label stands; 0 to 1.
        ball: shrinking, to the nearest image so far, or fixed.
        norm: distance that the ball has: l2 (RMSE) or linf (the largest change).

    Raises:
        UsageError: a number out of its range, or too few queries for the steps.
        UnknownName: no such noise, ball or norm.
    """

    queries: int = 10_000
    rmse: float = 0.1
    steps: int | None = None
    copies: int | None = None
    momentum: float = 1.0
    alpha: float | None = None
    sigma: float | None = None
    noise: Noise = "smooth"
    cells: int = 56
    centred: bool = True
    value_weight: float = 0.2
    ball: Ball = "shrinking"
    norm: Norm = "l2"

    def __post_init__(self) -> None:
        for name in ("queries", "steps", "copies", "cells"):
            if getattr(self, name) is not None:
                at_least_one(name, getattr(self, name))
        for name in ("rmse", "alpha", "sigma"):
            if getattr(self, name) is not None:
                positive(name, getattr(self, name))
        for name, choices in (("noise", Noise), ("ball", Ball), ("norm", Norm)):
            if getattr(self, name) not in get_args(choices):
                raise UnknownName(name, getattr(self, name), get_args(choices))
        if not 0 <= self.value_weight <= 1:
            raise UsageError(f"value_weight must be from 0 to 1, not {self.value_weight}")
        if not 0 <= self.momentum < np.inf:
            raise UsageError(f"momentum must be a finite number of at least 0, not {self.momentum}")
        least = self._calibration + self.turns * (self._per_move + (self.copies or LEAST_COPIES))
        if self.queries < least:
            raise UsageError(
                f"steps={self.turns} needs at least {least} queries, and {self.queries} are given: "
                "allow more, or lower steps or copies"
            )

    @property
    def turns(self) -> int:
        """Number of steps T."""
        if self.steps is not None:
            return self.steps
        each = self._per_move + (self.copies or ENOUGH_COPIES)
        return min(max((self.queries - self._calibration) // each, 1), MOST_STEPS)

    @property
    def _calibration(self) -> int:
        return 0 if self.sigma is not None else CALIBRATION_ROUNDS * CALIBRATION_COPIES

    @property
    def _per_move(self) -> int:
        return 1 if self.ball == "fixed" else queries_for(RAYS) + 1

    def plan(self, x: Image, domain: Domain, seed: int, start: Image | None = None) -> Plan[AttackResult]:
        """Ask for copies of x (H, W, 3) and return the nearest adversarial one; see `bbquery.attacks.Attack`."""
        record = Record(x, domain, self.queries)
        return record.run(self._search(_Walk(self, seed, record), record, start))

    def _search(self, walk: _Walk, record: Record, start: Image | None) -> Plan[None]:
        if start is not None and (yield from record.is_adversarial(start)):
            walk.at = record.pixels(start).astype(np.float64)
        sigma = (yield from walk.calibrated()) if self.sigma is None else self.sigma
        for step in range(self.turns):
            left = self.turns - step
            rows = self.copies or (self.queries - record.queries) // left - self._per_move
            scores = yield from walk.learn(step, sigma, rows)
            yield from walk.move()
            record.stepped(sigma, scores)
            sigma = self._next_sigma(sigma, scores, record)

    def _next_sigma(self, sigma: float, scores: Scores, record: Record) -> float:
        """Return the noise for the next step: by the radius at the boundary, else after the share that changed."""
        if self.sigma is not None:
            return sigma
        share = changed(scores)
        if self.ball == "shrinking" and record.best is not None:
            balanced = LOW <= share <= 1 - LOW
            most = SIGMA_OF_RADIUS * GREY_LEVELS * record.rmse
            return max(min(sigma * SIGMA_FACTOR if balanced else sigma / 2, most), SIGMA_FROM)
        if share < LOW:
            return min(sigma * SIGMA_FACTOR, SIGMA_TO)
        return max(sigma / SIGMA_FACTOR, SIGMA_FROM) if share > HIGH else sigma


class _Walk:
    """State of an attack: its position `at`, in grey levels before rounding, and the accumulated gradient g."""

    def __init__(self, attack: LrMifgsm, seed: int, record: Record) -> None:
        self._attack, self._domain, self._seed, self._record = attack, record.domain, seed, record
        self._x = record.x
        self._g = np.zeros(self._x.shape)
        self.at = self._x

    def calibrated(self) -> Plan[float]:
        """Find the noise at which 20 to 50 % of the clean image's copies change their label, by bisection of log σ."""
        low, high = SIGMA_FROM, SIGMA_TO
        for turn in range(CALIBRATION_ROUNDS):
            sigma = math.sqrt(low * high)
            share = changed((yield from self._record.ask(self._copies(sigma, CALIBRATION_COPIES, (0, turn)))))
            if LOW <= share <= HIGH:
                break
            low, high = (low, sigma) if share > HIGH else (sigma, high)
        return sigma

    def learn(self, step: int, sigma: float, rows: int) -> Plan[Scores]:
        """Estimate the gradient where the attack stands, and add it to g."""
        copies = self._copies(sigma, rows, (1, step))
        scores = yield from self._record.ask(copies)
        moments = Moments(self._x.shape)
        moments.add(copies, self._descended(scores))
        estimate = moments.covariance() if self._attack.centred else moments.product()  # eq. 2, but for 1 / σ²
        length = float(np.abs(estimate).mean())
        if length > 0:
            self._g = self._attack.momentum * self._g + estimate / length  # eq. 6 of Dong et al.
        return scores

    def move(self) -> Plan[None]:
        """Follow g by one step."""
        if self._attack.ball == "shrinking":
            yield from self._shrink()
        if self._attack.ball == "fixed" or self._record.best is None:
            yield from self._step()

    def _step(self) -> Plan[None]:
        """Take one step within the ball (eq. 7 of Dong et al.)."""
        attack = self._attack
        alpha = attack.rmse / attack.turns if attack.alpha is None else attack.alpha
        moved = self.at - self._x - GREY_LEVELS * alpha * self._direction()
        change = clipped(moved, GREY_LEVELS * attack.rmse, attack.norm)
        self.at = self._x + change
        if attack.norm == "linf" and self._domain.dtype == "uint8":
            change = np.trunc(change)  # rounding away from the clean image would leave the ball
        yield from self._record.ask(self._domain.realise(self._x + change)[None])

    def _shrink(self) -> Plan[None]:
        """Search along rays for something nearer than the best so far, and stand at whatever then is the best."""
        record, downhill = self._record, -self._direction()
        rays = [downhill] if downhill.any() else []
        if record.best is not None and record.rmse > 0:  # an oracle that varies may deny even the clean image
            outwards = record.best - self._x
            rays += [outwards, outwards / rms(outwards) + downhill]
        radius = self._attack.rmse if record.best is None else record.rmse
        if rays and radius > 0:
            yield from search(record, self._domain, self._x, rays, GREY_LEVELS * radius)
        if record.best is not None:
            self.at = record.best.astype(np.float64)

    def _direction(self) -> NDArray[np.float64]:
        """Return the way that g points, of length 1 RMS: its signs, or g itself; 0 where g is."""
        if not self._g.any():
            return self._g
        way: NDArray[np.float64] = np.sign(self._g) if self._attack.norm == "linf" else self._g / rms(self._g)
        return way

    def _descended(self, scores: Scores) -> NDArray[np.float64]:
        """Return f of each row, NaN without a decision."""
        weight = self._attack.value_weight
        f: NDArray[np.float64] = (1 - weight) * scores.met + weight * scores.value
        return np.where(scores.undecided, np.nan, f)

    def _copies(self, sigma: float, rows: int, step: tuple[int, int]) -> SmoothCopies | GaussianCopies:
        key = (self._seed, *step)
        if self._attack.noise == "full":
            return GaussianCopies(self.at, sigma, self._domain, rows=rows, key=key)
        return SmoothCopies(self.at, sigma, self._domain, rows=rows, key=key, cells=self._attack.cells)


def clipped(change: NDArray[np.float64], radius: float, norm: Norm) -> NDArray[np.float64]:
    """Return the nearest point of the ball around 0 whose radius, in RMS or as the largest value, is given."""
    if norm == "linf":
        return np.clip(change, -radius, radius)
    return change * min(1.0, radius / max(rms(change), 1e-300))


ATTACK = LrMifgsm
