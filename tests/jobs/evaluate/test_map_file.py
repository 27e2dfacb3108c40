"""Files that are read as maps, and those that are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bbquery.errors import UsageError
from bbquery.jobs.evaluate import map_file
from bbquery.jobs.evaluate.made import Made


@pytest.mark.parametrize(
    ("content", "told"), [(b"", "is no .npy file"), (b"P5 nonsense", "is no .npy file"), (None, "No such")]
)
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes | None, told: str) -> None:
    """Empty, foreign or missing files are the caller's mistake; nobody is told to load one unsafely."""
    path = tmp_path / "map.npy"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(UsageError, match=told) as refused:
        map_file.read(path)
    assert "pickle" not in str(refused.value)


def test_several_arrays_are_no_map(tmp_path: Path) -> None:
    """An archive is refused: which of its arrays would be meant?"""
    np.savez(tmp_path / "maps.npz", a=np.zeros((2, 2)))

    with pytest.raises(UsageError, match=r"is no \.npy file of one array"):
        map_file.read(tmp_path / "maps.npz")


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    """The refusal says what to give instead."""
    with pytest.raises(UsageError, match=r"give its folder, or the \.npy file"):
        map_file.read(tmp_path)


@pytest.mark.parametrize("record", ["{", "[]", '{"files": {}}', '{"files": {"a.npy": ""}, "targets": []}'])
def test_a_broken_record_is_refused(tmp_path: Path, record: str) -> None:
    """A run.json that is none is not silently passed over."""
    (tmp_path / "run.json").write_text(record)
    np.save(tmp_path / "a.npy", np.eye(3))

    with pytest.raises(UsageError, match=r"no record|no JSON"):
        map_file.read(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("method", "fills"),
    [
        ("Rise(queries=9, fill=127.0, batch=2)", [127.0]),
        ("IntegratedGradients(estimator=LikelihoodRatio(queries=9), baseline='blur', steps=5)", ["blur"]),
        ("GradientMap(estimator=LikelihoodRatio(queries=9, sigma=16.0))", []),
        ("Mine(fill='a fill of mine')", ["a fill of mine"]),
    ],
)
def test_a_methods_fill_is_read_from_its_constructor(method: str, fills: list[Any]) -> None:
    """The record writes a method as its constructor call, which names its filling."""
    made = Made(
        path=Path("cat.npy"), target="cat", method=method, oracle="sides", fingerprint="f", pixels="p", partial=False
    )

    assert made.fills == fills
