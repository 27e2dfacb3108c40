"""Photos that judge: those on which nothing was chosen, in an order whose beginning is a fair sample.

Of the sorted photos every fourth (index 0, 4, …) is for development: attacks were made on them. Among the others judge
those that the network labels correctly: its class is the WordNet ID in the file's name. The network of dog breeds knows
few of the breeds on the photos; it judges by its own first label, on photos of dogs, right or wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from networks import loaded, shows_a_dog

if TYPE_CHECKING:
    from pathlib import Path

    from networks import Box

    from bbquery.types import Image

DEVELOPMENT = 4
ORDER = 0x1EA6  # seed of the order in which photos are taken


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo as the box takes it. known: whether its true class is one of the network's."""

    name: str
    x: Image
    known: bool


def held_out(folder: Path) -> list[Path]:
    """Return the photos of a folder on which nothing was chosen, in the order in which they are taken."""
    every = sorted(folder.glob("*.jpg"))
    shuffled = np.random.default_rng(ORDER).permutation(len(every)).tolist()
    return [every[place] for place in shuffled if place % DEVELOPMENT]


def judging(box: Box, folder: Path, count: int) -> list[Photo]:
    """Return the first `count` photos that judge a network."""
    found: list[Photo] = []
    for path in held_out(folder):
        if len(found) == count:
            break
        if box.name == "dogs" and not shows_a_dog(path.name):
            continue
        x, true = loaded(path), path.stem.split("_")[0]
        known = true in box.classes.keys
        if box.name == "dogs" or box.classes.keys[int(np.argmax(box(x)))] == true:
            found.append(Photo(path.stem, x, known))
    return found
