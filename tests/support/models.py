"""Models that tests name on a command line."""

from __future__ import annotations

import itertools
import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bbquery.types import Image


def sides(image: Image) -> list[float]:
    """Return the shares of brightness in the left and the right half: a model with an obvious map."""
    left, right = image[:, : image.shape[1] // 2].mean(), image[:, image.shape[1] // 2 :].mean()
    total = float(left + right) or 1.0
    return [float(left) / total, float(right) / total]


def corner(image: Image) -> list[float]:
    """Return how bright the top left quarter is, and the rest to 1; no other pixel counts."""
    bright = float(image[: image.shape[0] // 2, : image.shape[1] // 2].mean()) / 255
    return [bright, 1 - bright]


def shy(image: Image) -> list[float] | None:
    """Refuse images with little to see: photos of tests are brighter than what masks hide."""
    bright = float(image.mean()) / 255
    return [bright, 1 - bright] if bright > 0.6 else None


def not_a_number(image: Image) -> list[float]:
    """Return what no model should."""
    return [float("nan"), 0.5]


def raises(image: Image) -> list[float]:
    """Fail as a model does that is out of memory."""
    raise MemoryError("no room")


def two_numbers_too_many(image: Image) -> list[float]:
    """Return more numbers than there are classes."""
    return list(np.full(4, 0.25))


def brighter_half(image: Image) -> str:
    """Name a cat where the left half is brighter and a dog elsewhere: a label with a flat boundary."""
    left, right = image[:, : image.shape[1] // 2].mean(), image[:, image.shape[1] // 2 :].mean()
    return "tabby cat" if left > right else "golden retriever"


def not_brighter(image: Image) -> str:
    """Name a dog only where the left half is brighter, and a cat of one colour."""
    return "golden retriever" if brighter_half(image) == "tabby cat" else "tabby cat"


def refuses(image: Image) -> None:
    """Refuse to answer."""


def always_a_cat(image: Image) -> str:
    """Name a cat whatever there is to see."""
    return "tabby cat"


def odd_is_a_cat(image: Image) -> str:
    """Name a cat where most grey levels are odd: a label that the last bit decides."""
    return "tabby cat" if (image % 2).mean() > 0.5 else "golden retriever"


def wavering(image: Image) -> str | None:
    """Name the brighter half, but a dog every third time, and refuse or talk gibberish about some noisy images."""
    fate = zlib.crc32(image.tobytes()) if image.std() > 8 else 0
    if fate % 7 == 6:
        return None
    if fate % 7 == 5:
        return "qwxz"
    return "golden retriever" if next(_TURNS) % 3 == 1 else brighter_half(image)


_TURNS = itertools.count()


def seldom_a_dog(image: Image) -> list[float]:
    """Give the third class next to nothing, and the first two what `sides` does."""
    return [*(0.999 * share for share in sides(image)), 0.001]


def cats(image: Image) -> list[tuple[str, float]]:
    """List what a photo service might say of a cat."""
    share = sides(image)[0]
    return [("Cat", 0.5 + share / 2), ("Felidae", share / 2), ("Small cats", 0.002)]


def says_cat(image: Image) -> str:
    """Say what is there in words."""
    return "A small cat on a sofa." if sides(image)[0] > 0.4 else "A sofa."


def wide(image: Image) -> list[float]:
    """Return many numbers, so that answers take space."""
    return list(np.random.default_rng(zlib.crc32(image.tobytes())).normal(size=1000))
