"""Small ONNX files, of every form that a classifier of images may have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

WEIGHTS: NDArray[Any] = np.random.default_rng(5).normal(size=(3, 4)).astype(np.float32)
FLOATS: dict[int, type[np.floating[Any]]] = {
    TensorProto.FLOAT: np.float32,
    TensorProto.FLOAT16: np.float16,
    TensorProto.DOUBLE: np.float64,
}


def classifier(
    path: Path,
    *,
    shape: tuple[Any, ...] = (1, 3, 8, 6),
    dtype: int = TensorProto.FLOAT,
    softmax: bool = False,
    outputs: int = 1,
    channels_last: bool = False,
    weights: NDArray[Any] = WEIGHTS,
    external: bool = False,
) -> str:
    """Write a model whose logits are the mean colour times `weights`, and return its path."""
    number = TensorProto.FLOAT if dtype == TensorProto.UINT8 else dtype
    axes = [1, 2] if channels_last else [2, 3]
    nodes = [
        helper.make_node("Cast", ["pixels"], ["numbers"], to=number),
        helper.make_node("ReduceMean", ["numbers"], ["mean"], axes=axes, keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=-1),
    ]
    named = ["probabilities" if softmax else "logits", "mean"][:outputs]
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("pixels", dtype, shape)],
        [helper.make_tensor_value_info(name, number, None) for name in named],
        [numpy_helper.from_array(weights.astype(FLOATS[number]), "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    data = f"{path.name}.data"
    onnx.save_model(model, str(path), save_as_external_data=external, location=data, size_threshold=0)
    return str(path)


def several_labels(path: Path, *, last: str = "Sigmoid") -> str:
    """Write the classifier with another operator at its end than softmax, and return its path."""
    model = onnx.load(classifier(path))
    whole = last == "ArgMax"
    attributes: dict[str, Any] = {"axis": -1, "keepdims": 0} if whole else {}
    model.graph.node[-1].CopyFrom(helper.make_node(last, ["logits"], ["out"], **attributes))
    kind = TensorProto.INT64 if whole else TensorProto.FLOAT
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("out", kind, None))
    onnx.save_model(model, str(path))
    return str(path)


def operator(path: Path, kind: str, shape: tuple[Any, ...], dtype: int = TensorProto.FLOAT, **attributes: Any) -> str:
    """Write a model of one operator, and return its path."""
    graph = helper.make_graph(
        [helper.make_node(kind, ["pixels"], ["out"], **attributes)],
        "operator",
        [helper.make_tensor_value_info("pixels", dtype, shape)],
        [helper.make_tensor_value_info("out", dtype, None)],
    )
    onnx.save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return str(path)


def logits(numbers: NDArray[Any], weights: NDArray[Any] = WEIGHTS) -> NDArray[np.float64]:
    """Return what the classifier computes of its input's numbers (H, W, 3), with NumPy in float64."""
    mean: NDArray[np.float64] = numbers.astype(np.float64).mean(axis=(0, 1))
    return mean @ weights.astype(np.float64)
