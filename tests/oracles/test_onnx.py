"""Any ONNX file as an oracle: what it is fed, and what comes back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx import TensorProto

from bbquery.errors import OracleError, Rejected, UsageError
from bbquery.types import Classes, Label, Labels, Reply
from oracles import efficientnet, onnx
from oracles._local.onnx.reading import reading
from oracles._shared.preprocessing import preprocessing
from tests.support.onnx_models import WEIGHTS, classifier, logits, several_labels

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

from tests.support.onnx_asked import IMAGENET_MEAN, IMAGENET_STD, ask, noise, softmax

# --- what it is fed and what comes back ---


@pytest.mark.parametrize("channels", ["RGB", "BGR"])
@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((1, 3, 8, 6), {}),
        ((1, 8, 6, 3), {}),
        (("n", 3, "h", "w"), {"size": "8x6"}),
        (("n", "h", "w", 3), {"size": "8x6"}),
        (("n", "c", "h", "w"), {"size": (8, 6), "layout": "NHWC"}),
        ((None, None, None, None), {"size": [8, 6], "layout": "NCHW"}),
        ((1, 3, 8, "w"), {"size": "8X6"}),
        ((1, 3, 8, 3), {"layout": "NCHW", "size": "8x3"}),
        ((1, 3, 8, 3), {"layout": "NHWC", "size": "3x8"}),
    ],
)
async def test_every_layout_is_fed_the_numbers_it_was_trained_with(
    tmp_path: Path, shape: tuple[Any, ...], options: dict[str, Any], channels: Any
) -> None:
    """Whatever the order of axes and colours, the network sees (x * scale - mean) / std."""
    last = options.get("layout", "NHWC" if shape[3] == 3 else "NCHW") == "NHWC"
    path = classifier(tmp_path / "m.onnx", shape=shape, channels_last=last)
    oracle = onnx.connect(
        model=path, scale="1/255", mean=IMAGENET_MEAN, std="0.229|0.224|0.225", channels=channels, **options
    )
    height, width = oracle.capabilities.view.size or (0, 0)
    (image,) = noise(1, height, width)

    (values,) = await ask(oracle, [image])

    numbers = (image / 255 - IMAGENET_MEAN) / IMAGENET_STD
    expected = softmax(logits(numbers if channels == "RGB" else numbers[..., ::-1]))
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    assert values.dtype == np.float64


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [
        (TensorProto.FLOAT, 1e-5),
        (TensorProto.FLOAT16, 1e-2),
        (TensorProto.DOUBLE, 1e-12),
        (TensorProto.UINT8, 1e-5),
    ],
)
async def test_every_type_of_number_is_fed(tmp_path: Path, dtype: int, tolerance: float) -> None:
    """Half, single and double precision, and grey levels as they are."""
    scaled = dtype != TensorProto.UINT8
    oracle = onnx.connect(
        model=classifier(tmp_path / "m.onnx", dtype=dtype, weights=WEIGHTS / 64), scale="1/255" if scaled else 1
    )
    (image,) = noise(1)

    (values,) = await ask(oracle, [image])

    expected = softmax(logits(image / 255 if scaled else image, WEIGHTS / 64))
    np.testing.assert_allclose(values, expected, rtol=tolerance)


@settings(deadline=None)
@given(arrays(np.uint8, (2, 3, 3)), st.sampled_from([("1/255", IMAGENET_MEAN, IMAGENET_STD), ("1/128", 1.0, 0.5)]))
def test_preprocessing_is_torchvisions_to_the_last_bit(pixels: NDArray[np.uint8], options: Any) -> None:
    """The numbers are those of ToTensor and Normalize, whose order of operations decides the last bit."""
    import torch

    scale, mean, std = options
    three = [torch.tensor([value] * 3 if isinstance(value, float) else value).reshape(3, 1, 1) for value in (mean, std)]
    scaled = torch.from_numpy(np.moveaxis(pixels, -1, 0).copy()).to(torch.float32) / int(scale[2:])
    expected = ((scaled - three[0]) / three[1]).numpy()

    made = preprocessing(scale=scale, mean=mean, std=std, channels="RGB", layout="NCHW", dtype="float32")(pixels)

    assert made.tobytes() == expected.tobytes()
    assert made.shape == (3, 2, 3)
    assert made.dtype == np.float32


@pytest.mark.parametrize(
    ("in_model", "option", "answers", "expected"),
    [
        (False, "auto", "probabilities", "softmax"),
        (True, "auto", "probabilities", "softmax"),
        (False, "softmax", "probabilities", "softmax"),
        (True, "softmax", "probabilities", "softmax of softmax"),
        (True, "none", "probabilities", "softmax"),
        (False, "auto", "scores", "logits"),
        (False, "sigmoid", "probabilities", "sigmoid"),
        (False, "none", "scores", "logits"),
    ],
)
async def test_softmax_is_applied_where_it_is_missing(
    tmp_path: Path, in_model: bool, option: Any, answers: Any, expected: str
) -> None:
    """Logits become probabilities, probabilities stay, and scores are the model's numbers."""
    oracle = onnx.connect(
        model=classifier(tmp_path / "m.onnx", softmax=in_model), scale="1/255", activation=option, answers=answers
    )
    (image,) = noise(1)

    (values,) = await ask(oracle, [image])

    raw = logits(image / 255)
    wanted = {"logits": raw, "softmax": softmax(raw), "softmax of softmax": softmax(softmax(raw))}
    wanted["sigmoid"] = 1 / (1 + np.exp(-raw))
    np.testing.assert_allclose(values, wanted[expected], rtol=1e-5)
    assert oracle.capabilities.answers == answers


@pytest.mark.parametrize(
    ("numbers", "applied"),
    [
        ([0.25, 0.75], "none"), ([0.5, 0.5005], "none"), ([2.0, -1.0], "softmax"), ([2.0, 3.0], "softmax"),
        ([25.0, 75.0], "percent"), ([99.99, 0.0], "percent"),
    ],
)  # fmt: skip
def test_what_numbers_plainly_are_is_seen(numbers: list[float], applied: str) -> None:
    """What adds up to 1 needs no softmax, what adds up to 100 is in percent, and logits are below 0 or above 1."""
    trials = np.array([numbers] * 3)

    assert reading(trials, "out", answers="probabilities", activation="auto", classes=None).applied == applied


@pytest.mark.parametrize("numbers", [[0.94, 0.94], [0.5, 0.4], [0.0, 0.0], [1.0, 1.0]])
def test_numbers_that_may_be_read_in_two_ways_are_refused(numbers: list[float]) -> None:
    """Within 0 to 1 without adding up to 1: each for itself, or small logits. The choice is named."""
    with pytest.raises(UsageError, match=r"within 0 to 1 and add up to .*: say activation=none if .*=softmax or"):
        reading(np.array([numbers]), "out", answers="probabilities", activation="auto", classes=None)


@pytest.mark.parametrize(
    ("numbers", "options", "said"),
    [
        ([0.94, 0.94], {"activation": "none"}, "the 2 numbers of the output 'out' as they are, each a probability"),
        ([0.5, 0.5], {}, "the 2 numbers of the output 'out' as they are"),
        ([5.0, -2.0], {}, "softmax of the 2 numbers of the output 'out'"),
        ([5.0, -2.0], {"activation": "sigmoid"}, "sigmoid of the 2 numbers of the output 'out', each a probability"),
        ([5.0, -2.0], {"answers": "scores"}, "the 2 numbers of the output 'out' as they are"),
        ([5.0, 95.0], {}, "the 2 numbers of the output 'out', which are percentages, divided by 100"),
        ([0.7], {}, "the one number of the output 'out': a score of one class"),
        ([0.7], {"activation": "sigmoid"}, "sigmoid of the one number of the output 'out', each a probability"),
    ],
)
def test_what_is_applied_is_said(numbers: list[float], options: dict[str, Any], said: str) -> None:
    """A sentence for people and records says what becomes of the model's numbers."""
    chosen = {"answers": "probabilities", "activation": "auto"} | options

    found = reading(np.array([numbers]), "out", classes=None, **chosen)

    assert found.description.startswith(said)


@pytest.mark.parametrize(
    ("numbers", "options", "fault"),
    [
        (np.array([[3]]), {}, r"one number .* is whole \(int64\), so it is the index of a class and not a score: .*"),
        (np.array([[3]]), {}, r"output=NAME, or say answers=labels"),
        (np.array([[3, 250]], np.uint8), {}, r"are whole \(uint8\), so nobody can tell.*: say answers=scores, or act"),
        (np.array([[0.7]]), {"activation": "softmax"}, r"is always 1: say activation=sigmoid"),
        (np.array([[0.7]]), {"answers": "labels"}, r"answers=labels is for a model that gives the index of a class"),
        (np.array([[3]]), {"answers": "labels", "activation": "softmax"}, r"leave out activation=softmax"),
        (np.array([[3.0, -1]]), {"answers": "scores", "activation": "softmax"}, r"leave out activation=softmax"),
        (
            np.array([[3.0, -1]]),
            {"activation": "none"},
            r"run from -1 to 3, .*softmax or .*percent if percentages, or answers=scores",
        ),
        (
            np.array([[0.7]]),
            {"classes": Classes((("cat",), ("dog",)))},
            r"a score of one class, and there are 2 labels",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(numbers: NDArray[Any], options: dict[str, Any], fault: str) -> None:
    """The index of a class is no score, and options that contradict each other or the numbers are named."""
    chosen = {"answers": "probabilities", "activation": "auto", "classes": None} | options

    with pytest.raises(UsageError, match=fault):
        reading(numbers, "out", **chosen)


async def test_several_yes_or_no_scores_are_not_put_through_softmax(tmp_path: Path) -> None:
    """A model of several labels that ends in a sigmoid is asked about; then its numbers are answers as they are."""
    path = several_labels(tmp_path / "m.onnx")

    with pytest.raises(UsageError, match=r"the 4 numbers of the output 'out' are within 0 to 1 and add up to"):
        onnx.connect(model=path, scale="1/255")
    oracle = onnx.connect(model=path, scale="1/255", activation="none")
    (image,) = noise(1)
    (values,) = await ask(oracle, [image])

    np.testing.assert_allclose(values, 1 / (1 + np.exp(-logits(image / 255))), rtol=1e-5)
    assert oracle.capabilities.activation.endswith("each a probability for itself")


async def test_the_index_of_a_class_is_a_label_where_that_is_said(tmp_path: Path) -> None:
    """A model that ends in ArgMax answers one label, by name or else by number; a score is not made of it."""
    path = several_labels(tmp_path / "m.onnx", last="ArgMax")
    (tmp_path / "labels.txt").write_text("ape\nbee\ncat\ndog\n")
    (image,) = noise(1)

    with pytest.raises(UsageError, match="it is the index of a class and not a score"):
        onnx.connect(model=path, scale="1/255", labels=str(tmp_path / "labels.txt"))
    named = onnx.connect(model=path, scale="1/255", labels=str(tmp_path / "labels.txt"), answers="labels")
    bare = onnx.connect(model=path, scale="1/255", answers="labels")

    top = int(logits(image / 255).argmax())
    for oracle, name in ((named, ("ape", "bee", "cat", "dog")[top]), (bare, str(top))):
        (reply,) = await oracle.answer([oracle.encode(image)])
        await oracle.aclose()
        assert reply.answer == Labels((Label(name),))  # type: ignore[union-attr] # no error


async def test_one_thread_answers_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sum over several threads could change in its last bit from run to run."""
    import onnxruntime

    opened, opening = [], onnxruntime.InferenceSession

    def session(path: str, options: Any, **more: Any) -> Any:
        opened.append((options.intra_op_num_threads, options.inter_op_num_threads))
        return opening(path, options, **more)

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)

    await onnx.connect(model=classifier(tmp_path / "m.onnx")).aclose()

    assert opened == [(1, 1)]


async def test_the_output_that_is_named_is_read(tmp_path: Path) -> None:
    """Of several outputs the one that the user means."""
    oracle = onnx.connect(model=classifier(tmp_path / "m.onnx", outputs=2), output="mean", answers="scores")
    (image,) = noise(1)

    (values,) = await ask(oracle, [image])

    np.testing.assert_allclose(values, image.mean(axis=(0, 1)), rtol=1e-5)


async def test_an_answer_does_not_depend_on_its_batch(tmp_path: Path) -> None:
    """An image's numbers are the same bits alone, in any batch and beside other batches."""
    path = classifier(tmp_path / "m.onnx", shape=("n", 3, 8, 6))
    images = noise(4)
    alone = [(await ask(onnx.connect(model=path), [image]))[0].tobytes() for image in images]
    oracle = onnx.connect(model=path, concurrency=3)
    payloads = [oracle.encode(image) for image in images]

    batches = await asyncio.gather(*(oracle.answer(part) for part in (payloads, payloads[::-1], payloads[1:3])))
    await oracle.aclose()

    bits = [[reply.answer.values.tobytes() for reply in batch if isinstance(reply, Reply)] for batch in batches]  # type: ignore[union-attr]  # vectors, all of them
    assert bits == [alone, alone[::-1], alone[1:3]]


async def test_the_default_network_is_served_alike_from_its_file(tmp_path: Path, monkeypatch: Any) -> None:
    """EfficientNet's own file, opened as any other, gives the bits that the oracle of that name gives."""
    monkeypatch.setenv("BBQUERY_HOME", str(tmp_path))
    images = noise(2, 224, 224)
    expected = await ask(efficientnet.connect(), images)
    (path,) = (tmp_path / "cache" / "efficientnet").iterdir()

    oracle = onnx.connect(model=str(path), labels="imagenet", crop=0.875)
    found = await ask(oracle, images)

    assert [values.tobytes() for values in found] == [values.tobytes() for values in expected]
    assert oracle.capabilities.classes is not None
    assert oracle.capabilities.classes.show(281) == "tabby"
    assert oracle.capabilities.view == efficientnet.connect().capabilities.view


async def test_a_model_that_fails_on_an_image_is_an_error_of_the_oracle(tmp_path: Path) -> None:
    """What ONNX Runtime raises reaches the client as a failure that cost nothing and would come again."""
    oracle: Any = onnx.connect(model=classifier(tmp_path / "m.onnx"))

    with pytest.raises(OracleError, match=r"m: ONNX Runtime failed: .*pixels") as caught:
        await oracle.answer([np.zeros((8, 7, 3), np.uint8)])
    await oracle.aclose()

    assert type(caught.value) is Rejected
