"""A cache of vectors: answers repeat, so each text is embedded once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bbquery.scoring.embeddings.base import Embedder

MOST = 50_000  # texts; of all-MiniLM-L6-v2 they take 77 MB


class Remembered:
    """An embedder that keeps the vectors of the `most` texts it was last asked for. Safe from several threads."""

    def __init__(self, embedder: Embedder, most: int = MOST) -> None:
        self._embedder, self._most = embedder, most
        self._kept: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def identity(self) -> str:
        """Identity of the vectors."""
        return self._embedder.identity

    def __len__(self) -> int:
        """Number of texts cached."""
        return len(self._kept)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a vector of length 1 for each text, (n, d) float32; what is new is embedded in one batch."""
        wanted = dict.fromkeys(texts)
        with self._lock:
            known = {text: self._kept[text] for text in wanted if text in self._kept}
        new = [text for text in wanted if text not in known]
        if new:  # outside the lock: who asks for what is known does not wait
            known.update(zip(new, self._embedder.embed(new), strict=True))
        self._keep({text: known[text] for text in wanted})
        return np.array([known[text] for text in texts], dtype=np.float32)

    def _keep(self, used: dict[str, NDArray[np.float32]]) -> None:
        with self._lock:
            for text, vector in used.items():
                self._kept[text] = vector
                self._kept.move_to_end(text)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
