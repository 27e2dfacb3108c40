"""RISE (Petsiuk et al.): random masks weighted by their scores, as published (unsigned) or centred (signed).

Petsiuk et al., "RISE: Randomized Input Sampling for Explanation of Black-box Models".

Both forms ask for the photo behind random masks M and weigh the masks by their scores f, over the N answered rows.

published   S = Σ fᵢ Mᵢ / (N p), as the authors' code computes it. It estimates the mean score where the pixel is
            visible. For the score below that is b + p Σ a_c + (1 - p) Σ w_c a_c: the first two terms are the same in
            every pixel, so its zero means nothing and the map is unsigned. Their noise, Σ Mᵢ being uneven, is what its
            many queries are spent on.
centred     S = Σ (fᵢ - f̄₋ᵢ) Mᵢ / (N p (1 - p)), with the mean of the other rows. This is the sample covariance of
            score and mask over the variance of a cell. If a score adds up, f = b + Σ a_c m_c over the cells m of the
            grid, its expectation is Σ w_c a_c with the bilinear weights w of the pixel: the cells' effects come back,
            interpolated, positive for evidence for the target and negative for evidence against it.

No mask is held, nor rendered again to be summed: enlarging is linear, so grids are summed by shift and enlarged once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

import numpy as np

from bbquery.errors import UnknownName
from bbquery.perturb.checks import at_least_one, grey_level, proper_share
from bbquery.perturb.masks import MaskedCopies, Upsampling
from bbquery.perturb.visibility import VisibilityCount
from bbquery.plan import Ask, Stopped
from bbquery.saliency import Method
from bbquery.types import SaliencyMap, batches

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.plan import Plan
    from bbquery.types import Domain, Image, Scores

Form = Literal["centred", "published"]

UNITS: dict[Form, str] = {
    "centred": "score gained by revealing a cell",
    "published": "mean score where the pixel is visible",
}


class MaskEvidence:
    """Sums of masks and of scores times masks, kept as sums of grids by shift: its size does not depend on the rows."""

    def __init__(self, upsampling: Upsampling) -> None:
        self._upsampling = upsampling
        shape = (*upsampling.cell, upsampling.cells, upsampling.cells)
        self._grids, self._scored_grids = np.zeros(shape), np.zeros(shape)
        self._sum_f = 0.0
        self._lowest, self._highest = np.inf, -np.inf
        self.answered = 0

    def add(self, grids: NDArray[np.bool_], shifts: NDArray[np.int64], scores: NDArray[np.float64]) -> None:
        """Add grids (n, cells, cells) cut at shifts (n, 2) with their scores (n,), all answered."""
        where = (shifts[:, 0], shifts[:, 1])
        np.add.at(self._grids, where, grids)
        np.add.at(self._scored_grids, where, scores[:, None, None] * grids)
        self._sum_f += float(scores.sum())
        self._lowest = min(self._lowest, float(scores.min(initial=np.inf)))
        self._highest = max(self._highest, float(scores.max(initial=-np.inf)))
        self.answered += len(scores)

    def published(self, p: float) -> NDArray[np.float64]:
        """Return Σ fᵢ Mᵢ / (N p), (H, W); 0 without an answer."""
        return self._upsampling.superpose(self._scored_grids) / (max(self.answered, 1) * p)

    def centred(self, p: float) -> NDArray[np.float64]:
        """Return Σ (fᵢ - f̄₋ᵢ) Mᵢ / (N p (1 - p)), (H, W).

        0 below two answers, which have no other rows' mean, and where all scores are equal: no rounding is evidence.
        """
        if self.answered < 2 or self._lowest == self._highest:
            return np.zeros(self._upsampling.size)
        # fᵢ - f̄₋ᵢ is N / (N - 1) times fᵢ - f̄
        weighted = self._scored_grids - self._sum_f / self.answered * self._grids
        return self._upsampling.superpose(weighted) / ((self.answered - 1) * p * (1 - p))


@dataclass(frozen=True, kw_only=True)
class Rise(Method):
    """Explain a score by how it changes behind `queries` random masks.

    Args:
        queries: masks to ask; at least 1.
        form: centred (signed evidence, far fewer queries) or published (unsigned, to compare with the paper).
        cells: cells along each side of a mask's grid; at least 1.
        p: probability that a cell is visible; above 0, below 1.
        fill: grey level of what is hidden; 0 to 255.
        batch: masks to ask at once; at least 1.

    Raises:
        UsageError: queries, cells or batch below 1, p not between 0 and 1, fill not a grey level, or an unknown form.
    """

    adaptive: ClassVar[bool] = False
    queries: int = 1000
    form: Form = "centred"
    cells: int = 7
    p: float = 0.5
    fill: float = 127.0
    batch: int = 256

    def __post_init__(self) -> None:
        at_least_one("queries", self.queries)
        if self.form not in get_args(Form):
            raise UnknownName("form of RISE", self.form, get_args(Form))
        at_least_one("cells", self.cells)
        proper_share("p", self.p)
        grey_level("fill", self.fill)
        at_least_one("batch", self.batch)

    def plan(self, x: Image, domain: Domain, seed: int) -> Plan[SaliencyMap]:
        """Ask for x (H, W, 3) behind masks; return the map, in score (see `UNITS`)."""
        upsampling = Upsampling((x.shape[0], x.shape[1]), self.cells)
        evidence, visibility = MaskEvidence(upsampling), VisibilityCount()
        for step, rows in enumerate(batches(self.queries, self.batch)):
            masked = MaskedCopies(x, upsampling, domain, p=self.p, fill=self.fill, rows=rows, key=(seed, step))
            try:
                scores = yield Ask(masked)
            except Stopped as stop:
                answered = np.flatnonzero(~np.isnan(stop.scores.value))
                _add(evidence, visibility, masked, stop.scores, answered)  # every paid answer counts
                break
            _add(evidence, visibility, masked, scores, np.arange(rows))
        return self._map(evidence, visibility)

    def _map(self, evidence: MaskEvidence, visibility: VisibilityCount) -> SaliencyMap:
        signed = self.form == "centred"
        values = evidence.centred(self.p) if signed else evidence.published(self.p)
        return SaliencyMap(
            values,
            signed=signed,
            unit=UNITS[self.form],
            rows=self.queries,
            answered=evidence.answered,
            visibility=visibility.ranges(),
        )


def _add(
    evidence: MaskEvidence, visibility: VisibilityCount, masked: MaskedCopies, scores: Scores, rows: NDArray[np.int64]
) -> None:
    """Add what was answered of these rows, and count what was not against the share of the grid that was visible."""
    grids, shifts = masked.drawn(rows.tolist())
    visibility.add(grids.mean(axis=(1, 2)), scores.answers[rows])
    answered = ~np.isnan(scores.value[rows])
    evidence.add(grids[answered], shifts[answered], scores.value[rows][answered])


METHOD = Rise
