"""bGEEX: smooth binary masks between the photo and its blur, along the path between the two.

Cai and Wunder, "On Gradient-like Explanation under a Black-box Setting". A pair asks for the photo where a mask b is 1
and its blur x° where it is 0, and the other way round, with x(α) = x° + α (x - x°) in the photo's place; the map is the
mean of f sign(b - ½), times |x - x°|. Positive is evidence for the target: the score is higher with the pixel sharp.

The published code halves the number of masks for the pairs but not that of the path's steps, so only α of 0 to ½ is
ever asked. Here all α of 0 to 1 are, spread evenly from the first pair on by steps of the golden ratio, with a random
start: stopped at any time, the path is covered. Within a pair all that α alone does to the score cancels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bbquery.estimators.statistics.pairs import PairedMoments
from bbquery.perturb.added import precision
from bbquery.perturb.baselines import AT_SIDE, blurred
from bbquery.perturb.checks import at_least_one, positive
from bbquery.perturb.remembered import Remembered
from bbquery.perturb.rendering import blended
from bbquery.perturb.smooth_binary import SmoothBinaryMasks
from bbquery.plan import Ask, Stopped
from bbquery.saliency import Method
from bbquery.types import SaliencyMap, batches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bbquery.perturb.rows import Key
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image

GOLDEN = (math.sqrt(5) - 1) / 2


class HalfSharpCopies:
    """`rows` copies of a photo of which a smooth binary mask shows one side and its complement, a row later, the other.

    hidden, shown: (H, W, 3) in grey levels. start: where on the path the first pair is; see `path`.
    """

    def __init__(
        self,
        shown: NDArray[np.float64],
        hidden: NDArray[np.float64],
        masks: SmoothBinaryMasks,
        domain: Domain,
        *,
        start: float,
        rows: int,
        key: Key,
    ) -> None:
        self._dtype = precision(domain)
        self._hidden: NDArray[Any] = hidden.astype(self._dtype)
        self._contrast: NDArray[Any] = (shown - hidden).astype(self._dtype)
        self._domain, self._start = domain, start
        self._rows = rows
        self._draw = lambda pair: masks.draw(key, pair, rows)
        self._known: Remembered[NDArray[np.bool_]] = Remembered(self._contrast[..., 0].size)

    def __len__(self) -> int:
        """Number of copies."""
        return self._rows

    def __getitem__(self, row: int, /) -> Image:
        """Render copy `row`, exactly as it will be sent: (H, W, 3) of the domain's dtype."""
        share: NDArray[Any] = self._visible(row) * self._dtype(path(self._start, row // 2))
        return blended(share, self._contrast, self._hidden, self._domain)

    def realised(self, row: int) -> NDArray[np.float32]:
        """Return the mask's sign (H, W): 1 where copy `row` shows the photo, -1 where its blur."""
        return self._visible(row) * np.float32(2) - np.float32(1)

    def _visible(self, row: int) -> NDArray[np.bool_]:
        if not 0 <= row < self._rows:
            raise IndexError(f"row {row} of {self._rows}")
        mask = self._known(row // 2, self._draw)
        return ~mask if row % 2 else mask


def path(start: float, pair: int) -> float:
    """Return α of a pair, 0 to 1: from `start` in steps of the golden ratio, which leave no gap for any number."""
    return (start + pair * GOLDEN) % 1.0


class SignEvidence:
    """The mean of score times sign of the mask, and how far it may be off by chance; each pixel its own."""

    def __init__(self, size: tuple[int, int]) -> None:
        self._moments = PairedMoments(size)
        self._pairs, self._squares = 0, 0.0

    def add(self, copies: HalfSharpCopies, scores: NDArray[np.float64]) -> None:
        """Add the rows that were answered."""
        self._moments.add(copies, scores)
        even = len(scores) // 2 * 2
        halves = (scores[0:even:2] - scores[1:even:2]) / 2
        halves = halves[~np.isnan(halves)]
        self._pairs += len(halves)
        self._squares += float(np.square(halves).sum())

    @property
    def answered(self) -> int:
        """Number of rows answered."""
        return self._moments.answered

    def mean(self) -> NDArray[np.float64]:
        """Return the mean (H, W)."""
        return self._moments.weighted()

    def standard_error(self) -> NDArray[np.float64] | None:
        """Return the standard error (H, W) of a mean over pairs; None below two of them."""
        if self._pairs < 2:
            return None
        spread = self._squares / self._pairs - np.square(self.mean())
        return np.sqrt(np.maximum(spread, 0.0) / (self._pairs - 1))


@dataclass(frozen=True, kw_only=True)
class BinaryGeex(Method):
    """Explain a score by how it prefers each part of the photo sharp to blurred, with `queries` copies in pairs.

    Args:
        queries: images to ask; at least 1.
        smooth: standard deviation that the masks are smoothed by, in pixels of a photo whose shorter side is
            224, and in proportion for others; above 0.
        blur: standard deviation of the photo's blur, in the same unit, and at least 1 pixel of the photo; above
            0.
        batch: images to ask at once, rounded up to whole pairs; at least 1.

    Raises:
        UsageError: queries or batch below 1, or smooth or blur not above 0.
    """

    adaptive: ClassVar[bool] = False
    queries: int = 1000
    smooth: float = 8.0
    blur: float = 5.0
    batch: int = 256

    def __post_init__(self) -> None:
        at_least_one("queries", self.queries)
        positive("smooth", self.smooth)
        positive("blur", self.blur)
        at_least_one("batch", self.batch)

    def plan(self, x: Image, domain: Domain, seed: int) -> Plan[SaliencyMap]:
        """Ask for half-sharp copies of x (H, W, 3); return the map, in score times contrast (0 to 1)."""
        size = (x.shape[0], x.shape[1])
        shown = np.asarray(x, dtype=np.float64)
        hidden = blurred(x, max(1.0, self.blur * min(size) / AT_SIDE))
        evidence = SignEvidence(size)
        for copies in self._copies(shown, hidden, domain, seed):
            try:
                scores = yield Ask(copies)
            except Stopped as stop:
                evidence.add(copies, stop.scores.value)  # every paid answer counts
                break
            evidence.add(copies, scores.value)
        return self._map(evidence, np.abs(shown - hidden).mean(axis=-1) / 255)

    def _copies(
        self, shown: NDArray[np.float64], hidden: NDArray[np.float64], domain: Domain, seed: int
    ) -> Iterator[HalfSharpCopies]:
        size, start = (shown.shape[0], shown.shape[1]), float(np.random.default_rng(seed).random())
        masks, batch = SmoothBinaryMasks(size, self.smooth * min(size) / AT_SIDE), self.batch + self.batch % 2
        for step, rows in enumerate(batches(self.queries, batch)):
            place = path(start, step * batch // 2)
            yield HalfSharpCopies(shown, hidden, masks, domain, start=place, rows=rows, key=(seed, step))

    def _map(self, evidence: SignEvidence, contrast: NDArray[np.float64]) -> SaliencyMap:
        error = evidence.standard_error()
        return SaliencyMap(
            evidence.mean() * contrast,
            signed=True,
            unit="score times contrast",
            rows=self.queries,
            answered=evidence.answered,
            standard_error=None if error is None else error * contrast,
        )


METHOD = BinaryGeex
