"""Estimate the boundary's normal by the likelihood ratio of labels, around a balanced base.

For Gaussian z the gradient of E f(b + σz) is E f(b + σz) z / σ (Zhang et al., eq. 2). With f = 1 where the label
changes, it points along the boundary's normal, as far as the noise can express it. Two departures:

1. Answers are centred by the share that changed, which takes the mean of z out of the estimate.
2. The base b is on the way from the clean photo to the adversarial point, or beyond it, where half of the copies
   change. At the adversarial point itself nearly all do, or, where the boundary is curved, none: neither says anything.

With n answers and noise whose dimensions each hold a share s of the normal, the cosine between estimate and normal is
about sqrt(.45 n s): .034 against .039 expected, for n = 120 and s = 2.9e-5 (EfficientNet-Lite0, at a radius of 3 grey
levels, σ = 1). σ is a share of the radius. Too small, and rounding decides more answers than the noise does; too large,
and the boundary's curvature does: at that radius the answers' correlation with the normal is .6 to .8 at σ = 1, and .2
to .6 at 2.5.

Late, when the change is near the normal, two things matter that do not before. The boundary's distance under copies
spreads by 2 to 3 % only, so that of a base that slides by as much from batch to batch first all copies change and then
none; `Settling` ends that. And a copy's overlap with the change itself (.11 of it) decides more answers than the normal
does; `_textures.aside` takes it out. At a radius of 1.7 grey levels 200 copies then have a cosine of .048 with the
normal, and without either .018 (one point on EfficientNet-Lite0's boundary).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbquery.plan import concatenate
from bbquery.types import Decision

if TYPE_CHECKING:
    from collections.abc import Callable

    from bbquery.attacks._arc import Position
    from bbquery.attacks._textures import Texture
    from bbquery.plan import Plan

SIGMA = 0.4  # of the radius
BATCH = 10  # copies that are asked at once
SLIDE = 0.1  # by which the base's distance follows the share that changed, from batch to batch
LEAST_SLIDE = 0.01
ONWARD, TURNED = 1.3, 0.6  # of the slide, after a batch that says the same as the one before, and the opposite


class Balance:
    """Where half of the copies change, as a multiple of the radius; kept from one estimate to the next."""

    def __init__(self) -> None:
        self.factor = 1.0

    def follow(self, share: float) -> None:
        """Move towards the clean photo where more than half change, away from it where fewer do."""
        self.factor *= 1 - SLIDE * (share - 0.5)


class Settling(Balance):
    """A balance whose slides become smaller where it swings to and fro, and larger again where it lags behind."""

    def __init__(self) -> None:
        super().__init__()
        self._slide, self._side = SLIDE, 0.0

    def follow(self, share: float) -> None:
        """Move as `Balance` does, by a slide that fits how far the base is off."""
        side = float(np.sign(share - 0.5))
        if side * self._side > 0:
            self._slide = min(self._slide * ONWARD, SLIDE)
        elif side * self._side < 0:
            self._slide = max(self._slide * TURNED, LEAST_SLIDE)
        self._side = side or self._side
        self.factor *= 1 - self._slide * (share - 0.5)


def normal(position: Position, balance: Balance, draw: Callable[[], Texture], copies: int) -> Plan[Texture]:
    """Return the estimate, of any length; 0 where no answer differs. draw: gives noise of RMS 1, (H, W, 3)."""
    record = position.record
    everything: Texture = np.zeros(record.x.shape, np.float32)
    changing, decided, changed = everything.copy(), 0, 0
    sigma = SIGMA * position.radius
    answers = []
    for start in range(0, copies, BATCH):
        noises = [draw() for _ in range(min(BATCH, copies - start))]
        base = position.point(position.way, position.radius * balance.factor)
        scores = yield from record.ask(np.stack([record.pixels(base + sigma * noise) for noise in noises]))
        answers.append(scores)
        for noise, decision in zip(noises, scores.decision, strict=True):
            if decision == Decision.UNDECIDED:
                continue
            decided += 1
            everything += noise
            if decision == Decision.NOT_MET:
                changed += 1
                changing += noise
        known = int((~scores.undecided).sum())
        if known:
            balance.follow(int(np.equal(scores.decision, Decision.NOT_MET).sum()) / known)
    record.stepped(sigma, concatenate(answers))
    if not decided:
        return everything
    estimate: Texture = changing - np.float32(changed / decided) * everything
    return estimate
