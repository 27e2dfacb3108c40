"""Designed masks (default): effects of a photo's cells by regression on a two-level design, with intervals.

Published methods average thousands of random masks. This one asks few that are made to tell cells apart, and fits one
Bayesian regression to all answers.

1. *Design.* Each row hides about half of the cells, and its foldover the others (`perturb.designs`). Up to 64 cells are
   shown by orthogonal columns; a finer grid by smooth patterns, for a photo with every second small cell hidden looks
   like nothing.
2. *Regression.* A Gaussian process over rows, of main effects and interactions, on the scale on which effects add up:
   for probabilities that is the logit (`_mask_regression`). Link and prior are chosen by evidence.
3. *Map.* A cell's value is the mean score with it visible minus with it hidden, the others being visible or not at
   random: its Banzhaf value. On a fine grid no single cell matters: there the value is what the score gains as a place
   is revealed with its surroundings, averaged over how much of the photo is visible (`_revealed_places`), and shared
   out among the pixels of the place by their detail (`_detail`). The standard error counts what aliased interactions
   may hide; 1.9 of them are a 90 % interval, calibrated on complete games of real models.
4. *Refinement*, on a fine grid: the second half of the queries goes where the decision falls. Its rows split the cells
   by the map at half time, with smooth noise added, so each shows roughly what matters most, or hides it: such photos
   tell most about which of the places that matter can stand for one another.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, get_args

import numpy as np

from bbquery.errors import UnknownName, UsageError
from bbquery.perturb.baselines import Fill, filling
from bbquery.perturb.cells import CellCopies, GridCells, LabelledCells
from bbquery.perturb.checks import at_least_one
from bbquery.perturb.designs import closeness, folded, orthogonal, smoothed, split
from bbquery.perturb.visibility import VisibilityCount
from bbquery.plan import Ask, Stopped
from bbquery.saliency import Method
from bbquery.saliency._detail import relative_detail
from bbquery.saliency._mask_process import Data
from bbquery.saliency._mask_regression import Regression, regress
from bbquery.saliency._revealed_places import Places
from bbquery.saliency._superpixels import superpixels
from bbquery.types import SaliencyMap, Stability

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from numpy.typing import NDArray

    from bbquery.perturb.cells import Cells
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image, Scores

Shape = Literal["smooth", "grid", "superpixels"]
Until = Literal["budget", "stable"]

MOST_CELLS = 32  # along a side
MOST_SHOWN_SINGLY = 64  # cells; more are shown in smooth patterns
REACH = 1.5  # of those patterns, in sides of a cell
SHOWN = (0.3, 0.7)  # share of the cells that a smooth pattern shows
SURROUNDINGS = 0.7  # that are revealed with a small cell: their reach, in sides of a cell
PATTERNS = 1024  # over which effects of small cells are taken
PATTERN_REACH = 1.0  # of those
PATTERN_SHOWN = (0.05, 0.95)
REFINED_FROM = 0.5  # of the queries on
REFINED_NOISE = 1.5  # standard deviations of the effects; with less, all refined rows are nearly the same
INTERVAL = 1.9  # standard errors; see docs/designed.md for the games it was calibrated on
AGREEMENT = 0.95  # correlation with the map of unlimited queries that counts as stable
FIRST = 32  # rows after which stability is first looked at
PSEUDO_REPEATS = 3.0  # how much the noise of all rows says about that of one

UNIT, UNIT_FINE = "score gained by revealing a cell", "score gained by revealing a place and its surroundings"
SHARED_OUT = ", shared out by detail"
DOUBTFUL = (
    "no cell's 90 % interval excludes 0, so the map may be chance: ask more queries, use fewer cells "
    "(--method designed:cells=7), or ask 'bbquery probe' what would move the score"
)


@dataclass(frozen=True, kw_only=True)
class Designed(Method):
    """Explain a score by the effects of a photo's cells, from at most `queries` designed masks.

    Args:
        queries: images to ask; at least 1.
        cells: cells along each side of the grid, or the square root of the number of superpixels; 1 to 32.
        shape: of the cells: smooth (visibility changes linearly between their centres), grid (it changes at
            once) or superpixels (regions of similar colour, which need an extra).
        fill: what stands where cells are hidden.
        repeat: how often each mask is asked, for answers that vary; masks are so many fewer; at least 1.
        refine: whether the second half of the masks depends on the answers to the first, where cells are more
            than 64; none refines, unless one set of questions serves several methods.
        detail: whether the effect of a place is shared out among its pixels by how far they stand out from
            their blur, where cells are more than 64.
        until: budget asks all queries, stable stops once the map is expected to correlate .95 with that of
            unlimited queries.
        batch: images to ask at once; at least 1.

    Raises:
        UsageError: queries, cells, repeat or batch below 1, cells above 32, or fewer queries than repeats.
        UnknownName: an unknown shape, fill or until. MissingExtra: superpixels without scikit-image.
    """

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {
        "shape": get_args(Shape), "fill": get_args(Fill), "until": get_args(Until),
    }  # fmt: skip
    queries: int = 1000
    cells: int = 14
    shape: Shape = "smooth"
    fill: Fill = "mean"
    repeat: int = 1
    refine: bool | None = None
    detail: bool = True
    until: Until = "budget"
    batch: int = 128

    def __post_init__(self) -> None:
        for name in ("queries", "cells", "repeat", "batch"):
            at_least_one(name, getattr(self, name))
        if self.cells > MOST_CELLS:
            raise UsageError(f"cells={self.cells} along a side are too many to tell apart: give {MOST_CELLS} or fewer")
        for name, known in self.CHOICES.items():
            if getattr(self, name) not in known:
                raise UnknownName(f"value of {name}", getattr(self, name), known)
        if self.queries < self.repeat:
            raise UsageError(f"{self.queries} queries do not ask a single mask {self.repeat} times: give more")

    @property
    def adaptive(self) -> bool:
        """Whether what it asks depends on answers."""
        return self.until == "stable" or self._refines(self.cells**2)

    def shareable(self) -> Self:
        """Return the method whose questions depend on no answer, where that was left open: it can share them."""
        return replace(self, refine=False) if self.refine is None else self

    def plan(self, x: Image, domain: Domain, seed: int) -> Plan[SaliencyMap]:
        """Ask for x (H, W, 3) with half of its cells hidden; return the map of their effects, in score."""
        cells, hidden = self._cells(x), filling(self.fill, x, seed)
        half = self._half(cells.count)
        design, asked, total = _Design(cells, half, seed), _Asked(cells, seed), 0
        for start, size in self._steps(half):
            rows = design.rows(start, size, asked)
            total += size
            try:
                scores = yield Ask(CellCopies(x, hidden, cells, rows, domain), self.repeat)
            except Stopped as stop:
                asked.add(rows, stop.scores, stopped=True)  # every paid answer counts
                return self._map(asked, self._rows, x)
            asked.add(rows, scores)
            if self.until == "stable" and asked.stable:
                break
        return self._map(asked, total, x)

    @property
    def _rows(self) -> int:
        return self.queries // self.repeat

    def _refines(self, cells: int) -> bool:
        return self.refine is not False and cells > MOST_SHOWN_SINGLY

    def _half(self, cells: int) -> int:
        """Number of rows asked before others depend on their answers: all, without refinement."""
        return min(2 * math.ceil(REFINED_FROM * self._rows / 2), self._rows) if self._refines(cells) else self._rows

    def _steps(self, half: int) -> Iterator[tuple[int, int]]:
        """Yield start and size of each step: at most `batch` rows, and growing steps where it may stop early."""
        start = 0
        while start < self._rows:
            size = self.batch + self.batch % 2
            if self.until == "stable":
                size = min(size, max(FIRST, start // 2))
            size = min(size, (half if start < half else self._rows) - start)
            yield start, size
            start += size

    def _cells(self, x: Image) -> Cells:
        if self.shape == "superpixels":
            return LabelledCells(superpixels(x, self.cells**2))
        return GridCells((x.shape[0], x.shape[1]), self.cells, smooth=self.shape == "smooth")

    def _map(self, asked: _Asked, rows: int, x: Image) -> SaliencyMap:
        effects, spread = asked.regression().effects, asked.cells.spread
        shared_out = self.detail and asked.fine
        detail = relative_detail(x) if shared_out else np.ones(x.shape[:2])
        doubtful = bool(
            asked.answered and effects.error.any() and (np.abs(effects.mean) <= INTERVAL * effects.error).all()
        )
        return SaliencyMap(
            spread(effects.mean) * detail,
            signed=True,
            unit=(UNIT_FINE if asked.fine else UNIT) + SHARED_OUT * shared_out,
            rows=rows,
            answered=asked.answered,
            standard_error=spread(effects.error) * detail,
            interval=INTERVAL,
            visibility=asked.visibility.ranges(),
            notes=(DOUBTFUL,) if doubtful else (),
            stability=Stability(asked.agreement, AGREEMENT) if self.until == "stable" else None,
        )


class _Step(NamedTuple):
    rows: NDArray[np.int8]
    values: NDArray[np.float64]
    spreads: NDArray[np.float64]
    answers: NDArray[np.int64]


class _Asked:
    """Rows asked so far, and the regression on them."""

    def __init__(self, cells: Cells, seed: int) -> None:
        self.cells, self._seed = cells, seed
        self.fine = cells.count > MOST_SHOWN_SINGLY
        self._steps: list[_Step] = []
        self._known: Regression | None = None
        self.visibility = VisibilityCount()

    @functools.cached_property
    def _places(self) -> Places | None:
        """Places at which effects are taken; drawn once, on first use."""
        return _places(self.cells, self._seed) if self.fine else None

    def add(self, rows: NDArray[np.int8], scores: Scores, *, stopped: bool = False) -> None:
        """Add rows with their scores; of a step that was stopped, what was never asked says nothing of refusals."""
        answered = ~np.isnan(scores.value)
        seen = answered if stopped else np.ones_like(answered)
        self.visibility.add((rows[seen] > 0).mean(axis=1), scores.answers[seen])
        self._steps.append(
            _Step(rows[answered], scores.value[answered], scores.spread[answered], scores.answers[answered])
        )
        self._known = None

    @property
    def answered(self) -> int:
        """Number of rows answered."""
        return sum(len(step.values) for step in self._steps)

    def regression(self) -> Regression:
        """Return the effects of the cells, from all answers so far."""
        if self._known is None:
            rows = [step.rows for step in self._steps] or [np.empty((0, self.cells.count), dtype=np.int8)]
            values = np.concatenate([np.empty(0), *(step.values for step in self._steps)])
            noise = np.concatenate([np.empty(0), *(_noise(step) for step in self._steps)])
            data = Data(np.concatenate(rows).astype(np.float64), values, noise, self.cells.centres)
            self._known = regress(data, self._seed, self._places)
        return self._known

    @property
    def stable(self) -> bool:
        """Whether the map is expected to correlate with that of unlimited queries as well as a stable one does."""
        return self.agreement >= AGREEMENT

    @property
    def agreement(self) -> float:
        """The correlation, 0 to 1, expected of the map, by its own errors, with that of unlimited queries."""
        effects = self.regression().effects
        known, doubt = float(effects.mean.var()), float((effects.error**2).mean())
        return math.sqrt(known / (known + doubt)) if known > 0 else 0.0


def _noise(step: _Step) -> NDArray[np.float64]:
    """Return the relative variance of each row's mean: of its repeats and, since they are few, of those of all rows."""
    freedom = np.maximum(step.answers - 1.0, 0.0)
    squares = np.where(freedom > 0, np.nan_to_num(step.spreads) ** 2, 0.0)
    pooled = float((freedom * squares).sum() / max(freedom.sum(), 1.0)) or 1.0
    of_one = (PSEUDO_REPEATS * pooled + freedom * squares) / (PSEUDO_REPEATS + freedom)
    noise: NDArray[np.float64] = of_one / np.maximum(step.answers, 1)
    return noise


def _places(cells: Cells, seed: int) -> Places:
    """Return where the effects of small cells are taken, and over which patterns."""
    rng = np.random.default_rng((seed, cells.count, PATTERNS))
    rows = orthogonal(cells.count, PATTERNS // 2, rng).astype(np.float64)
    patterns = folded(split(smoothed(rows, cells.centres, PATTERN_REACH), rng.uniform(*PATTERN_SHOWN, len(rows))))
    return Places(patterns.astype(np.float64), closeness(cells.centres, SURROUNDINGS))


class _Design:
    """Which cells are visible in which row. half: the first row that depends on answers, where cells are small."""

    def __init__(self, cells: Cells, half: int, seed: int) -> None:
        self._cells, self._half, self._seed = cells, half, seed
        self._fine = cells.count > MOST_SHOWN_SINGLY
        self._at_half_time: NDArray[np.float64] | None = None

    def rows(self, start: int, size: int, asked: _Asked) -> NDArray[np.int8]:
        """Return `size` rows, in pairs of a row and its complement."""
        rng = np.random.default_rng((self._seed, start))
        rows = orthogonal(self._cells.count, -(-size // 2), rng)
        if not self._fine:
            return folded(rows)[:size]
        drawn = smoothed(rows.astype(np.float64), self._cells.centres, REACH)
        if start >= self._half:
            if self._at_half_time is None:
                self._at_half_time = asked.regression().effects.mean
            drawn = self._at_half_time + REFINED_NOISE * (self._at_half_time.std() or 1.0) * drawn
        return folded(split(drawn, rng.uniform(*SHOWN, len(rows))))[:size]


METHOD = Designed
