"""What the answer store keeps comes back to the bit, and what decides an answer decides its key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bbquery.images.boxes import Box
from bbquery.ledger.codec import answer_key, fingerprint, image_digest, pack, unpack
from bbquery.types import Answer, Label, Labels, NoAnswer, Text, Token, Vector

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

doubles = hnp.arrays(np.float64, st.integers(0, 20), elements=st.floats(width=64))
singles = hnp.arrays(np.float64, st.integers(0, 20), elements=st.floats(width=32))
halves = st.sampled_from(["\ud83d", "\ude00"])  # of a surrogate pair, which models do answer
texts = st.lists(st.characters() | halves, max_size=8).map("".join)
pairs_of_edges = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted)
boxes = st.builds(lambda across, down: Box.of(across[0], down[0], across[1], down[1]), pairs_of_edges, pairs_of_edges)
labels = st.builds(Label, texts, st.none() | st.floats(allow_nan=False), st.none() | boxes)
logprobs = st.floats(allow_nan=False)
tokens = st.builds(Token, texts, logprobs, st.lists(st.tuples(texts, logprobs), max_size=3).map(tuple))
kinds = st.sampled_from(["refused", "filtered", "truncated", "empty"])
worded: st.SearchStrategy[Answer] = (
    st.builds(lambda found: Labels(tuple(found)), st.lists(labels))
    | st.builds(Text, texts, st.lists(tokens, max_size=3).map(tuple))
    | st.builds(NoAnswer, texts, kinds)
)
words = st.text(max_size=8) | halves
identities = st.dictionaries(words, st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words)
json_like: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["f4", "f8", "labels", "text", "tokens", "none", "kind"]), inner, max_size=3)
    ),
    max_leaves=8,
)


def values_of(answer: Answer) -> NDArray[np.float64]:
    assert isinstance(answer, Vector)
    return answer.values


@given(doubles | singles)
@example(np.array([5e-324, -5e-324, 2.2250738585072014e-308, -0.0, 0.0]))
@example(np.array([1e-45, 1.1754943508222875e-38, 3.4028234663852886e38, -0.0]))
@example(np.array([1.7976931348623157e308, np.inf, -np.inf, np.nan]))
def test_a_vector_comes_back_to_the_bit(values: NDArray[np.float64]) -> None:
    """Float64 (k,) with denormals, signed zeros and infinities is stored without losing a bit."""
    back = values_of(unpack(pack(Vector(values))))

    assert back.dtype == np.float64
    assert back.tobytes() == values.tobytes()


@given(worded)
def test_words_come_back_as_they_were(answer: Answer) -> None:
    """Labels with scores, text with its tokens and refusals of any kind are stored without a change, in any script."""
    assert unpack(pack(answer)) == answer


def test_labels_without_boxes_are_kept_as_ever() -> None:
    """What older versions stored is read, and what has no box is written as they would read it."""
    old = b'{"labels":[["cat",0.5],["dog",null]]}'

    assert unpack(old) == Labels((Label("cat", 0.5), Label("dog")))
    assert pack(unpack(old)) == old
    assert (
        pack(Labels((Label("cat", None, Box.of(0, 0.25, 0.5, 1)),))) == b'{"labels":[["cat",null,[0.0,0.25,0.5,1.0]]]}'
    )


def test_a_score_of_a_label_comes_back_to_the_bit() -> None:
    """A float64 score keeps its last digit and the sign of its zero."""
    back = unpack(pack(Labels((Label("cat", 0.1 + 0.2), Label("dog", -0.0), Label("fox")))))

    assert isinstance(back, Labels)
    assert [str(label.score) for label in back.labels] == ["0.30000000000000004", "-0.0", "None"]


def test_what_a_model_computes_in_float32_takes_half_the_bytes() -> None:
    """A thousand probabilities in float32 take 4 bytes each and base64's third, not 8."""
    values = np.random.default_rng(0).random(1000)

    short, long = pack(Vector(values.astype(np.float32).astype(np.float64))), pack(Vector(values))

    assert len(short) < 1000 * 4 * 4 / 3 + 20
    assert len(short) < 0.51 * len(long)


def test_a_vector_that_came_back_may_be_changed() -> None:
    """Nothing shares the bytes of the store."""
    back = values_of(unpack(pack(Vector(np.array([0.5, 0.25])))))

    back += 1

    assert back.tolist() == [1.5, 1.25]


NO_ANSWERS = (
    '|not json|[]|{}|{"f4":3}|{"f8":"AAA="}|{"f4":"é"}|{"labels":[1]}|{"labels":[["cat"]]}|{"labels":[[1,0.5]]}'
    '|{"labels":[["cat",0.5,[0,0,1]]]}|{"labels":[["cat",0.5,[0,0,2,1]]]}|{"labels":[["cat",0.5,["0",0,1,1]]]}'
    '|{"labels":[["cat","high"]]}|{"text":null,"tokens":[]}|{"text":"a","tokens":3}|{"text":"a","tokens":[["a",0.5]]}'
    '|{"text":"a","tokens":[["a",0.5,[3]]]}|{"none":"why","kind":"lazy"}'
)


@pytest.mark.parametrize("data", [b"\xff", *NO_ANSWERS.encode().split(b"|")])
def test_bytes_that_are_no_answer_are_refused(data: bytes) -> None:
    """A damaged store is a ValueError, never half an answer."""
    with pytest.raises(ValueError):  # noqa: PT011 - json, base64 and numpy each say it in their words
        unpack(data)


@given(json_like)
def test_foreign_json_is_an_answer_or_refused(plain: object) -> None:
    """Any JSON is either read as an answer or refused with a ValueError."""
    try:
        answer = unpack(json.dumps(plain).encode())
    except ValueError:
        return

    assert isinstance(answer, Answer)


# --- keys ---


@given(identities)
def test_an_identity_is_hashed_whatever_its_order(identity: dict[str, str | int | float | None]) -> None:
    """The same entries in another order are the same oracle, and the text is what was hashed."""
    backwards = dict(reversed(identity.items()))

    assert fingerprint(identity) == fingerprint(backwards)
    assert json.loads(fingerprint(identity)[1]) == identity
    assert len(fingerprint(identity)[0]) == 32


@given(identities)
def test_an_identity_can_be_kept_as_text(identity: dict[str, str | int | float | None]) -> None:
    """The canonical text goes into a database column, so it is plain ASCII whatever the identity holds."""
    assert fingerprint(identity)[1].isascii()


@pytest.mark.parametrize(
    "other",
    [
        {"model": "a", "version": 2},
        {"model": "b", "version": 1},
        {"model": "a", "version": "1"},
        {"model": "a", "version": 1.0},
        {"model": "a", "version": None},
        {"model": "a"},
        {"model": "a", "version": 1, "prompt": None},
    ],
)
def test_another_identity_has_another_fingerprint(other: Mapping[str, str | int | float | None]) -> None:
    """Any entry that is changed, added or left out, or is of another type, is another oracle."""
    assert fingerprint(other)[0] != fingerprint({"model": "a", "version": 1})[0]


IMAGE = np.arange(8 * 12 * 3, dtype=np.uint8).reshape(8, 12, 3)
CHANGED: dict[str, NDArray[Any]] = {
    "one pixel": np.where(np.arange(IMAGE.size).reshape(IMAGE.shape) == 7, 0, IMAGE).astype(np.uint8),
    "shape": IMAGE.reshape(12, 8, 3),
    "transposed": IMAGE.transpose(1, 0, 2),
    "float64 of the same grey levels": IMAGE.astype(np.float64),
    "int8 of the same bytes": IMAGE.view(np.int8),
    "fewer rows": IMAGE[:4],
    "none": IMAGE[:0],
}


@pytest.mark.parametrize("name", CHANGED)
def test_other_pixels_have_another_digest(name: str) -> None:
    """A digest depends on every pixel, on the shape and on the type."""
    assert image_digest(CHANGED[name]) != image_digest(IMAGE)


def test_all_digests_differ() -> None:
    """No two of the changes above are taken for each other."""
    assert len({image_digest(image) for image in CHANGED.values()}) == len(CHANGED)


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_the_layout_in_memory_does_not_matter(dtype: type) -> None:
    """Equal pixels have one digest, whether they lie in rows, in columns, or in every second place."""
    image: NDArray[Any] = IMAGE.astype(dtype)
    spread: NDArray[Any] = np.zeros((16, 24, 3), dtype)
    spread[::2, ::2] = image

    assert image_digest(np.asfortranarray(image)) == image_digest(spread[::2, ::2]) == image_digest(image)


def test_the_sign_of_zero_is_part_of_a_float_image() -> None:
    """A digest is of bits: the two zeros are different pixels."""
    zeros = np.zeros((8, 8, 3))

    assert image_digest(zeros) != image_digest(-zeros)


@given(
    first=st.tuples(st.sampled_from(["a", "a1", "b"]), st.sampled_from([b"x" * 32, b"y" * 32]), st.integers(0, 30)),
    second=st.tuples(st.sampled_from(["a", "a1", "b"]), st.sampled_from([b"x" * 32, b"y" * 32]), st.integers(0, 30)),
)
def test_a_key_is_one_oracle_one_image_one_sample(
    first: tuple[str, bytes, int], second: tuple[str, bytes, int]
) -> None:
    """Two keys are equal exactly when oracle, image and sample index all are."""
    assert (answer_key(*first) == answer_key(*second)) == (first == second)


def test_keys_are_the_same_in_every_version() -> None:
    """What is in the store stays findable: hashes of known input are written down here."""
    assert fingerprint({"oracle": "fake", "version": 1})[0] == "3a51030effd1a8cf2816e985657103e9"
    assert image_digest(IMAGE).hex() == "fe69da4d3039dc3fee0d0b7a2ab3522235c2f09f93f6e15a99c41eb6b7097189"
    assert (
        answer_key("fingerprint", b"image", 3).hex()
        == "0ba9cdbf89c70975bebb89d19b29fc84acad88f5989efe2e6c94eaf9a7233ee6"
    )
