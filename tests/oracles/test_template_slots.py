"""JSON with places for images: filled in, it is the document that was described."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bbquery.errors import UsageError
from oracles._http.template.bodies import JsonBody
from oracles._http.template.slots import OF_AN_IMAGE, TEXTS, document
from oracles._shared.preprocessing import preprocessing

TEXT = {"image_base64": "aGVs+/==", "image_data_url": "data:image/png;base64,aGVs+/=="}
VALUES: dict[str, Any] = {**TEXT, "image_floats": [[0.5, -1e-7]], "image_width": 3, "image_height": 2}
FILLING = {name: value.encode() if name in TEXTS else json.dumps(value).encode() for name, value in VALUES.items()}

signs = st.sampled_from(["$", "{", "}", "$ {", "{}", '"', "\\", "$x{", "a:b", ","])
plain = (st.text(max_size=8) | signs).filter(lambda text: "${" not in text)  # which begins a place, known or not
slots = st.sampled_from(list(OF_AN_IMAGE)).map("${{{}}}".format)
within = st.tuples(plain, st.sampled_from(list(TEXTS)).map("${{{}}}".format), plain).map("".join)
leaves = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | plain | slots | within
contents = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(plain, inner, max_size=4),
    max_leaves=16,
).filter(lambda content: "$${" not in json.dumps(content, ensure_ascii=False))


def substituted(content: Any) -> Any:
    """Fill in a document as its description says, on Python's objects and one by one."""
    if isinstance(content, list):
        return [substituted(part) for part in content]
    if isinstance(content, dict):
        return {name: substituted(part) for name, part in content.items()}
    if not isinstance(content, str):
        return content
    for name, value in VALUES.items():
        if content == f"${{{name}}}":
            return value
    for name, text in TEXT.items():
        content = content.replace(f"${{{name}}}", text)
    return content


@given(contents)
def test_a_filled_document_is_the_described_one(content: Any) -> None:
    """Wherever places stand, whatever surrounds them, each is replaced and nothing else is touched."""
    made = document(content, "request.json")

    assert json.loads(made.filled({slot: FILLING[slot] for slot in made.slots})) == substituted(content)
    assert made.names == set(made.slots)


@given(st.recursive(st.text(max_size=10) | st.just("${image_base64}"), lambda i: st.lists(i, max_size=3)))
def test_two_dollars_write_a_plain_place(content: Any) -> None:
    """Any document can be written literally by doubling the dollar before a brace."""

    def escaped(part: Any) -> Any:
        return part.replace("${", "$${") if isinstance(part, str) else [escaped(inner) for inner in part]

    made = document(escaped(content), "request.json")

    assert json.loads(made.filled({})) == content


@given(st.text(alphabet='${}"\\aimge_bs64 :', max_size=24))
def test_any_text_is_a_document_or_a_mistake(text: str) -> None:
    """Whatever a user writes into a text, it makes valid JSON or is refused as theirs."""
    try:
        made = document({"a": text}, "request.json")
    except UsageError as error:
        assert "request.json" in str(error)  # noqa: PT017 - either outcome is right
        return

    assert set(json.loads(made.filled({slot: FILLING[slot] for slot in made.slots}))) == {"a"}


@settings(deadline=None)
@given(contents, st.integers(1, 3), st.booleans())
def test_each_image_has_a_part_of_its_own(content: Any, count: int, in_list: bool) -> None:
    """A part with "${each}" becomes a list of that part filled in for each image, in order."""
    images = [np.full((2, 3, 3), 10 * number, np.uint8) for number in range(count)]
    outer = {"parts": {"${each}": [content, "${image_floats}"]}, "n": "${images_count}"}
    prepare = preprocessing(scale=1, mean=0, std=1, channels="RGB", layout="NHWC", dtype="uint8")
    body = JsonBody(document([outer] if in_list else outer, "request.json"), prepare)

    sent, headers = body.join([body.encode(image) for image in images])

    filled = json.loads(sent)[0] if in_list else json.loads(sent)
    assert filled["n"] == count
    assert [part[1] for part in filled["parts"]] == [image.tolist() for image in images]
    assert headers == {"Content-Type": "application/json"}


@settings(deadline=None)
@given(
    st.integers(1, 3), st.sampled_from(["NCHW", "NHWC"]), st.sampled_from(["float32", "float16", "float64", "uint8"])
)
def test_tensors_hold_all_images_in_every_form(count: int, layout: Any, dtype: Any) -> None:
    """Nested, flat and as bytes, the numbers are NumPy's stack of the images, with its shape."""
    images = list(np.random.default_rng(count).integers(0, 256, (count, 2, 4, 3), dtype=np.uint8))
    scaled = {} if dtype == "uint8" else {"scale": "1/255", "mean": [0.4, 0.5, 0.6], "std": 0.3}
    options: Any = {"scale": 1, "mean": 0, "std": 1} | scaled
    prepare = preprocessing(**options, channels="BGR", layout=layout, dtype=dtype)
    content = {"a": "${images_floats}", "b": "${images_flat}", "c": "${images_shape}", "d": "${images_bytes}"}
    body = JsonBody(document(content, "request.json"), prepare, "Json-Length")

    sent, headers = body.join([body.encode(image) for image in images])

    length = int(headers["Json-Length"])
    filled, rest = json.loads(sent[:length]), sent[length:]
    numbers = np.stack([image.astype(np.float64)[..., ::-1] for image in images])
    if scaled:
        numbers = (numbers / 255 - (0.6, 0.5, 0.4)) / 0.3
    stacked = np.moveaxis(numbers, -1, 1) if layout == "NCHW" else numbers
    tolerance = {"float16": 2e-3, "float32": 1e-5}.get(dtype, 1e-12)
    np.testing.assert_allclose(filled["a"], stacked, rtol=tolerance, atol=tolerance)
    assert np.array_equal(np.ravel(filled["a"]), filled["b"])
    assert filled["c"] == list(stacked.shape)
    assert filled["d"] == len(rest) == stacked.size * np.dtype(dtype).itemsize
    read_back = np.frombuffer(rest, np.dtype(dtype).newbyteorder("<")).reshape(stacked.shape)
    assert np.array_equal(read_back, np.array(filled["a"], dtype))
    assert headers["Content-Type"] == "application/octet-stream"


def test_a_payload_holds_what_is_sent_and_no_more() -> None:
    """Of an image only the form that travels is kept in memory while it waits."""
    prepare = preprocessing(scale=1, mean=0, std=1, channels="RGB", layout="NHWC", dtype="float32")
    flat = JsonBody(document({"a": "${images_flat}", "b": "${images_shape}"}, "request.json"), prepare)
    texts = JsonBody(document({"${each}": {"b64": "${image_base64}"}}, "request.json"), prepare)
    image = np.zeros((2, 3, 3), np.uint8)

    assert flat.encode(image).keys() == {"flat", "shape"}
    assert texts.encode(image).keys() == {"each 0"}
