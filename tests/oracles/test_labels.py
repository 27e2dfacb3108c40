"""Files of labels as people and libraries keep them: one reader for all oracles."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bbquery.errors import UsageError
from oracles._shared.labels import read_labels

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.types import Classes

NAMES = (("tench", "Tinca tinca"), ("caf\u00e9",), ("red fox",))
TEXT = "tench, Tinca tinca\ncaf\u00e9\nred fox"


def read(folder: Path, name: str, content: bytes) -> Classes:
    (folder / name).write_bytes(content)
    return read_labels(folder / name)


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        TEXT.encode("utf-16"),
        TEXT.replace("\n", "\r\n").encode(),
        TEXT.replace("\n", "\r").encode(),
        f"{TEXT}\n".encode(),
        f"{TEXT}\r\n\r\n  \r\n".encode("utf-8-sig"),
        TEXT.replace("red fox", " red fox \t").encode(),
    ],
)
def test_a_text_file_is_read_from_any_system(tmp_path: Path, content: bytes) -> None:
    """Byte-order marks, line ends and blank lines at the end are no part of a name."""
    assert read(tmp_path, "labels.txt", content).names == NAMES


@pytest.mark.parametrize("label", ["caf\u00e9", "cafe\u0301"])
@pytest.mark.parametrize("written", ["caf\u00e9", "cafe\u0301"])
def test_a_label_is_found_however_its_accents_are_composed(tmp_path: Path, written: str, label: str) -> None:
    """A file from a Mac and a keyboard elsewhere write one name in two ways."""
    assert read(tmp_path, "labels.txt", f"dog\n{written}\n".encode()).find(label) == 1


def test_a_name_keeps_what_is_no_end_of_a_line(tmp_path: Path) -> None:
    """Unicode's further line separators do not shift the classes after them."""
    assert read(tmp_path, "labels.txt", "a\u2028b\nc\x0bd\n".encode()).names == (("a\u2028b",), ("c\x0bd",))


@pytest.mark.parametrize(
    "content",
    [
        [["tench", "Tinca tinca"], "caf\u00e9", "red fox"],
        {"2": "red fox", "0": ["tench", "Tinca tinca"], "1": "caf\u00e9"},
        {"model_type": "vit", "id2label": {"0": ["tench", "Tinca tinca"], "1": "caf\u00e9", "2": "red fox"}},
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_json_is_read_by_place_and_by_index(tmp_path: Path, content: object, encoding: str) -> None:
    """A list, a table of names by index, and the configuration of a model on Hugging Face."""
    assert read(tmp_path, "config.json", json.dumps(content).encode(encoding)).names == NAMES


@pytest.mark.parametrize(
    "content", [{"dog": 1, "cat": 0}, {"label2id": {"dog": 1, "cat": 0}}, {"id2label": {"0": "cat", "1": "dog"}}]
)
def test_json_of_indices_by_name_is_read(tmp_path: Path, content: object) -> None:
    """As Keras and Hugging Face write them."""
    assert read(tmp_path, "classes.JSON", json.dumps(content).encode()).names == (("cat",), ("dog",))


def test_the_class_index_of_imagenet_has_its_keys(tmp_path: Path) -> None:
    """A table of WordNet ID and name, as torchvision and Keras have it: the name is shown, and the ID is the key."""
    content = {"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"]}

    classes = read(tmp_path, "imagenet_class_index.json", json.dumps(content).encode())

    assert (classes.names, classes.keys) == ((("tench",), ("goldfish",)), ("n01440764", "n01443537"))


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("a.txt", b"cat\n\ndog", "line 2 is blank, and each line is a class: give it a name, or delete it"),
        ("a.txt", b"\r\ncat", "line 1 is blank"),
        ("a.txt", b"", "class 0 must be a name"),
        ("a.txt", b"caf\xe9\n", "byte 3 is not UTF-8: save it as UTF-8"),
        ("a.json", b'{"dog": 1, "cat": 1}', "by index from 0 on; 0 is missing"),
        ("a.json", b'{"dog": 1, "cat": true}', "by index from 0 on; 0 is missing"),
        ("a.json", b"[" * 100_000, "not JSON"),
        ("a.json", b'["cat", " "]', "class 1 must be a name"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes, fault: str) -> None:
    """A blank line among the names would shift all after it, so it is refused by its number."""
    with pytest.raises(UsageError, match=fault):
        read(tmp_path, name, content)
