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
from oracles._extra import needed
from oracles._labels import read_labels
from oracles._onnx import files
from oracles._onnx.shape import image_input, output_name, read_size
from oracles._onnxruntime import LARGEST_BATCH, OnnxOracle, session
from oracles._options import check_at_least_one, check_choices, check_crop
from oracles._preprocessing import Preprocessing, preprocessing
from oracles._softmax import softmax as as_probabilities

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray

    from bbquery.types import Classes, Image

ADAPTER = 1  # part of every answer's key: raise it when the same file would be read differently
TOLERANCE = 1e-3  # by which probabilities in float16 may miss 1 together

Answers: TypeAlias = Literal["probabilities", "scores"]
Softmax: TypeAlias = Literal["auto", "yes", "no"]
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
    softmax: Softmax = "auto",
    answers: Answers = "probabilities",
    concurrency: int | None = None,
) -> Oracle:
    """Open the ONNX file `model` as an oracle.

    labels: a file of class names (see `oracles._labels.read_labels`), or "imagenet". scale, mean, std: grey levels x
    enter as (x * scale - mean) / std; scale may be a fraction, "1/255"; mean and std are one number, or three for red,
    green and blue separated by "|". channels: their order. layout, size ("224x224", height first): where the model
    leaves them open. crop: the central share of the photo's shorter side that is sent. output: which, of several.
    softmax: whether to turn the model's numbers into probabilities; "auto" does where they are not probabilities
    already. answers: "scores" gives the model's numbers as they are. concurrency: images at once, one a core.

    Raises:
        UsageError: the file cannot be read or run, is no classifier of images, or an option does not fit it.
        UnknownName: an option is none of its choices. MissingExtra: onnxruntime is not installed.
    """
    check_choices(
        channels=(channels, Channels), layout=(layout, Layout), softmax=(softmax, Softmax), answers=(answers, Answers)
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
    trial = _trial(network, taken.size)
    applied = answers == "probabilities" and _applied(softmax, trial)
    classes = None if labels is None else read_labels(labels)
    _check_count(len(trial), classes, answers)
    capabilities = Capabilities(
        name=path.stem,
        answers=answers,
        identity=_identity(content, network, applied) | {"onnxruntime": runtime.__version__},
        classes=classes,
        domain=UINT8,
        view=View(size=taken.size, crop=crop),
        limits=Limits(largest_batch=LARGEST_BATCH, concurrency=concurrency or os.cpu_count() or 1),
        price=Price(free=True),
    )
    return OnnxOracle(network.probabilities if applied else network.numbers, capabilities)


class _Network:
    """Pixels to the numbers of one output, float64 (k,)."""

    def __init__(self, opened: Any, name: str, output: str, prepare: Preprocessing) -> None:
        self.output, self.prepare = output, prepare
        self._session, self._input = opened, name

    def raw(self, pixels: Image) -> NDArray[Any]:
        """Return the output as it is."""
        (numbers,) = self._session.run([self.output], {self._input: self.prepare(pixels)[None]})
        return np.asarray(numbers)

    def numbers(self, pixels: Image) -> NDArray[np.float64]:
        """Return the output's numbers."""
        return self.raw(pixels).ravel().astype(np.float64)

    def probabilities(self, pixels: Image) -> NDArray[np.float64]:
        """Return the softmax of the output's numbers."""
        return as_probabilities(self.raw(pixels).ravel())


def _opened(runtime: ModuleType, path: Path) -> Any:
    try:
        return session(runtime, str(path))
    except Exception as error:
        raise UsageError(f"ONNX Runtime cannot open {str(path)!r}: {error}") from error


def _trial(network: _Network, size: tuple[int, int]) -> NDArray[np.float64]:
    """Return the numbers for an image of noise, (k,).

    Raises:
        UsageError: the model cannot be run on an image of this size, or gives something other than a finite vector.
    """
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
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
    return found.ravel().astype(np.float64)


def _applied(softmax: Softmax, trial: NDArray[np.float64]) -> bool:
    """Whether softmax is to be applied, which probabilities do not need."""
    if softmax != "auto":
        return softmax == "yes"
    return bool(abs(trial.sum() - 1) > TOLERANCE or trial.min() < 0)


def _check_count(count: int, classes: Classes | None, answers: Answers) -> None:
    if count == 1 and answers == "probabilities":
        raise UsageError("the model gives one number for an image, not one for each class: say answers=scores")
    if classes is not None and len(classes) != count:
        raise UsageError(f"the model gives {count} numbers for an image, and there are {len(classes)} labels")


def _identity(content: str, network: _Network, softmax: bool) -> dict[str, str | int | float | None]:
    return {
        "oracle": "onnx",
        "adapter": ADAPTER,
        "model": content,
        "preprocessing": str(network.prepare),
        "output": network.output,
        "softmax": "yes" if softmax else "no",
    }
