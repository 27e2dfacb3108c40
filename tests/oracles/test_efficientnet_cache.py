from __future__ import annotations

import os
from pathlib import Path

import pytest

from oracles._local.efficientnet.cache import cached

MADE = b"a model" * 1000


class Build:
    """Makes the bytes and counts how often."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> bytes:
        self.times += 1
        return MADE


@pytest.fixture
def build() -> Build:
    return Build()


def test_what_is_cached_is_not_built_again(tmp_path: Path, build: Build) -> None:
    """The second call answers from the folder."""
    assert [cached(tmp_path, "key", build) for _ in range(2)] == [MADE, MADE]
    assert build.times == 1


def test_another_key_is_another_file(tmp_path: Path, build: Build) -> None:
    """A file of other weights or of an older graph is not used."""
    cached(tmp_path, "graph1-weights", build)

    cached(tmp_path, "graph2-weights", build)

    assert build.times == 2


@pytest.mark.parametrize(
    "damage",
    [lambda data: b"", lambda data: data[:-1], lambda data: b"A" + data[1:]],
    ids=["emptied", "cut", "altered"],
)
def test_a_damaged_file_is_built_again(tmp_path: Path, build: Build, damage: object) -> None:
    """A file that is not whole is not used, and is put right."""
    assert callable(damage)
    cached(tmp_path, "key", build)
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage(MADE))

    assert cached(tmp_path, "key", build) == MADE

    assert build.times == 2
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [MADE]


def test_a_file_that_cannot_be_read_is_passed_over(tmp_path: Path, build: Build) -> None:
    """Something unreadable under a fitting name does not stop the oracle."""
    (tmp_path / "key-0000.onnx").mkdir()

    assert cached(tmp_path, "key", build) == MADE


def test_a_folder_that_cannot_be_written_costs_only_time(
    tmp_path: Path, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a full disk the bytes are built all the same, and no half-written file stays."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)

    assert cached(tmp_path, "key", build) == MADE
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - Path is patched here
