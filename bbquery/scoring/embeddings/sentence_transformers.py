"""Sentence embeddings by the package `sentence-transformers`, on torch and the processor: any model of its kind.

A vector may differ in its last bits with the texts that are embedded beside it, since torch adds up in another order
where batches have other shapes: up to 2e-7 in a coordinate, measured on all-MiniLM-L6-v2 over 400 texts. The backend
"onnx" has no such spread.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from bbquery.errors import MissingExtra, UsageError
from bbquery.scoring.embeddings.folder import MINILM, packaged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bbquery.scoring.embeddings.base import Embedder

BATCH = 64  # sentences at once; sorted by length, so little of it is padding


def open_embedder(model: str = MINILM) -> Embedder:
    """Return the embedder of a model, by its name or the path of its folder.

    Raises:
        MissingExtra: sentence-transformers is not installed. UsageError: there is no such model.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read by torch when it loads: its idle threads else spin
    try:
        import sentence_transformers as package  # noqa: PLC0415 - brings torch, which takes seconds
        from transformers.utils import logging  # noqa: PLC0415 - likewise
    except ModuleNotFoundError as error:
        missing = error.name or "sentence_transformers"
        raise MissingExtra("text", "the embeddings of sentence-transformers", missing) from error
    logging.disable_progress_bar()  # type: ignore[no-untyped-call] # a bar for weights that are read in an instant
    try:
        opened = package.SentenceTransformer(str(packaged(model) or model), device="cpu")
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(f"sentence-transformers cannot open model={model}: {reason}") from error
    return SentenceTransformersEmbedder(opened, f"sentence-transformers {package.__version__} {model}")


class SentenceTransformersEmbedder:
    """A model of sentence-transformers."""

    def __init__(self, model: Any, identity: str) -> None:
        self.identity = identity
        self._model, self._lock = model, threading.Lock()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a vector of length 1 for each text: (n, d) float32."""
        with self._lock:  # its tokenizer keeps the padding of the call that it is in
            found = self._model.encode(
                list(texts), batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False
            )
        return np.asarray(found, dtype=np.float32)
