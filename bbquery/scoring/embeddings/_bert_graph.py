"""BERT (Devlin et al., 2019) as an ONNX graph: token numbers to the mean of the last layer's vectors.

Embeddings of words, positions and (all alike) segments are summed and normalised. Each layer attends, softmax(q k^T /
sqrt(d)) v over its heads, and passes through a perceptron with GELU, x/2 (1 + erf(x / sqrt 2)); each adds its input and
normalises. Texts come one length at a time, so nothing is padded and nothing masked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bbquery.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

OPSET: Final = 17
IR: Final = 8  # the format that came with opset 17, so that every ONNX Runtime that knows one knows the other
WORDS: Final = "embeddings.word_embeddings.weight"
POSITIONS: Final = "embeddings.position_embeddings.weight"
SEGMENTS: Final = "embeddings.token_type_embeddings.weight"


@dataclass(frozen=True)
class Shape:
    """Shape of a BERT that its weights do not tell: layers, heads, and the epsilon of normalisation."""

    layers: int
    heads: int
    epsilon: float


def build(weights: Mapping[str, NDArray[Any]], shape: Shape) -> bytes:
    """Return the ONNX model: "tokens" int64 (n, length) and "positions" int64 (length,) to "mean" float32 (n, d).

    weights: by their names in the checkpoint.

    Raises:
        UsageError: a weight is missing. ImportError: the package `onnx` is not installed.
    """
    graph = _Graph(weights, shape)
    x = graph.embedded()
    for layer in range(shape.layers):
        x = graph.layer(x, f"encoder.layer.{layer}")
    return graph.averaged(x)


class _Graph:
    """Nodes and weights, as they are added."""

    def __init__(self, weights: Mapping[str, NDArray[Any]], shape: Shape) -> None:
        import onnx  # noqa: PLC0415 - an optional package

        self._onnx, self._weights, self._shape = onnx, weights, shape
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}
        self._width = self._weight(WORDS).shape[1]

    def embedded(self) -> str:
        """Return the sum of a token's three embeddings, normalised."""
        words = self._node("Gather", self._matrix(WORDS), "tokens")
        places = self._node("Gather", self._matrix(POSITIONS), "positions")
        segment = self._constant("segment", self._weight(SEGMENTS)[0])
        total = self._node("Add", self._node("Add", words, places), segment)
        return self._normalised(total, "embeddings.LayerNorm")

    def layer(self, x: str, name: str) -> str:
        """Return attention and perceptron, each with its input added."""
        attended = self._linear(self._attention(x, f"{name}.attention.self"), f"{name}.attention.output.dense")
        x = self._normalised(self._node("Add", attended, x), f"{name}.attention.output.LayerNorm")
        inner = self._gelu(self._linear(x, f"{name}.intermediate.dense"))
        outer = self._linear(inner, f"{name}.output.dense")
        return self._normalised(self._node("Add", outer, x), f"{name}.output.LayerNorm")

    def averaged(self, x: str) -> bytes:
        """Return the whole model, with the mean over the tokens as its output."""
        helper, kind = self._onnx.helper, self._onnx.TensorProto
        self._nodes.append(helper.make_node("ReduceMean", [x], ["mean"], axes=[1], keepdims=0))
        inputs = [
            helper.make_tensor_value_info("tokens", kind.INT64, ["n", "length"]),
            helper.make_tensor_value_info("positions", kind.INT64, ["length"]),
        ]
        outputs = [helper.make_tensor_value_info("mean", kind.FLOAT, ["n", self._width])]
        graph = helper.make_graph(self._nodes, "bert", inputs, outputs, list(self._constants.values()))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
        written: bytes = model.SerializeToString()
        return written

    def _attention(self, x: str, name: str) -> str:
        """Return softmax(q k^T / sqrt(d)) v of every head, side by side."""
        query = self._heads(x, f"{name}.query", [0, 2, 1, 3])
        key = self._heads(x, f"{name}.key", [0, 2, 3, 1])
        value = self._heads(x, f"{name}.value", [0, 2, 1, 3])
        scale = self._constant("scale", np.float32((self._width / self._shape.heads) ** -0.5))
        weights = self._node("Softmax", self._node("Mul", self._node("MatMul", query, key), scale), axis=-1)
        joined = self._node("Transpose", self._node("MatMul", weights, value), perm=[0, 2, 1, 3])
        return self._node("Reshape", joined, self._constant("joined", np.array([0, 0, self._width])))

    def _heads(self, x: str, name: str, axes: list[int]) -> str:
        heads = self._shape.heads
        split = self._constant("split", np.array([0, 0, heads, self._width // heads]))
        return self._node("Transpose", self._node("Reshape", self._linear(x, name), split), perm=axes)

    def _gelu(self, x: str) -> str:
        scaled = self._node("Mul", x, self._constant("1 / sqrt 2", np.float32(0.5**0.5)))
        above = self._node("Add", self._node("Erf", scaled), self._constant("one", np.float32(1)))
        return self._node("Mul", self._node("Mul", x, self._constant("half", np.float32(0.5))), above)

    def _linear(self, x: str, name: str) -> str:
        weight = self._constant(f"{name}.weight", self._weight(f"{name}.weight").T)
        return self._node("Add", self._node("MatMul", x, weight), self._matrix(f"{name}.bias"))

    def _normalised(self, x: str, name: str) -> str:
        scale, offset = self._matrix(f"{name}.weight"), self._matrix(f"{name}.bias")
        return self._node("LayerNormalization", x, scale, offset, axis=-1, epsilon=self._shape.epsilon)

    def _matrix(self, name: str) -> str:
        return self._constant(name, self._weight(name))

    def _weight(self, name: str) -> NDArray[Any]:
        if name not in self._weights:
            raise UsageError(
                f"the model has no weight {name!r}, so it is no BERT: use the backend sentence-transformers"
            )
        return self._weights[name]

    def _constant(self, name: str, value: Any) -> str:
        if name not in self._constants:
            array = np.ascontiguousarray(value) if np.ndim(value) else np.asarray(value)
            kept = array.astype(np.float32) if array.dtype.kind == "f" else array.astype(np.int64)
            self._constants[name] = self._onnx.numpy_helper.from_array(kept, name)
        return name

    def _node(self, operation: str, *inputs: str, **attributes: Any) -> str:
        output = f"x{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(operation, list(inputs), [output], **attributes))
        return output
