"""Opener of backends by name, once a process: a model takes a second to load and a hundred megabytes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Literal, TypeAlias

from bbquery.scoring.embeddings import onnx, sentence_transformers
from bbquery.scoring.embeddings.folder import MINILM
from bbquery.scoring.embeddings.memory import Remembered

if TYPE_CHECKING:
    from collections.abc import Callable

    from bbquery.scoring.embeddings.base import Embedder

Backend: TypeAlias = Literal["sentence-transformers", "onnx"]

_OPENERS: dict[Backend, Callable[[str], Embedder]] = {
    "sentence-transformers": sentence_transformers.open_embedder,
    "onnx": onnx.open_embedder,
}
_opened: dict[tuple[Backend, str], Embedder] = {}
_opening = threading.Lock()


def opened(backend: Backend = "sentence-transformers", model: str = MINILM) -> Embedder:
    """Return the embedder of a model in a backend, with a memory; several callers get the same one.

    Raises:
        MissingExtra: the backend's packages are not installed. UsageError: the model is not here.
    """
    with _opening:
        if (backend, model) not in _opened:
            _opened[backend, model] = Remembered(_OPENERS[backend](model))
        return _opened[backend, model]
