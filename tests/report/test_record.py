"""The record of a run: every key is described and written, and what was written can be read."""

from __future__ import annotations

import copy
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema_rs
import numpy as np
import pytest

from bbquery.cli import main
from bbquery.errors import UsageError
from bbquery.jobs.record_file import SCHEMA, read
from bbquery.report.explanation import own_part, record
from bbquery.report.record import encoded, record_of
from bbquery.saliency.rise import Rise
from tests.commands.test_completing import attack, compare, evaluate, explain, photo, probe
from tests.report.test_explanation_folder import explained
from tests.support import drawing, records
from tests.support.counted import watched

__all__ = ["photo"]

RECORDED = Path(__file__).parents[1] / "recorded" / "runs"
OLD = sorted(path for path in RECORDED.rglob("*.json") if path.name in records.FILES)
COMMON = list(records.schema()["$defs"]["record"]["properties"])


@pytest.fixture(autouse=True)
def blank_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw nothing."""
    drawing.make_blank(monkeypatch)


@pytest.fixture
def plain(tmp_path: Path) -> dict[str, Any]:
    """A record, as it is read."""
    found = explained(tmp_path, Rise(queries=20))
    loaded: dict[str, Any] = json.loads(record(found, command=["bbquery"], source="photo.png", files={}))
    return loaded


# --- what is written ---


@pytest.mark.parametrize("run", [explain, compare, evaluate, probe, attack])
def test_records_of_all_commands_begin_and_end_alike(run: Callable[[Path], list[str]], photo: Path) -> None:
    """Head and tail have the same keys in the same order, and the command's own part stands between them."""
    watched.begin()
    assert main(run(photo)) == 0

    (path,) = (path for path in (photo.parent / "out").glob("*.json") if path.name in records.FILES)
    keys = list(read(path))

    own = [key for key in keys if key not in COMMON]
    place = keys.index(own[0])
    assert (keys[0], read(path)["schema"], read(path)["verb"]) == ("schema", SCHEMA, run.__name__)
    assert own
    assert keys == [*COMMON[:place], *own, *COMMON[place:]]
    assert COMMON[place] == "queries"


def test_what_is_no_number_is_null() -> None:
    """NaN and infinity, which JSON lacks, are null wherever they stand; counts and arrays keep their numbers."""

    @dataclass
    class Found:
        value: float
        words: Counter[str]

    held = {
        "list": [math.nan, 1.5], "array": np.array([[math.inf, 2.0]]), "number": np.float32(math.nan),
        "count": np.int64(3), "found": Found(-math.inf, Counter(dogs=2)), "by": {0.5: math.nan}, "yes": np.bool_(True),
    }  # fmt: skip

    assert json.loads(encoded(held), parse_constant=pytest.fail) == {
        "list": [None, 1.5], "array": [[None, 2.0]], "number": None, "count": 3,
        "found": {"value": None, "words": {"dogs": 2}}, "by": {"0.5": None}, "yes": True,
    }  # fmt: skip


# --- the schema ---


def objects(node: Any) -> Iterator[dict[str, Any]]:
    """Give every object within the schema that has keys."""
    if isinstance(node, dict):
        if {"type", "properties"} <= node.keys():
            yield node
        for each in node.values():
            yield from objects(each)
    elif isinstance(node, list):
        for each in node:
            yield from objects(each)


def test_the_schema_describes_every_key() -> None:
    """The published schema is one, requires each key that it names, and says in words what each is."""
    schema = records.schema()

    jsonschema_rs.meta.validate(schema)
    found = list(objects(schema))
    assert len(found) > 30
    for each in found:
        assert each["required"] == list(each["properties"])
        for key, about in each["properties"].items():
            named = schema["$defs"][about["$ref"].rpartition("/")[2]] if "$ref" in about else {}
            told = about.get("description") or named.get("description", "")
            assert told.endswith("."), key


def test_a_later_key_is_allowed(plain: dict[str, Any]) -> None:
    """The schema that people have takes records with keys that came after it, and none that lack one of its own."""
    assert jsonschema_rs.is_valid(records.schema(), plain | {"later": 1})
    assert not jsonschema_rs.is_valid(records.schema(), {key: plain[key] for key in plain if key != "cost"})


def test_every_fault_of_a_record_is_found(plain: dict[str, Any]) -> None:
    """What holds records against the schema sees each key that lacks, that is unknown, or that is something else."""
    assert records.faults(plain) == []
    for key in plain:
        assert records.faults({other: plain[other] for other in plain if other != key}), key
        assert records.faults(plain | {key: True}), key
    for place in ("image", "oracle", "queries", "cost"):
        assert records.faults(plain | {place: plain[place] | {"unknown_key": 1}}), place
    assert records.faults(plain | {"unknown_key": 1})
    broken = copy.deepcopy(plain)
    broken["targets"][0]["visibility"][0]["visible"] = 2
    place = "['targets', 0, 'visibility', 0, 'visible']"
    assert f"{place}: 2 is greater than the maximum of 1" in records.faults(broken)


def test_a_test_that_writes_a_faulty_record_fails(tmp_path: Path) -> None:
    """The records of all tests are held against the schema: at the moment of writing, and as files of children."""
    found = explained(tmp_path, Rise(queries=20))
    own = own_part(found) | {"typo": 1}
    target = {"target": "left", "value": None}

    with pytest.raises(AssertionError, match=r"not as its schema says.*typo"):
        record_of("explain", found, own, command=[], source="", targets=[target], score=None, warnings=[], files={})

    (tmp_path / "child").mkdir()
    (tmp_path / "child" / "probe.json").write_text(f'{{"schema": {SCHEMA}, "verb": "probe"}}')
    assert len(records.faults_below(tmp_path)) > len(COMMON) - 3
    (tmp_path / "child" / "probe.json").unlink()


# --- what is read ---


@pytest.mark.parametrize("path", OLD, ids=lambda path: str(path.relative_to(RECORDED)))
def test_a_record_without_a_version_is_read(path: Path) -> None:
    """Records from before they had a version are read as they are."""
    assert read(path) == json.loads(path.read_text())
    assert "schema" not in read(path)


def test_a_record_of_a_newer_version_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who has an older bbquery is told so, rather than given what it may misread."""
    (tmp_path / "run.json").write_text(f'{{"schema": {SCHEMA + 1}, "run": "0123456789abcdef"}}')

    with pytest.raises(UsageError, match=rf"newer bbquery: its record is of version {SCHEMA + 1}.*up to {SCHEMA}"):
        read(tmp_path / "run.json")

    assert main(["evaluate", str(tmp_path), "sample:chelsea"]) == 2
    assert "made by a newer bbquery" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["[]", "1", '{"schema": "one"}', "{"])
def test_what_is_no_record_is_refused(tmp_path: Path, text: str) -> None:
    """A file that is something else is named, and no traceback follows."""
    (tmp_path / "run.json").write_text(text)

    with pytest.raises(UsageError, match=r"cannot read .*run\.json"):
        read(tmp_path / "run.json")
