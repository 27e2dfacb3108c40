"""The memory for vectors: what is remembered is not computed, what is old is forgotten, and threads do not mix."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bbquery.scoring.embeddings.memory import Remembered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class Lengths:
    """A text's vector is its length and its first letter."""

    identity = "lengths"

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.calls.append(list(texts))
        return np.array([[len(text), ord(text[0])] for text in texts], dtype=np.float32)


def test_a_text_is_embedded_once() -> None:
    """In one call and over calls; what is new goes in one batch, and the answers keep their order."""
    lengths = Lengths()
    memory = Remembered(lengths)

    first = memory.embed(["bb", "a", "bb"])
    second = memory.embed(["a", "ccc"])

    assert lengths.calls == [["bb", "a"], ["ccc"]]
    assert (first.tolist(), second.tolist()) == ([[2, 98], [1, 97], [2, 98]], [[1, 97], [3, 99]])
    assert memory.identity == "lengths"


def test_the_longest_unused_is_forgotten() -> None:
    """At most so many texts are kept, and using one makes it young again."""
    lengths = Lengths()
    memory = Remembered(lengths, most=2)
    for texts in (["a"], ["b"], ["a"], ["c"], ["a"], ["b"]):
        memory.embed(texts)

    assert lengths.calls == [["a"], ["b"], ["c"], ["b"]]
    assert len(memory) == 2


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=6), max_size=8), st.integers(0, 5))
def test_what_is_remembered_is_what_would_be_computed(asked: list[list[str]], most: int) -> None:
    """Also where more is asked for at once than is kept."""
    memory = Remembered(Lengths(), most)

    for texts in asked:
        np.testing.assert_array_equal(memory.embed(texts), Lengths().embed(texts))
        assert len(memory) <= most


def test_threads_do_not_disturb_each_other() -> None:
    """Many threads that ask for overlapping texts each get theirs, with room for few."""
    memory = Remembered(Lengths(), most=3)
    asked = [[chr(97 + (i + j) % 9) * (1 + i % 4) for j in range(5)] for i in range(200)]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(memory.embed, asked))

    for texts, vectors in zip(asked, found, strict=True):
        np.testing.assert_array_equal(vectors, Lengths().embed(texts))
