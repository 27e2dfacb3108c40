"""What an ONNX file declares, its labels, and what is said of files that will not do."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from onnx import TensorProto

from bbquery import load
from bbquery.errors import MissingExtra, UnknownName, UsageError
from bbquery.oracle import Price
from bbquery.types import UINT8
from bbquery.units import Units
from oracles import onnx
from tests.support.onnx_asked import IMAGENET_MEAN, ask, noise, softmax
from tests.support.onnx_models import WEIGHTS, classifier, logits, operator
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

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
