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
5. *Decisions*, on a fine grid: where all answers are 0 or 1, and nearly all of the first 32 alike, later rows show no
   share of the photo at which one of the two is nearly certain (`_flip_share`).
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
from bbquery.saliency._flip_share import Flip, decided, flip, nearly_alike
from bbquery.saliency._mask_process import Data
from bbquery.saliency._mask_regression import Choice, choose, moves, regress, regress_means
from bbquery.saliency._revealed_places import Places
from bbquery.saliency._superpixels import superpixels
from bbquery.saliency._toggled_cells import Effects
from bbquery.types import SaliencyMap, Stability

if TYPE_CHECKING:
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
AHEAD = 1.0  # logits by which rows that show what matters are likelier to be answered 1, until FEWEST of them are
FEWEST = 8
REFINED_NOISE = 1.5  # standard deviations of the effects; with less, all refined rows are nearly the same
INTERVAL = 1.9  # standard errors; see docs/designed.md for the games it was calibrated on
AGREEMENT = 0.95  # correlation with the map of unlimited queries that counts as stable
FIRST = 32  # rows after which answers are first looked at
PSEUDO_REPEATS = 3.0  # how much the noise of all rows says about that of one

UNIT, UNIT_FINE = "score gained by revealing a cell", "score gained by revealing a place and its surroundings"
OF_REGIONS = ", in regions of like colour: borders are the photo's own"
SHARED_OUT = ", shared out by detail: fine structure is the photo's own"
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
        refine: whether masks depend on answers, where cells are more than 64: those of the second half on the
            map so far and, where answers are 0 or 1 and the first 32 nearly all alike, how much later ones show;
            none refines, unless one set of questions serves several methods.
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
        design = _Design(cells, half, seed, may_follow=self._refines(cells.count))
        asked, total = _Asked(cells, seed), 0
        while total < self._rows:
            looks = self.until == "stable" or design.follows(asked)
            rows = design.rows(total, self._size(total, half, looks=looks), asked)
            total += len(rows)
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

    def _size(self, start: int, half: int, *, looks: bool) -> int:
        """Return how many rows to ask from `start` on: at most `batch`; growing where all answers are looked at."""
        size = self.batch + self.batch % 2
        if looks:
            size = min(size, max(FIRST, start // 2))
        return min(size, (half if start < half else self._rows) - start)

    def _cells(self, x: Image) -> Cells:
        if self.shape == "superpixels":
            return LabelledCells(superpixels(x, self.cells**2))
        return GridCells((x.shape[0], x.shape[1]), self.cells, smooth=self.shape == "smooth")

    def _unit(self, *, fine: bool, shared_out: bool) -> str:
        """Return what a value of the map is, and what of the map is the photo's own."""
        return (UNIT_FINE if fine else UNIT) + OF_REGIONS * (self.shape == "superpixels") + SHARED_OUT * shared_out

    def _map(self, asked: _Asked, rows: int, x: Image) -> SaliencyMap:
        effects, spread = asked.effects, asked.cells.spread
        shared_out = self.detail and asked.fine
        detail = relative_detail(x) if shared_out else np.ones(x.shape[:2])
        doubtful = bool(
            asked.answered and effects.error.any() and (np.abs(effects.mean) <= INTERVAL * effects.error).all()
        )
        return SaliencyMap(
            spread(effects.mean) * detail,
            signed=True,
            unit=self._unit(fine=asked.fine, shared_out=shared_out),
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
        self._choice: Choice | None = None
        self._effects: Effects | None = None
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
        self._effects = None

    @property
    def stuck(self) -> bool:
        """Whether all answers so far are decisions, and nearly all of the first ones alike."""
        values = self._joined("values")
        return len(values) >= FIRST and decided(values, self._joined("answers")) and nearly_alike(values[:FIRST])

    def flip(self) -> Flip:
        """Return where decisions flip."""
        return flip(self._visible, self._joined("values"))

    def flip_of(self, side: NDArray[np.float64], start: int, ahead: float) -> Flip:
        """Return where decisions flip, of the rows from `start` on that show more of the cells where `side` is above 0.

        With fewer than `FEWEST` of them it is that of all rows, their level raised by `ahead`.
        """
        rows = np.concatenate([step.rows for step in self._steps])
        chosen = (rows @ side > 0) & (np.arange(len(rows)) >= start)
        if chosen.sum() >= FEWEST:
            return flip(self._visible[chosen], self._joined("values")[chosen])
        level, slope = self.flip()
        return Flip(level + ahead, slope)

    @property
    def _visible(self) -> NDArray[np.float64]:
        return np.concatenate([(step.rows > 0).mean(axis=1) for step in self._steps])

    def _joined(self, part: str) -> NDArray[np.float64]:
        return np.concatenate([np.empty(0), *(getattr(step, part) for step in self._steps)])

    @property
    def answered(self) -> int:
        """Number of rows answered."""
        return sum(len(step.values) for step in self._steps)

    @property
    def effects(self) -> Effects:
        """The effects of the cells, from all answers so far; zeros where the score never moved."""
        if self._effects is None:
            data, none = self._data(), np.zeros(self.cells.count)
            self._effects = (
                regress(data, self._chosen(data), self._seed, self._places) if moves(data) else Effects(none, none)
            )
        return self._effects

    def means(self) -> NDArray[np.float64]:
        """Return the effects of small cells without their errors, for rows that depend on them."""
        data = self._data()
        if self._places is None or not moves(data):
            return np.zeros(self.cells.count)
        return regress_means(data, self._chosen(data), self._places)

    def _chosen(self, data: Data) -> Choice:
        self._choice = choose(data, self._choice)
        return self._choice

    def _data(self) -> Data:
        rows = [step.rows for step in self._steps] or [np.empty((0, self.cells.count), dtype=np.int8)]
        noise = np.concatenate([np.empty(0), *(_noise(step) for step in self._steps)])
        return Data(np.concatenate(rows).astype(np.float64), self._joined("values"), noise, self.cells.centres)

    @property
    def stable(self) -> bool:
        """Whether the map is expected to correlate with that of unlimited queries as well as a stable one does."""
        return self.agreement >= AGREEMENT

    @property
    def agreement(self) -> float:
        """The correlation, 0 to 1, expected of the map, by its own errors, with that of unlimited queries."""
        effects = self.effects
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
    patterns = split(smoothed(rows, cells.centres, PATTERN_REACH), rng.uniform(*PATTERN_SHOWN, len(rows)))
    return Places(patterns.astype(np.float64), closeness(cells.centres, SURROUNDINGS))


class _HalfTime(NamedTuple):
    """The map, (cells,), and the number of rows answered, at half time."""

    map: NDArray[np.float64]
    answered: int


class _Design:
    """Which cells are visible in which row.

    half: the first row that depends on the map so far, where cells are small. may_follow: whether how much is shown may
    depend on answers; then the first step ends after `FIRST` rows, and asks the others of it next.
    """

    def __init__(self, cells: Cells, half: int, seed: int, *, may_follow: bool) -> None:
        self._cells, self._half, self._seed, self._may_follow = cells, half, seed, may_follow
        self._fine = cells.count > MOST_SHOWN_SINGLY
        self._at_half_time: _HalfTime | None = None
        self._left = np.empty((0, cells.count), dtype=np.int8)  # of the first step

    def follows(self, asked: _Asked) -> bool:
        """Whether how much the next rows show depends on the answers so far."""
        return self._may_follow and asked.stuck

    def rows(self, start: int, size: int, asked: _Asked) -> NDArray[np.int8]:
        """Return at most `size` rows, in pairs of a row and its complement, but for what is moved to tell more."""
        if len(self._left) and not self.follows(asked):
            rows, self._left = self._left[:size], self._left[size:]
            return rows
        rows = self._drawn(start, size, asked)
        if self._may_follow and not start:
            rows, self._left = rows[:FIRST], rows[FIRST:]
        return rows

    def _drawn(self, start: int, size: int, asked: _Asked) -> NDArray[np.int8]:
        rng = np.random.default_rng((self._seed, start))
        rows = orthogonal(self._cells.count, -(-size // 2), rng)
        if not self._fine:
            return folded(rows)[:size]
        drawn, refined = smoothed(rows.astype(np.float64), self._cells.centres, REACH), start >= self._half
        if refined:
            drawn = self._about_the_map(drawn, asked)
        shares = rng.uniform(*SHOWN, len(rows))
        if not self.follows(asked):
            return folded(split(drawn, shares))[:size]
        flips = self._flips(asked, refined=refined)
        of_pairs = [flips[0].telling(shares), flips[1].telling(1 - shares)]
        return split(folded(drawn), np.stack(of_pairs, axis=1).ravel())[:size]

    def _about_the_map(self, drawn: NDArray[np.float64], asked: _Asked) -> NDArray[np.float64]:
        """Return the map at half time with smooth noise added, a row each."""
        if self._at_half_time is None:
            self._at_half_time = _HalfTime(asked.means(), asked.answered)
        effects = self._at_half_time.map
        return effects + REFINED_NOISE * (effects.std() or 1.0) * drawn

    def _flips(self, asked: _Asked, *, refined: bool) -> tuple[Flip, Flip]:
        """Return where decisions flip in the first rows of pairs, and in the second: those that hide what matters."""
        if not refined or self._at_half_time is None:
            return asked.flip(), asked.flip()
        effects, start = self._at_half_time
        side = effects - effects.mean()
        return asked.flip_of(side, start, AHEAD), asked.flip_of(-side, start, -AHEAD)


METHOD = Designed
