"""Any ONNX file as an oracle: what it is fed, what comes back, and what is said of files that will not do."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx import TensorProto

from bbquery import load
from bbquery.errors import MissingExtra, OracleError, Rejected, UnknownName, UsageError
from bbquery.oracle import Price
from bbquery.types import UINT8, Classes, Label, Labels, Reply, Vector
from bbquery.units import Units
from oracles import efficientnet, onnx
from oracles._local.onnx.reading import reading
from oracles._shared.preprocessing import preprocessing
from tests.support.onnx_models import WEIGHTS, classifier, logits, operator, several_labels
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.oracle import Oracle

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def noise(count: int, height: int = 8, width: int = 6) -> list[NDArray[np.uint8]]:
    return list(np.random.default_rng(1).integers(0, 256, (count, height, width, 3), dtype=np.uint8))


def softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.exp(values) / np.exp(values).sum())


async def ask(oracle: Oracle, images: list[NDArray[np.uint8]]) -> list[NDArray[np.float64]]:
    """Return the values of one batch, and close the oracle."""
    try:
        replies = await oracle.answer([oracle.encode(image) for image in images])
    finally:
        await oracle.aclose()
    return [reply.answer.values for reply in replies if isinstance(reply, Reply) and isinstance(reply.answer, Vector)]


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


# --- what it declares ---


async def test_capabilities_are_read_from_the_file(tmp_path: Path) -> None:
    """Name, size, price and limits; a query costs a query."""
    oracle = onnx.connect(model=classifier(tmp_path / "two.colours.onnx"), crop=0.5, concurrency=3)
    payload = oracle.encode(noise(1)[0])
    await oracle.aclose()

    capabilities = oracle.capabilities
    assert (capabilities.name, capabilities.answers, capabilities.domain) == ("two.colours", "probabilities", UINT8)
    assert (capabilities.view.size, capabilities.view.crop) == ((8, 6), 0.5)
    assert (capabilities.limits.concurrency, capabilities.price, capabilities.remote) == (3, Price(free=True), False)
    assert oracle.quote(payload).worst == Units(queries=1)
    assert oracle.rate_seen is None


def identity(path: str, **options: Any) -> dict[str, Any]:
    return dict(onnx.connect(model=path, **options).capabilities.identity)


async def test_whatever_changes_answers_changes_the_identity(tmp_path: Path) -> None:
    """Weights, preprocessing, output and softmax are part of every answer's key; the file's name is not."""
    path = classifier(tmp_path / "m.onnx", outputs=2)
    renamed = classifier(tmp_path / "renamed.onnx", outputs=2)
    other = classifier(tmp_path / "other.onnx", outputs=2, weights=WEIGHTS * 2)
    base: dict[str, Any] = {"output": "logits"}
    changes: list[dict[str, Any]] = [
        {"output": "mean"}, {"scale": "1/255"}, {"mean": 1}, {"std": 2}, {"channels": "BGR"},
        {"activation": "sigmoid"}, {"answers": "scores"},
    ]  # fmt: skip

    identities = [identity(path, **base), identity(other, **base), *(identity(path, **base | c) for c in changes)]

    assert len({json.dumps(found, sort_keys=True) for found in identities}) == 2 + len(changes)
    assert all(str(tmp_path) not in str(found) for found in identities)
    assert identity(renamed, **base) == identities[0]


async def test_weights_beside_the_file_are_part_of_the_identity(tmp_path: Path) -> None:
    """A model whose numbers lie in a second file is opened, and changes with that file."""
    path = classifier(tmp_path / "m.onnx", external=True)
    before = identity(path)
    (image,) = noise(1)
    (values,) = await ask(onnx.connect(model=path, answers="scores"), [image])
    data = tmp_path / "m.onnx.data"
    graph = (tmp_path / "m.onnx").read_bytes()

    data.write_bytes((WEIGHTS * 2).tobytes())

    assert graph == (tmp_path / "m.onnx").read_bytes()
    assert identity(path)["model"] != before["model"]
    np.testing.assert_allclose(values, logits(image), rtol=1e-5)


async def test_missing_weights_are_named(tmp_path: Path) -> None:
    """A file that was copied without its weights says which file is missing."""
    path = classifier(tmp_path / "m.onnx", external=True)
    (tmp_path / "m.onnx.data").unlink()

    with pytest.raises(UsageError, match=r"cannot read the weights of m\.onnx in '.*m\.onnx\.data': No such file"):
        onnx.connect(model=path)


# --- labels ---


@pytest.mark.parametrize(
    ("name", "content", "names", "keys"),
    [
        ("a.txt", "cat\ndog\nred fox, fox\nowl\n", [("cat",), ("dog",), ("red fox", "fox"), ("owl",)], ()),
        (
            "synset.txt",
            "n01 x\nn01440764 tench, Tinca tinca\nn01443537 goldfish\nn01484850 shark",
            [("n01 x",), ("n01440764 tench", "Tinca tinca"), ("n01443537 goldfish",), ("n01484850 shark",)],
            (),
        ),
        (
            "synset.txt",
            "n02123045 tabby, tabby cat\nn01440764 tench\nn01443537 goldfish\nn01484850 shark",
            [("tabby", "tabby cat"), ("tench",), ("goldfish",), ("shark",)],
            ("n02123045", "n01440764", "n01443537", "n01484850"),
        ),
        ("a.json", '["a", ["b", "bee"], "c", "d"]', [("a",), ("b", "bee"), ("c",), ("d",)], ()),
        ("a.json", '{"1": "b", "0": "a", "2": "c", "3": "d"}', [("a",), ("b",), ("c",), ("d",)], ()),
    ],
)
async def test_labels_are_read_as_people_keep_them(
    tmp_path: Path, name: str, content: str, names: list[tuple[str, ...]], keys: tuple[str, ...]
) -> None:
    """A name a line, with synonyms and WordNet IDs or without, and JSON by place or by index."""
    (tmp_path / name).write_text(content)

    classes = onnx.connect(model=classifier(tmp_path / "m.onnx"), labels=str(tmp_path / name)).capabilities.classes

    assert classes is not None
    assert (classes.names, classes.keys) == (tuple(names), keys)


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("a.txt", "cat\ndog", r"gives 4 numbers for an image, and there are 2 labels"),
        ("a.txt", "cat\n\ndog", r"line 2 is blank"),
        ("a.txt", "", r"class 0 must be a name|not empty"),
        ("a.json", "[1]", r"class 0 must be a name or a list of names, not 1"),
        ("a.json", '{"1": "b"}', r"by index from 0 on; 0 is missing"),
        ("a.json", '"cat"', r"must be a list of names"),
        ("a.json", "[", r"not JSON"),
        ("b.txt", None, r"cannot read the labels in .*b\.txt': No such file"),
    ],
)
async def test_labels_that_cannot_be_used_are_named(tmp_path: Path, name: str, content: str, fault: str) -> None:
    """A file that does not fit the model, or cannot be read, says why."""
    if content is not None:
        (tmp_path / name).write_text(content)

    with pytest.raises(UsageError, match=fault):
        onnx.connect(model=classifier(tmp_path / "m.onnx"), labels=str(tmp_path / name))


# --- files that will not do ---


@pytest.mark.parametrize(
    ("model", "options", "fault"),
    [
        (
            {"shape": (1, 3, "h", 6)},
            {},
            r"\[1, 3, 'h', 6\]: it takes any size.*size=224x224",
        ),
        ({"shape": (1, 3, 8, 6)}, {"size": "8x8"}, r"does not take size=8x8; leave the option out"),
        ({"shape": (1, 3, "h", "w")}, {"size": "big"}, r"size must be HEIGHTxWIDTH.*not 'big'"),
        ({"shape": (1, 3, "h", "w")}, {"size": "1x2x3"}, r"size must be HEIGHTxWIDTH"),
        ({"shape": (1, 3, "h", "w")}, {"size": 0}, r"size must be HEIGHTxWIDTH"),
        ({"shape": (1, 3, "h", "w")}, {"size": 5000}, r"size must be 1 to 4096 pixels a side, not 5000x5000"),
        ({"shape": (1, "c", "h", "w")}, {"size": 8}, r"say whether channels come first or last.*layout=NHWC"),
        ({"shape": (1, 3, 8, 3)}, {}, r"say whether channels come first or last"),
        ({"shape": (1, 3, 8, 6)}, {"layout": "NHWC"}, r"that is NCHW, not layout=NHWC"),
        ({"shape": (4, 3, 8, 6)}, {}, r"export it with a batch of 1"),
        ({"outputs": 2}, {}, r"several outputs: name one as output=logits \(there are logits, mean\)"),
        ({"outputs": 2}, {"output": "out"}, r"unknown output of the model 'out'; known: logits, mean"),
        ({}, {"scale": "half"}, r"scale must be a number or a fraction such as 1/255, not 'half'"),
        ({}, {"scale": "1/0"}, r"scale must be a number"),
        ({}, {"scale": 0}, r"scale must be a number"),
        ({}, {"scale": -1}, r"scale must be above 0, not -1"),
        ({}, {"mean": "1|2"}, r"mean must be one number, or three"),
        ({}, {"mean": (1, None, 2)}, r"mean must be one number, or three"),
        ({}, {"std": "a"}, r"std must be one number, or three"),
        ({}, {"std": (1, 0, 1)}, r"std must be above 0"),
        ({}, {"mean": float("nan")}, r"mean must be one number"),
        ({"dtype": TensorProto.UINT8}, {"scale": "1/255"}, r"sent as they are: leave out scale, mean and std"),
        ({}, {"crop": 1.5}, r"crop is the share .* not 1\.5"),
        ({}, {"concurrency": 0}, r"concurrency must be at least 1"),
        ({}, {"activation": "maybe"}, r"unknown value of activation 'maybe'; known: auto, softmax, sigmoid, percent"),
        ({"weights": WEIGHTS * np.inf}, {}, r"'logits' is not finite: are scale, mean and std"),
    ],
)
async def test_what_does_not_fit_is_said_before_a_query(
    tmp_path: Path, model: dict[str, Any], options: dict[str, Any], fault: str
) -> None:
    """A model or an option that cannot be used is named, with what to do."""
    path = classifier(tmp_path / "m.onnx", **model)

    with pytest.raises(UsageError, match=fault):
        onnx.connect(model=path, **options)


async def test_a_score_may_stand_alone(tmp_path: Path) -> None:
    """A model of one number, such as one that rates photos, gives a score of one class, and that is said."""
    oracle = onnx.connect(model=classifier(tmp_path / "m.onnx", weights=WEIGHTS[:, :1]))
    (image,) = noise(1)

    (values,) = await ask(oracle, [image])

    np.testing.assert_allclose(values, logits(image, WEIGHTS[:, :1]), rtol=1e-5)
    assert oracle.capabilities.answers == "scores"
    assert oracle.capabilities.activation == "the one number of the output 'logits': a score of one class"


@pytest.mark.parametrize(
    ("kind", "shape", "dtype", "attributes", "fault"),
    [
        ("Relu", (1, 3, 8, 6), TensorProto.FLOAT, {}, r"'out' is float32 \[1, 3, 8, 6\] for one image"),
        ("Relu", (1, 1, 8, 8), TensorProto.FLOAT, {}, r"must have 3 channels"),
        ("Relu", (3, 8, 6), TensorProto.FLOAT, {}, r"has four dimensions"),
        ("Identity", (1, 3, 8, 6), TensorProto.INT64, {}, r"int64\).*must be of float, float16, double or uint8"),
        ("Cast", (1, 3, 8, 6), TensorProto.FLOAT, {"to": TensorProto.STRING}, r"for one image|cannot"),
        ("DepthToSpace", (1, 3, 8, 6), TensorProto.FLOAT, {"blocksize": 2}, r"cannot (be run on one image|open)"),
    ],
)
async def test_a_model_that_is_no_classifier_is_told_so(
    tmp_path: Path,
    kind: str,
    shape: Any,
    dtype: int,
    attributes: dict[str, Any],
    fault: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Images out, whole numbers in, texts, and operators that cannot be run: said once, without the runtime's noise."""
    path = operator(tmp_path / "m.onnx", kind, shape, dtype, **attributes)

    with pytest.raises(UsageError, match=fault):
        onnx.connect(model=path)

    assert capfd.readouterr() == ("", "")


async def test_a_model_of_several_inputs_is_told_so(tmp_path: Path) -> None:
    """An image alone cannot fill two inputs."""
    import onnx as format_

    path = classifier(tmp_path / "m.onnx")
    model = format_.load(path)
    model.graph.input.append(format_.helper.make_tensor_value_info("mask", TensorProto.FLOAT, (1,)))
    format_.save_model(model, path)

    with pytest.raises(UsageError, match="one input; this model has 2: 'pixels', 'mask'"):
        onnx.connect(model=path)


@pytest.mark.parametrize("content", [None, b"", b"not a model"])
async def test_what_is_no_model_is_told_so(
    tmp_path: Path, content: bytes | None, capfd: pytest.CaptureFixture[str]
) -> None:
    """An absent or foreign file is named once, without the runtime's own noise."""
    path = tmp_path / "m.onnx"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(UsageError, match=r"m\.onnx"):
        onnx.connect(model=str(path))

    assert capfd.readouterr() == ("", "")


async def test_an_image_of_another_shape_is_refused(tmp_path: Path) -> None:
    """Only uint8 RGB of the model's size is taken."""
    oracle = onnx.connect(model=classifier(tmp_path / "m.onnx"))

    with pytest.raises(UsageError, match=r"m takes images \(8, 6, 3\) of uint8, not \(6, 8, 3\) of uint8"):
        oracle.encode(np.zeros((6, 8, 3), np.uint8))

    await oracle.aclose()


# --- how it is reached ---


async def test_it_is_connected_from_a_command_line(tmp_path: Path) -> None:
    """All options can be written in a specification, lists by bars."""
    path = classifier(tmp_path / "m.onnx", shape=(1, 3, "h", "w"))

    options = "scale=1/255,mean=0.485|0.456|0.406,std=0.5,size=8x6,channels=BGR,layout=NCHW,activation=softmax,crop=0.5"
    oracle = await load.oracle(f"onnx:model={path},{options}")
    (image,) = noise(1)
    (values,) = await ask(oracle, [image])

    numbers = ((image / 255 - IMAGENET_MEAN) / 0.5)[..., ::-1]
    np.testing.assert_allclose(values, softmax(logits(numbers)), rtol=1e-5)


def test_importing_the_oracle_imports_no_runtime() -> None:
    """ONNX Runtime is imported when a model is connected, and not before."""
    code = "import sys, oracles.onnx; print({'onnx', 'onnxruntime'} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"


def test_a_missing_runtime_names_its_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without ONNX Runtime the oracle says which extra to install."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)

    with pytest.raises(MissingExtra, match=r"onnxruntime.*bbquery\[onnx\]"):
        onnx.connect(model=str(tmp_path / "m.onnx"))


def test_a_wrong_choice_is_named(tmp_path: Path) -> None:
    """A layout that there is not is refused by its name."""
    with pytest.raises(UnknownName, match="value of layout 'HWC'"):
        onnx.connect(model=str(tmp_path / "m.onnx"), layout="HWC")  # type: ignore[arg-type]  # what a person may write
