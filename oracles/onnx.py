"""Any ONNX file that classifies images, in this process: free, and exact to the bit.

Size, layout and number type are the model's own; what a file cannot say is asked for: how grey levels become the
numbers that the model was trained with. Take scale, mean and std from where the model is from. Many networks take
scale=1/255,mean=0.485|0.456|0.406,std=0.229|0.224|0.225.

    bbquery explain cat.png --oracle onnx:model=resnet50.onnx,labels=imagenet,scale=1/255,crop=0.875 --target tabby
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from bbquery.errors import UsageError
from bbquery.oracle import Capabilities, Limits, Oracle, Price, View
from bbquery.types import UINT8
from oracles._local.onnx import files
from oracles._local.onnx.reading import Answers, OutputReading, reading
from oracles._local.onnx.shape import image_input, output_name, read_size
from oracles._local.onnxruntime import LARGEST_BATCH, OnnxOracle, session
from oracles._shared.activation import Activation
from oracles._shared.extra import needed
from oracles._shared.labels import read_labels
from oracles._shared.options import check_at_least_one, check_choices, check_crop
from oracles._shared.preprocessing import Preprocessing, preprocessing

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray

    from bbquery.types import Image

ADAPTER = 1  # part of every answer's key: raise it when the same file would be read differently
TRIALS = ((0, 256), (0, 64), (192, 256))  # grey levels of noise: of all, of dark and of bright images

Channels: TypeAlias = Literal["RGB", "BGR"]
Layout: TypeAlias = Literal["auto", "NCHW", "NHWC"]


def connect(
    *,
    model: str,
    labels: str | None = None,
    scale: str | float = 1.0,
    mean: str | float | Sequence[float] = 0.0,
    std: str | float | Sequence[float] = 1.0,
    channels: Channels = "RGB",
    layout: Layout = "auto",
    size: str | int | Sequence[int] | None = None,
    crop: float | None = None,
    output: str | None = None,
    activation: Activation = "auto",
    answers: Answers = "probabilities",
    concurrency: int | None = None,
) -> Oracle:
    """Open the ONNX file `model` as an oracle.

    Args:
        model: path of the ONNX file.
        labels: a file of class names, one a line, or "imagenet".
        scale: grey levels x enter as (x * scale - mean) / std; it may be a fraction, "1/255"; any number.
        mean: one number, or three for red, green and blue; any number.
        std: likewise; above 0.
        channels: their order.
        layout: where the model leaves it open.
        size: "224x224", height first, where the model leaves it open; at least 1.
        crop: central share of the photo's shorter side that is sent; none sends all; above 0, at most 1.
        output: which, of several outputs.
        activation: what makes probabilities of the model's numbers: softmax, sigmoid (each class for itself),
            percent (they are divided by 100) or none. auto takes softmax where they are plainly logits, which
            are negative or above 1, and none where they add up to 1 (or percent, to 100); what may be read in
            two ways is refused. One number is a score of one class.
        answers: scores gives the model's numbers as they are, labels the class whose index it gives.
        concurrency: images at once; none takes one a core; at least 1.

    Raises:
        UsageError: the file cannot be read or run, is no classifier of images, or an option does not fit it.
        UnknownName: an option is none of its choices. MissingExtra: onnxruntime is not installed.
    """
    check_choices(
        channels=(channels, Channels),
        layout=(layout, Layout),
        activation=(activation, Activation),
        answers=(answers, Answers),
    )
    check_at_least_one(concurrency=concurrency)
    check_crop(crop)
    runtime = needed("onnxruntime", extra="onnx", purpose="the oracle 'onnx'")
    path = Path(model)
    content = files.identity(path)
    opened = _opened(runtime, path)
    taken = image_input(opened.get_inputs(), read_size(size), None if layout == "auto" else layout)
    prepare = preprocessing(scale=scale, mean=mean, std=std, channels=channels, layout=taken.layout, dtype=taken.dtype)
    network = _Network(opened, taken.name, output_name(opened.get_outputs(), output), prepare)
    classes = None if labels is None else read_labels(labels)
    trials = np.stack([_trial(network, taken.size, *levels) for levels in TRIALS])
    read = reading(trials, network.output, answers=answers, activation=activation, classes=classes)
    capabilities = Capabilities(
        name=path.stem,
        answers=read.answers,
        identity=_identity(content, network, read) | {"onnxruntime": runtime.__version__},
        classes=classes,
        domain=UINT8,
        view=View(size=taken.size, crop=crop),
        limits=Limits(largest_batch=LARGEST_BATCH, concurrency=concurrency or os.cpu_count() or 1),
        price=Price(free=True),
        activation=read.description,
    )
    return OnnxOracle(lambda pixels: read(network.numbers(pixels)), capabilities)


class _Network:
    """Pixels to the numbers of one output."""

    def __init__(self, opened: Any, name: str, output: str, prepare: Preprocessing) -> None:
        self.output, self.prepare = output, prepare
        self._session, self._input = opened, name

    def raw(self, pixels: Image) -> NDArray[Any]:
        """Return the output as it is."""
        (numbers,) = self._session.run([self.output], {self._input: self.prepare(pixels)[None]})
        return np.asarray(numbers)

    def numbers(self, pixels: Image) -> NDArray[Any]:
        """Return the output's numbers, (k,), of its own type."""
        return self.raw(pixels).ravel()


def _opened(runtime: ModuleType, path: Path) -> Any:
    try:
        return session(runtime, str(path))
    except Exception as error:
        raise UsageError(f"ONNX Runtime cannot open {str(path)!r}: {error}") from error


def _trial(network: _Network, size: tuple[int, int], low: int, high: int) -> NDArray[Any]:
    """Return the numbers, (k,), for an image of noise of grey levels from low to below high.

    Raises:
        UsageError: the model cannot be run on an image of this size, or gives something other than a finite vector.
    """
    noise = np.random.default_rng(0).integers(low, high, (*size, 3), dtype=np.uint8)
    try:
        found = network.raw(noise)
    except Exception as error:
        raise UsageError(f"the model cannot be run on one image of {size[0]}x{size[1]}: {error}") from error
    if not np.issubdtype(found.dtype, np.number) or found.size != max(found.shape, default=0):
        raise UsageError(
            f"the output {network.output!r} is {found.dtype} {list(found.shape)} for one image: "
            f"a classifier's is one number for each class"
        )
    if not np.isfinite(found).all():
        raise UsageError(f"the output {network.output!r} is not finite: are scale, mean and std those of the model?")
    return found.ravel()


def _identity(content: str, network: _Network, read: OutputReading) -> dict[str, str | int | float | None]:
    """Return what decides answers; what every model had is written as ever, so that stored answers are found."""
    identity: dict[str, str | int | float | None] = {
        "oracle": "onnx",
        "adapter": ADAPTER,
        "model": content,
        "preprocessing": str(network.prepare),
        "output": network.output,
        "softmax": "yes" if read.applied == "softmax" else "no",
    }
    if read.applied in ("sigmoid", "percent"):
        identity["activation"] = read.applied
    return identity | ({"answers": "labels"} if read.answers == "labels" else {})
