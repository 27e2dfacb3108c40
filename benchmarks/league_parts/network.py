"""A network in this process, and a memory of what it said of each photo, by the bytes of what was asked.

So methods share answers: two forms of one method, a map at 256 queries and the same masks' at 1,000, a second run. A
budget is still a budget: it says how many images a method asked for, whoever paid for them.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from networks import loaded, opened

from bbquery.types import Decision, Scores

from .rows import LITE0

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bbquery.plan import Ask
    from bbquery.types import Image, Images

KEPT = 10  # labels, as Google Vision gives by default


class Said(NamedTuple):
    """What the network said of images, in their order. target: (n,) its probability. labels: (n, KEPT), best first."""

    target: NDArray[np.float64]
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]


class Model:
    """A network in its box: from pixels (224, 224, 3) to the probabilities of its classes, several at once."""

    def __init__(self, threads: int, name: str = LITE0) -> None:
        box = opened(name)
        self.name, self.network, self.classes = name, box, box.classes
        self.pool = ThreadPoolExecutor(threads)

    def sent(self, photo: Path) -> Image:
        """Return the pixels that it is sent of a photo."""
        return loaded(photo)


def chosen(folder: Path, count: int) -> list[Path]:
    """Return `count` photos of a folder, drawn once and for all: a larger count begins with those of a smaller."""
    every = sorted(folder.glob("*.jpg"))
    return [every[place] for place in np.random.default_rng(0).permutation(len(every))[:count].tolist()]


class Subject:
    """One image, the class it is explained for, and every answer it was ever given.

    target: the class's index; by default the one that comes first in the unperturbed image. maps: that were made of it,
    by method, budget and seed, for what is made of maps.
    """

    def __init__(self, model: Model, name: str, x: Image, memory: Path, target: int | None = None) -> None:
        self.model, self.name, self.x = model, name, x
        self.clean = model.network(x)
        self.target = int(np.argmax(self.clean)) if target is None else target
        self._path = memory / f"{name}-{self.target}.npz"
        self._answers: dict[bytes, tuple[Any, ...]] = _recalled(self._path)
        self._saved = len(self._answers)
        self.maps: dict[tuple[str, int, int], NDArray[np.float64] | None] = {}

    def said(self, images: Images) -> Said:
        """Ask images, those that were asked before for nothing."""
        answers = list(self.model.pool.map(lambda row: self._one(images[row]), range(len(images))))
        target, labels, scores = zip(*answers, strict=True) if answers else ((), (), ())
        return Said(
            np.array(target, dtype=np.float64),
            np.array(labels, dtype=np.int64).reshape(-1, KEPT),
            np.array(scores, dtype=np.float64).reshape(-1, KEPT),
        )

    def probability(self, images: Images) -> NDArray[np.float64]:
        """Return the target's probability of each image, (n,)."""
        return self.said(images).target

    def answer(self, ask: Ask) -> Scores:
        """Answer a plan with probabilities."""
        return scored(self.probability(ask.images))

    def save(self) -> None:
        """Keep what was learnt on the disk."""
        if len(self._answers) == self._saved:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        target, labels, scores = zip(*self._answers.values(), strict=True)
        part = self._path.with_suffix(".part")
        with part.open("wb") as file:
            keys = np.frombuffer(b"".join(self._answers), dtype=np.uint8).reshape(-1, 16)
            np.savez(file, keys=keys, target=np.array(target), labels=np.array(labels), scores=np.array(scores))
        os.replace(part, self._path)  # noqa: PTH105 - at once, so that a kill leaves one or the other
        self._saved = len(self._answers)

    def _one(self, image: Image) -> tuple[Any, ...]:
        key = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()
        if key not in self._answers:
            probabilities = self.model.network(np.ascontiguousarray(image))
            best = np.argpartition(-probabilities, KEPT)[:KEPT]
            best = best[np.argsort(-probabilities[best], kind="stable")]
            self._answers[key] = (
                np.float32(probabilities[self.target]),
                best.astype(np.int16),
                probabilities[best].astype(np.float32),
            )
        return self._answers[key]


def _recalled(path: Path) -> dict[bytes, tuple[Any, ...]]:
    if not path.exists():
        return {}
    with np.load(path) as kept:
        keys = [row.tobytes() for row in kept["keys"]]
        return dict(zip(keys, zip(kept["target"], kept["labels"], kept["scores"], strict=True), strict=True))


def scored(values: Sequence[float] | NDArray[np.float64]) -> Scores:
    """Return values as scores whose decisions nobody reads."""
    found = np.asarray(values, dtype=np.float64)
    return Scores(np.full(len(found), Decision.NOT_MET, dtype=np.int8), found)
