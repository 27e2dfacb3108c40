"""Weights that Keras saved, read by h5py and never by Keras: a file of arrays, nothing in it is run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .architectures import MOBILENET

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


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
