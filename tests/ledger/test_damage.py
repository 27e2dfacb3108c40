"""A damaged store or ledger: what is damaged is named, with what mends it; no command ends with a traceback."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image as Pillow

from bbquery.cli import main
from bbquery.errors import StorageFailed
from bbquery.ledger.ledger import Ledger

if TYPE_CHECKING:
    from pathlib import Path

DEEP = "[" * 100_000
ORACLE = "function:call=tests.support.models.sides,classes=left|right,version=1"


@pytest.fixture
def photo(tmp_path: Path) -> str:
    path = tmp_path / "photo.png"
    Pillow.fromarray(np.random.default_rng(0).integers(150, 256, (16, 16, 3), dtype=np.uint8)).save(path)
    return str(path)


def explain(photo: str, out: Path) -> int:
    queries = ["--method", "rise:queries=8", "--max-queries", "10"]
    return main(["explain", photo, "--oracle", ORACLE, *queries, "--target", "left", "--out", str(out)])


def asked(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "run.json").read_text())["queries"]
    return found


def damage(home: Path, statement: str, *values: Any) -> None:
    connection = sqlite3.connect(home / "bbquery.sqlite3")
    with connection:
        connection.execute(statement, values)
    connection.close()


ONE = "WHERE key = (SELECT key FROM answer ORDER BY rowid LIMIT 1 OFFSET 3)"


@pytest.mark.parametrize("answer", [b"\x00", b'{"f4":"AAA="}', DEEP.encode(), b'{"labels":[[1,2]]}'])
def test_a_damaged_answer_is_named_set_aside_and_asked_again(
    answer: bytes, photo: str, tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run says which stored answer is damaged and what sets it aside; then it is asked, and paid for, once more."""
    assert explain(photo, tmp_path / "first") == 0
    damage(home, f"UPDATE answer SET answer = ? {ONE}", answer)

    assert explain(photo, tmp_path / "second") == 1
    assert "'bbquery store verify --repair' sets it aside" in capsys.readouterr().err
    assert main(["store", "verify"]) == 1
    assert "1 fault" in capsys.readouterr().err
    assert main(["store", "verify", "--repair"]) == 0
    assert "1 damaged answer set aside into" in capsys.readouterr().out
    assert explain(photo, tmp_path / "third") == 0

    (aside,) = home.glob("bbquery.sqlite3.damaged-*.jsonl")
    assert bytes.fromhex(json.loads(aside.read_text())["answer"]) == answer
    assert (asked(tmp_path / "third")["sent"], asked(tmp_path / "third")["from_store"]) == (1, 8)


IDENTITIES = ["x", DEEP, '{"oracle": "a\\u0000b", "model": ["\\ud800"]}', "1e999"]
COMMANDS = [
    ["budget", "show"],
    ["budget", "show", "--by", "oracle"],
    ["budget", "show", "--by", "model"],
    ["budget", "reconcile"],
    ["store", "verify"],
    ["store", "verify", "--repair"],
    ["store", "export", "{}/a.jsonl"],
    ["store", "export", "{}/a.jsonl", "--oracle", "function"],
]


@pytest.mark.parametrize("identity", [*IDENTITIES, b"\xff\xfe"])
def test_an_identity_that_cannot_be_read_ends_no_command_with_a_traceback(
    identity: str | bytes, photo: str, tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The oracle goes by its fingerprint, and the next run that asks it writes its identity anew."""
    assert explain(photo, tmp_path / "first") == 0
    damage(home, "UPDATE oracle SET identity = CAST(? AS TEXT)", identity)

    codes = [main([part.format(tmp_path) for part in command]) for command in COMMANDS]

    assert set(codes) <= {0, 1, 2}
    assert codes[:4] == [0, 0, 0, 0]
    assert codes[4] == 1
    capsys.readouterr()
    assert explain(photo, tmp_path / "second") == 0
    assert main(["store", "verify"]) == 0


@pytest.mark.parametrize(("column", "text"), [("served", b"\xff"), ("created", b"a\x00b"), ("oracle", b"\xed\xa0\x80")])
def test_a_text_that_is_none_ends_no_command_with_a_traceback(
    column: str, text: bytes, photo: str, tmp_path: Path, home: Path
) -> None:
    """Whatever stands beside an answer, every command ends with an exit code."""
    assert explain(photo, tmp_path / "first") == 0
    damage(home, f"UPDATE answer SET {column} = CAST(? AS TEXT) {ONE}", text)

    codes = [main([part.format(tmp_path) for part in command]) for command in COMMANDS]

    assert set(codes) <= {0, 1, 2}
    assert explain(photo, tmp_path / "second") in (0, 1)


def test_a_time_that_is_none_ends_no_command_with_a_traceback(photo: str, tmp_path: Path, home: Path) -> None:
    """Nor does what the ledger says of attempts."""
    assert explain(photo, tmp_path / "first") == 0
    damage(home, "UPDATE attempt SET opened = 'yesterday', state = 'unknown', reason = CAST(x'00ff' AS TEXT)")
    report = tmp_path / "usage.csv"
    report.write_text("model,start,end,queries\nfunction,2026-04-13,2026-04-14,5\n")

    codes = [main([part.format(tmp_path) for part in command]) for command in COMMANDS]
    codes.append(main(["budget", "reconcile", "--csv", str(report)]))

    assert set(codes) <= {0, 1, 2}


# --- emptied ---


@pytest.mark.parametrize("beside", [".owners", ".batches", "-wal"])
def test_a_ledger_that_was_emptied_is_not_taken_for_new(beside: str, tmp_path: Path) -> None:
    """What was spent and answered must not be forgotten unseen: what lies beside it tells."""
    path = tmp_path / "ledger.sqlite3"
    path.touch()
    neighbour = path.with_name(path.name + beside)
    if beside == "-wal":
        neighbour.write_bytes(b"frames")
    else:
        neighbour.mkdir()

    with pytest.raises(StorageFailed, match=r"is empty, but .* was damaged"):
        Ledger(path)
    assert not path.stat().st_size


def test_a_ledger_that_is_gone_beside_its_log_is_not_taken_for_new(tmp_path: Path) -> None:
    """A log that was not merged holds what was spent last; opening a new ledger would delete it."""
    path = tmp_path / "ledger.sqlite3"
    path.with_name(path.name + "-wal").write_bytes(b"frames")

    with pytest.raises(StorageFailed, match="is gone, but"):
        Ledger(path)


def test_a_ledger_that_a_person_deleted_is_made_anew(tmp_path: Path) -> None:
    """Deleting the file is a choice; so is an empty file that nothing lies beside."""
    path = tmp_path / "ledger.sqlite3"
    with Ledger(path):
        assert path.stat().st_size  # or another process that opens it now would take it for emptied
    path.unlink()

    with Ledger(path):
        pass
    empty = tmp_path / "empty.sqlite3"
    empty.touch()
    with Ledger(empty) as ledger:
        assert ledger.path == empty


def test_an_emptied_ledger_ends_every_command_with_its_exit_code(
    photo: str, tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, a sentence, and nothing asked."""
    assert explain(photo, tmp_path / "first") == 0
    (home / "bbquery.sqlite3").write_bytes(b"")
    capsys.readouterr()

    assert explain(photo, tmp_path / "second") == 1
    assert main(["budget", "show"]) == 1
    assert "it was damaged. Restore it from a backup" in capsys.readouterr().err
