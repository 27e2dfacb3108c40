"""The part "ceilings": how high SRG goes with any order of a photo's cells, whatever method would have to find it.

The order is sought by asking the judge's own questions: in each round every cell that is left is tried next in both
games, revealed from the blur and hidden by black, and those that gain most are taken. So nothing is left to a map's
method, but the search takes the best next cells and never goes back: a ceiling may lie higher than it finds.

A search that asks the judge's own questions also learns what his fillings do. So one order is sought by hiding with the
mean, as `designed` does, and orders of 14 × 14 cells are judged with a third filling too, which none of them has seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from networks import NAMES
from skimage.segmentation import slic

from bbquery.metrics.srg import DeletionInsertion
from bbquery.perturb.baselines import filled

from . import photos
from .controls import RANDOM
from .hiding import grid
from .network import Model, Subject
from .photos import METRIC, judged, map_of, photos_of
from .rows import LITE0, table
from .statistics import difference
from .words import by_budget, estimate, markdown

if TYPE_CHECKING:
    from collections.abc import Callable

    from networks import Box
    from numpy.typing import NDArray

    from bbquery.types import Image

    from .rows import Results
    from .setting import Setting

    Gain = Callable[[NDArray[np.bool_]], NDArray[np.float64]]
    """From sets of cells that are taken (n, cells) to what they gain, (n,)."""

PART = "ceilings"
QUERIES = 8000
NETWORKS = (LITE0, "dogs")
BESIDE = {"designed, without detail": 1000, "designed": 1000, RANDOM: 0}
BY_MEAN, BY_NOISE = (
    DeletionInsertion(steps=METRIC.steps, deletion_fill=f, insertion_fill=f) for f in ("mean", "noise")
)
THIRD = "ceilings, judged by noise"
JUDGES = {PART: METRIC, THIRD: BY_NOISE}  # by the part under which their rows are kept
SUPERPIXELS, COMPACTNESS = 200, 10
REFERENCE = ("designed, without detail", 1000)
OPENING = """## Ceilings

How high SRG goes with *any* order of the cells of a photo: in each round every cell that is left is tried next in both
of the judge's games, and those that gain most are taken, {queries:,} questions in all. The search never goes back, so a
ceiling may lie higher, most of all on 28 × 28 cells, where the questions last for nine rounds of 87 cells. Beside it
maps of `designed` on the same photos. None of them are among the first 20. Below five photos there is nothing to
conclude.

These orders were sought with the judge's own questions, so they also use what a blur and black do to the network, which
is nothing of the photo's. One is therefore sought by hiding with the mean, as `designed` does, and some are judged once
more with noise in both games, which none of them has seen. What such an order has more than a map is room for a method.
"""


def run(setting: Setting) -> None:
    """Measure what is missing, network by network."""
    for network in NETWORKS:
        if not setting.only or network in setting.only:
            _run(setting, network)


def _run(setting: Setting, network: str) -> None:
    model: Model | None = None
    skipped = photos.SKIPPED if network == LITE0 else 0  # the others' list lacks them
    for place, photo in enumerate(photos_of(network, setting)[skipped : skipped + setting.tier.ceiling_photos]):
        entries = [(name, QUERIES) for name in ORDERS] + list(BESIDE.items())
        lacking = {entry: _lacking(setting, photo.stem, *entry, network) for entry in entries}
        if not any(lacking.values()):
            continue
        model = model or Model(setting.threads, network)
        subject = Subject(model, photo.stem, model.sent(photo), setting.data / "answers" / "beside" / network)
        for (name, queries), parts in lacking.items():
            values = _values(setting, subject, name, queries) if parts else None
            if values is not None:
                for part in parts:
                    measures = judged(subject, values, JUDGES[part])
                    setting.keep(part, photo.stem, name, queries, measures, network=network)
        print(f"{PART}, {network}: {place + 1}", flush=True)


def _lacking(setting: Setting, photo: str, name: str, queries: int, network: str) -> list[str]:
    """Return the parts that lack a row of this."""
    judges = JUDGES if name in BY_BOTH else (PART,)
    return [part for part in judges if setting.missing(part, photo, name, queries, network=network)]


def _values(setting: Setting, subject: Subject, name: str, queries: int) -> NDArray[np.float64] | None:
    return map_of(setting, subject, name, queries) if name in BESIDE else sought(subject, ORDERS[name], queries)


def sought(subject: Subject, wanted: Order, queries: int) -> NDArray[np.float64]:
    """Return the order of a photo's cells that was found, as a map (224, 224)."""
    cells = wanted.cells(subject.x)
    game = Game(subject, cells, wanted.judge)
    found: NDArray[np.float64] = order(game, int(cells.max()) + 1, queries)[cells]
    return found


class Game:
    """Both of a judge's games of a photo: revealing cells from one of his fillings, and hiding them by the other."""

    def __init__(self, subject: Subject, cells: NDArray[np.int64], judge: DeletionInsertion = METRIC) -> None:
        self._box: Box = subject.model.network
        self._x, self._cells, self._target = subject.x, cells, subject.target
        fills = (filled(name, subject.x, 0) for name in (judge.insertion_fill, judge.deletion_fill))
        self._beneath, self._over = (np.rint(fill).astype(np.uint8) for fill in fills)

    def __call__(self, taken: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the target's probability with sets of cells (n, cells) revealed, less that with them hidden, (n,)."""
        return np.array([self._gain(row[self._cells][..., None]) for row in taken])

    def _gain(self, taken: NDArray[np.bool_]) -> float:
        revealed, hidden = np.where(taken, self._x, self._beneath), np.where(taken, self._over, self._x)
        return float(self._box(revealed)[self._target] - self._box(hidden)[self._target])


def order(gain: Gain, cells: int, queries: int) -> NDArray[np.float64]:
    """Return the rank of each cell, the first taken highest; two questions a candidate, at most `queries` in all.

    As many rounds as the questions last, each of which takes its share of the cells.
    """
    taken, values = np.zeros(cells, dtype=np.bool_), np.zeros(cells)
    for more in np.diff(np.linspace(0, cells, _rounds(cells, queries) + 1).round().astype(int)):
        left = np.flatnonzero(~taken)
        found = gain(taken | (np.arange(cells) == left[:, None]))
        best = left[np.argsort(-found, kind="stable")[:more]]
        values[best] = cells - taken.sum() - np.arange(len(best))
        taken[best] = True
    return values


def _rounds(cells: int, queries: int) -> int:
    """Return in how many rounds all cells can be taken, where a round asks twice for each that is left."""
    return max(min(queries // cells - 1, cells), 1)


def _superpixels(x: Image) -> NDArray[np.int64]:
    found = np.unique(slic(x, n_segments=SUPERPIXELS, compactness=COMPACTNESS), return_inverse=True)[1]
    return np.asarray(found, dtype=np.int64).reshape(x.shape[:2])


@dataclass(frozen=True)
class Order:
    """An order that is sought. cells: of a photo. judge: whose questions are asked."""

    cells: Callable[[Image], NDArray[np.int64]]
    judge: DeletionInsertion = METRIC


def _cells(side: int) -> Callable[[Image], NDArray[np.int64]]:
    return lambda x: grid(x.shape, side)


ORDER, ORDER_BY_MEAN = "order of 14 × 14 cells", "order of 14 × 14 cells, sought by the mean"
ORDERS = {
    ORDER: Order(_cells(14)),
    ORDER_BY_MEAN: Order(_cells(14), BY_MEAN),
    "order of 28 × 28 cells": Order(_cells(28)),
    "order of 200 superpixels": Order(_superpixels),
}
BY_BOTH = frozenset({ORDER, ORDER_BY_MEAN, "designed, without detail", RANDOM})


def section(results: Results) -> str:
    """Return the section as Markdown; nothing where nothing was measured."""
    told = []
    for network in NETWORKS:
        rows = results.of(PART, network)
        if rows:
            told += [f"### {NAMES[network]}: SRG of the order found\n", by_budget(table(rows, "SRG"))]
            told += ["Deletion, lower is better:\n", by_budget(table(rows, "deletion"), lowest=True)]
            told += _by_noise(results, network)
    return "\n".join([OPENING.format(queries=QUERIES), *told]) if told else ""


def _by_noise(results: Results, network: str) -> list[str]:
    """Return what the second judge says, and what both say of the orders beside the map."""
    both = [table(results.of(part, network), "SRG") for part in JUDGES]
    if not both[1]:
        return []
    lines = [
        [
            name,
            *(estimate(difference(of.get((name, QUERIES), {}), of.get(REFERENCE, {})), 3, signed=True) for of in both),
        ]
        for name in (ORDER, ORDER_BY_MEAN)
    ]
    title = f"SRG less that of `{REFERENCE[0]}`, {REFERENCE[1]:,} queries"
    return [
        "SRG where noise stands for what is hidden, which none of them has seen:\n",
        by_budget(both[1]),
        f"{title}, paired, by either judge:\n",
        markdown(("order", "blur and black", "noise"), lines),
    ]
