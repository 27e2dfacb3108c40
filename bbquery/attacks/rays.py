"""RayS: the smallest L∞ change by searching among the corners of a cube, block by block.

Chen and Gu, "RayS: A Ray Searching Method for Hard-label Adversarial Attack", 2020. Every direction is a vector of
signs. Blocks of it are flipped, all values first, then halves, quarters and so on, down to single values (algorithm 3):
a flip is kept where the label changes nearer along the new direction, which a query at the present distance tells
(fast check), and bisection then measures. Values are in the order channel, row, column, as in the authors' code. An
image that is given begins with the signs of its change.

Nothing in it is random. But where the label changes for no flip down to eighths, flips of one smaller block at a time
would never meet it either: then random signs are asked until one is adversarial, which the authors' code does not do.

On whole grey levels distances are whole. With `eight_bit` a flip is checked at one level less, as only that is nearer,
and bisection ends at neighbouring levels.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bbquery.attacks._boundary import is_aware
from bbquery.attacks._record import GREY_LEVELS, Record
from bbquery.perturb.checks import at_least_one

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bbquery.attacks import AttackResult
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image

SEED = 0x5A75
COARSE = 15  # blocks: the whole, halves, quarters and eighths
WITHIN = 1e-3  # L2 of pixels 0 to 1, as the authors' code bisects


@dataclass(frozen=True, kw_only=True)
class RayS:
    """Look for the image with the smallest largest change (L∞) whose label changes, by flips of signs.

    Args:
        queries: images to ask at most; at least 1.
        eight_bit: whether whole grey levels are searched; false is as published.

    Raises:
        UsageError: queries below 1.
    """

    queries: int = 10_000
    eight_bit: bool = True

    def __post_init__(self) -> None:
        at_least_one("queries", self.queries)

    def plan(
        self,
        x: Image,
        domain: Domain,
        seed: int,
        start: Image | None = None,
    ) -> Plan[AttackResult]:
        """Ask for changed copies of x (H, W, 3); return the nearest adversarial one: see `bbquery.attacks.Attack`."""
        record = Record(x, domain, self.queries, "linf")
        return record.run(self._search(record, seed, start))

    def _search(self, record: Record, seed: int, start: Image | None) -> Plan[None]:
        cube = _Cube(record, whole=is_aware(record, eight_bit=self.eight_bit))
        if start is not None and (yield from record.is_adversarial(start)):
            cube.signs = _in_order(np.where(record.pixels(start) < record.x, -1, 1).astype(np.int8))
            yield from cube.flip(slice(0, 0))
        rng = np.random.default_rng((SEED, seed))
        for tried, block in enumerate(blocks(cube.signs.size)):
            while tried >= COARSE and cube.distance == math.inf:
                cube.signs = rng.choice(np.array([-1, 1], np.int8), cube.signs.size)
                yield from cube.flip(slice(0, 0))
            if cube.distance <= cube.finest:
                return
            yield from cube.flip(block)


class _Cube:
    """State of an attack: the signs so far, in the order of the blocks, and how near the label changes along them.

    finest: how closely distances are measured, in grey levels.
    """

    def __init__(self, record: Record, *, whole: bool) -> None:
        self._record, self._whole = record, whole
        self.signs = np.ones(record.x.size, np.int8)
        self.distance = math.inf
        self.finest = 1.0 if whole else WITHIN * GREY_LEVELS / math.sqrt(record.x.size)

    def flip(self, block: slice) -> Plan[None]:
        """Flip a block of signs if that is nearer."""
        signs = self.signs.copy()
        signs[block] *= -1
        direction = _as_image(signs, self._record.x.shape)
        to_beat = min(self.distance - self.finest if self._whole else self.distance, GREY_LEVELS)

        def is_adversarial(distance: float) -> Plan[bool]:
            return (yield from self._record.is_adversarial(self._record.x + distance * direction))

        if not (yield from is_adversarial(to_beat)):
            return
        low, high = 0.0, to_beat
        while high - low > self.finest:
            middle = (low + high) // 2 if self._whole else (low + high) / 2
            low, high = (low, middle) if (yield from is_adversarial(middle)) else (middle, high)
        if high < self.distance:
            self.signs, self.distance = signs, high


def blocks(values: int) -> Iterator[slice]:
    """Yield the blocks of so many values: all, halves, quarters and so on; single values again and again at last."""
    for level in itertools.count():
        size = max(math.ceil(values / 2**level), 1)
        for first in range(0, values, size):
            yield slice(first, first + size)


def _in_order(values: NDArray[np.int8]) -> NDArray[np.int8]:
    """Return an image's values (H, W, 3) by channel, row and column."""
    return np.ascontiguousarray(values.transpose(2, 0, 1)).reshape(-1)


def _as_image(values: NDArray[np.int8], shape: tuple[int, ...]) -> NDArray[np.int8]:
    """Return values in that order as an image."""
    return values.reshape(shape[2], *shape[:2]).transpose(1, 2, 0)


ATTACK = RayS
