"""EfficientNet-Lite0, or a network of inverted residuals like it, as an ONNX graph.

The network is EfficientNet-B0 (Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
ICML 2019, table 1) as its authors' Lite variant has it: ReLU6 in place of swish, no squeeze-and-excitation. Each block
is an inverted residual (Sandler et al., "MobileNetV2", CVPR 2018): expand 1x1, depthwise k x k, project 1x1 without
activation, and the block's input added where stride and channels allow.

Two choices that its weights depend on:

1. Pixels enter as (x - 127) / 128, as they did in training. The mean and deviation of ImageNet that are usual elsewhere
   are wrong for these weights.
2. Convolutions are padded as TensorFlow's SAME is: to ceil(size / stride) outputs, an odd row or column at the end.

Batch normalisation, g (y - m) / sqrt(v + e) + b, is folded into the convolution before it, in float64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from bbquery.errors import UsageError
from oracles._local.efficientnet.extra import needed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

VERSION: Final = 1
"""Part of the oracle's identity and of the cache's file names: raise it with any change to the graph."""

SIZE: Final = 224
PREPROCESSING: Final = "(x - 127) / 128"
EPSILON: Final = 1e-3  # e above, as the network was trained
OPSET: Final = 17
IR: Final = 8  # the format that came with opset 17, so that every ONNX Runtime that knows one knows the other


class Stage(NamedTuple):
    """Blocks alike; only the first has the stride."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES: Final = (  # table 1, stages 2 to 8
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
STEM_CHANNELS: Final = 32


class Architecture(NamedTuple):
    """A network of inverted residuals. size: height and width of what enters, as (x - centre) / scale."""

    name: str
    size: int
    stages: tuple[Stage, ...]
    centre: float
    scale: float


LITE0: Final = Architecture("efficientnet-lite0", SIZE, STAGES, centre=127, scale=128)


def build(tensors: Mapping[str, NDArray[Any]], architecture: Architecture = LITE0) -> bytes:
    """Return the ONNX model: "pixels" uint8 (1, size, size, 3) to "logits" float32 (1, classes).

    tensors: the network's weights by their names in the checkpoint of EfficientNet-Lite0.

    Raises:
        UsageError: a tensor is missing.
        MissingExtra: the package `onnx` is not installed.
    """
    graph = _Graph(tensors, architecture)
    x = graph.relu6(graph.convolution(graph.preprocessed("pixels"), "_conv_stem", "_bn0", stride=2))
    channels, block = STEM_CHANNELS, 0
    for stage in architecture.stages:
        for stride in (stage.stride, *[1] * (stage.blocks - 1)):
            x = graph.block(x, f"_blocks.{block}", channels, stage, stride)
            channels, block = stage.channels, block + 1
    x = graph.relu6(graph.convolution(x, "_conv_head", "_bn1"))
    return graph.classified(x)


class _Graph:
    """Nodes and constants as they are made; a method returns the name of the value that it made."""

    def __init__(self, tensors: Mapping[str, NDArray[Any]], architecture: Architecture) -> None:
        self._onnx: Any = needed("onnx")
        self._tensors, self._architecture = tensors, architecture
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def preprocessed(self, pixels: str) -> str:
        """Grey levels (1, H, W, 3) to the network's numbers (1, 3, H, W)."""
        x = self._node("Cast", pixels, to=self._onnx.TensorProto.FLOAT)
        x = self._node("Transpose", x, perm=[0, 3, 1, 2])
        x = self._node("Sub", x, self._constant(np.float32(self._architecture.centre)))
        return self._node("Div", x, self._constant(np.float32(self._architecture.scale)))

    def block(self, x: str, name: str, channels: int, stage: Stage, stride: int) -> str:
        """Expand, convolve each channel, project; add the input where its shape is the output's."""
        y, width = x, channels * stage.expansion
        if stage.expansion != 1:
            y = self.relu6(self.convolution(y, f"{name}._expand_conv", f"{name}._bn0"))
        y = self.relu6(self.convolution(y, f"{name}._depthwise_conv", f"{name}._bn1", stride=stride, groups=width))
        y = self.convolution(y, f"{name}._project_conv", f"{name}._bn2")
        if stride == 1 and channels == stage.channels:
            return self._node("Add", y, x)
        return y

    def convolution(self, x: str, name: str, norm: str, *, stride: int = 1, groups: int = 1) -> str:
        """Convolve with the tensor `name` and normalise with `norm`, folded into one convolution."""
        gain, shift = self._tensor(f"{norm}.weight"), self._tensor(f"{norm}.bias")
        mean, variance = self._tensor(f"{norm}.running_mean"), self._tensor(f"{norm}.running_var")
        scale = gain / np.sqrt(variance + EPSILON)
        weight = self._constant(self._tensor(f"{name}.weight") * scale[:, None, None, None])
        bias = self._constant(shift - mean * scale)
        return self._node("Conv", x, weight, bias, strides=[stride, stride], group=groups, auto_pad="SAME_UPPER")

    def relu6(self, x: str) -> str:
        """Clip to 0 to 6."""
        return self._node("Clip", x, self._constant(np.float32(0)), self._constant(np.float32(6)))

    def classified(self, x: str) -> bytes:
        """Average over positions, apply the last layer, and return the model."""
        pooled = self._node("Flatten", self._node("GlobalAveragePool", x))
        weight, bias = (self._constant(self._tensor(f"_fc.{part}")) for part in ("weight", "bias"))
        return self._model(self._node("Gemm", pooled, weight, bias, transB=1))

    def _tensor(self, name: str) -> NDArray[np.float64]:
        if name not in self._tensors:
            raise UsageError(f"the checkpoint has no tensor {name!r}: it is not one of {self._architecture.name}")
        return np.asarray(self._tensors[name], dtype=np.float64)

    def _constant(self, values: NDArray[Any] | np.float32) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(self._onnx.numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name))
        return name

    def _node(self, operator: str, *inputs: str, **attributes: object) -> str:
        name = f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(operator, inputs, [name], **attributes))
        return name

    def _model(self, output: str) -> bytes:
        helper, types = self._onnx.helper, self._onnx.TensorProto
        self._nodes.append(helper.make_node("Identity", [output], ["logits"]))
        classes, size = len(self._tensors["_fc.bias"]), self._architecture.size
        pixels = helper.make_tensor_value_info("pixels", types.UINT8, [1, size, size, 3])
        logits = helper.make_tensor_value_info("logits", types.FLOAT, [1, classes])
        graph = helper.make_graph(self._nodes, self._architecture.name, [pixels], [logits], self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
        return bytes(model.SerializeToString())
