"""Chance in an oracle's answers that a test can repeat, in whatever order the client asks."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bbquery.types import Image


class Chance:
    """A generator for each answer, which is decided by the seed, the image, and how often that was asked before."""

    def __init__(self, seed: int) -> None:
        self._seed, self._asked, self._lock = seed, Counter[bytes](), threading.Lock()

    def __call__(self, image: Image) -> np.random.Generator:
        """Return what draws the chance of the next answer to this image."""
        digest = hashlib.blake2b(np.ascontiguousarray(image).tobytes(), digest_size=8).digest()
        with self._lock:
            self._asked[digest] += 1
            return np.random.default_rng((self._seed, int.from_bytes(digest, "big"), self._asked[digest]))
