"""The protocol of embedding backends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Embedder(Protocol):
    """Sentences to vectors. Safe from several threads."""

    @property
    def identity(self) -> str:
        """Identity of the vectors: backend, version and model."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a vector of length 1 for each text: (n, d) float32."""
