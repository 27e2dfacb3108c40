"""The part "ceilings": how high SRG goes with any order of a photo's cells, whatever method would have to find it.

The order is sought by asking the judge's own questions: in each round every cell that is left is tried next in both
games, revealed from the blur and hidden by black, and those that gain most are taken. So nothing is left to a map's
method, but the search takes the best next cells and never goes back: a ceiling may lie higher than it finds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from networks import NAMES
from skimage.segmentation import slic

from bbquery.perturb.baselines import filled

from . import photos
from .controls import RANDOM
from .hiding import grid
from .network import Model, Subject
from .photos import METRIC, judged, map_of, photos_of
from .rows import LITE0, table
from .words import by_budget

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
SUPERPIXELS, COMPACTNESS = 200, 10
OPENING = """## Ceilings

How high SRG goes with *any* order of the cells of a photo: in each round every cell that is left is tried next in both
of the judge's games, and those that gain most are taken, {queries:,} questions in all. The search never goes back, so a
ceiling may lie higher, most of all on 28 × 28 cells, where the questions last for nine rounds of 87 cells. Beside it
maps of `designed` on the same photos. None of them are among the first 20. Below five photos there is nothing to
conclude.
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
        names = [name for name in PARTITIONS if setting.missing(PART, photo.stem, name, QUERIES, network=network)]
        names += [name for name, b in BESIDE.items() if setting.missing(PART, photo.stem, name, b, network=network)]
        if not names:
            continue
        model = model or Model(setting.threads, network)
        subject = Subject(model, photo.stem, model.sent(photo), setting.data / "answers" / "beside" / network)
        for name in names:
            queries = BESIDE.get(name, QUERIES)
            values = map_of(setting, subject, name, queries) if name in BESIDE else sought(subject, name)
            if values is not None:
                setting.keep(PART, photo.stem, name, queries, judged(subject, values), network=network)
        print(f"{PART}, {network}: {place + 1}", flush=True)


def sought(subject: Subject, partition: str) -> NDArray[np.float64]:
    """Return the order of a photo's cells that was found, as a map (224, 224)."""
    cells = PARTITIONS[partition](subject.x)
    game = Game(subject, cells)
    found: NDArray[np.float64] = order(game, int(cells.max()) + 1, QUERIES)[cells]
    return found


class Game:
    """Both of the judge's games of a photo: revealing cells from the blur, and hiding them by black."""

    def __init__(self, subject: Subject, cells: NDArray[np.int64]) -> None:
        self._box: Box = subject.model.network
        self._x, self._cells, self._target = subject.x, cells, subject.target
        fills = (filled(name, subject.x, 0) for name in (METRIC.insertion_fill, METRIC.deletion_fill))
        self._blur, self._black = (np.rint(fill).astype(np.uint8) for fill in fills)

    def __call__(self, taken: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the target's probability with sets of cells (n, cells) revealed, less that with them hidden, (n,)."""
        return np.array([self._gain(row[self._cells][..., None]) for row in taken])

    def _gain(self, taken: NDArray[np.bool_]) -> float:
        revealed, hidden = np.where(taken, self._x, self._blur), np.where(taken, self._black, self._x)
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


PARTITIONS: dict[str, Callable[[Image], NDArray[np.int64]]] = {
    "order of 14 × 14 cells": lambda x: grid(x.shape, 14),
    "order of 28 × 28 cells": lambda x: grid(x.shape, 28),
    "order of 200 superpixels": _superpixels,
}


def section(results: Results) -> str:
    """Return the section as Markdown; nothing where nothing was measured."""
    told = []
    for network in NETWORKS:
        rows = results.of(PART, network)
        if rows:
            told += [f"### {NAMES[network]}: SRG of the order found\n", by_budget(table(rows, "SRG"))]
            told += ["Deletion, lower is better:\n", by_budget(table(rows, "deletion"), lowest=True)]
    return "\n".join([OPENING.format(queries=QUERIES), *told]) if told else ""
