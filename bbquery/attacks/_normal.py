"""The boundary's normal at a point, from the signs of probes around it (Chen et al., "HopSkipJumpAttack", 2020, eq. 9).

Small steps u from a point at the boundary turn out adversarial or not, φ = 1 or -1. Where the boundary is flat at their
scale, the mean of φ u points along its normal, to the adversarial side. If more probes fall on one side than on the
other, the mean of u itself, which is chance, comes in; taking φ - mean(φ) for φ removes it (their eq. 16).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from bbquery.attacks._record import GREY_LEVELS, rms
from bbquery.perturb.rendering import as_sent, scratch
from bbquery.plan import concatenate
from bbquery.types import Decision, Scores, batches

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.attacks._record import Record
    from bbquery.plan import Plan
    from bbquery.types import Image

CHUNK = 64
"""Probes that are rendered and asked at once."""

Draw: TypeAlias = "Callable[[int], NDArray[np.float32]]"
"""From a number of probes, at most CHUNK, to their directions, (n, H, W, 3) of any length.

The array is written over, and not used any more when the next is drawn.
"""


@dataclass(frozen=True, eq=False)
class Probes:
    """What probes around a point found. scores: of all of them. signed, drawn: sums of φ u and of u, (H, W, 3).

    A probe without a decision is in neither sum.
    """

    scores: Scores
    signed: NDArray[np.float64]
    drawn: NDArray[np.float64]

    def mean(self) -> NDArray[np.float64]:
        """Return the mean of φ u; zeros where nothing was decided."""
        return self.signed / max(self._decided, 1)

    def centred(self) -> NDArray[np.float64]:
        """Return the mean of (φ - mean(φ)) u, but of φ u where all are on one side; zeros where nothing was decided."""
        adversarial = int(np.equal(self.scores.decision, Decision.NOT_MET).sum())
        if adversarial in {0, self._decided}:
            return self.mean()
        return (self.signed - (2 * adversarial / self._decided - 1) * self.drawn) / self._decided

    @property
    def _decided(self) -> int:
        return int((~self.scores.undecided).sum())


def probed(
    record: Record, at: NDArray[np.float64], draw: Draw, size: float, rows: int, *, realised: bool
) -> Plan[Probes]:
    """Ask for `rows` probes around a point.

    at: the point (H, W, 3), in grey levels. draw: their directions, which are brought to one length. size: of a probe,
    in grey levels RMS. realised: whether u is what was sent, after rounding, or what was meant; clipped in both cases.
    Directions in every value are better taken as realised. In few dimensions, what was meant holds no rounding
    error, which would lie in all others.
    """
    signed, drawn = np.zeros((2, *at.shape))
    answers = []
    for count in batches(rows, CHUNK):
        directions = draw(count)
        images = np.stack([_probe(record, at, direction, size, realised=realised) for direction in directions])
        scores = yield from record.ask(images)
        signs = np.where(scores.undecided, 0, np.where(scores.met, -1, 1)).astype(np.float32)
        signed += np.tensordot(signs, directions, 1)
        drawn += np.tensordot(np.abs(signs), directions, 1)
        answers.append(scores)
    return Probes(concatenate(answers), signed, drawn)


def unit(direction: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a direction with length 1 RMS; zeros where it has none."""
    length = rms(direction)
    return direction / length if length > 0 else direction


def _probe(
    record: Record, at: NDArray[np.float64], direction: NDArray[np.float32], size: float, *, realised: bool
) -> Image:
    """Render a probe, and make `direction` what it is, in units of `size`."""
    meant = scratch("probe", at.shape, np.float64)
    length = float(np.linalg.norm(direction)) / math.sqrt(direction.size)
    np.multiply(direction, size / max(length, 1e-30), out=meant)
    meant += at
    np.clip(meant, 0, GREY_LEVELS, out=meant)
    image = as_sent(meant if realised else meant.copy(), record.domain)  # which rounds what it is given
    meant -= at
    np.divide(meant, size, out=direction, casting="same_kind")
    return image
