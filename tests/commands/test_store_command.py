"""`bbquery store`: an audit is published, checked by anybody, and replayed without a key."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image as Pillow

from bbquery.cli import main
from bbquery.errors import UsageError
from bbquery.ledger import codec, store_files
from bbquery.ledger.accounts import Accounts
from bbquery.ledger.ledger import Ledger
from bbquery.ledger.records import Cap
from bbquery.types import Text
from oracles import function
from oracles.emulators.http import HttpEmulator
from tests.support import models
from tests.support.bookkeeping import ANSWERS, asked, remember, sent

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.types import Answer
    from tests.support.runs import Say
from tests.support.store_files import damage, lines, rewrite

SIDES = "function:call=tests.support.models.sides,classes=left|right,version=1"
MARKER = "sk-marker-that-must-never-be-written"


def explain(photo: Path, out: Path, oracle: str) -> dict[str, Any]:
    caps = ("--max-queries", "30", "--verify", "0")
    assert main(["explain", str(photo), "--oracle", oracle, *caps, "--out", str(out)]) == 0
    queries: dict[str, Any] = json.loads((out / "run.json").read_text())["queries"]
    return queries


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Pillow.fromarray(np.random.default_rng(0).integers(150, 256, (24, 32, 3), dtype=np.uint8)).save(path)
    return path


# --- the whole way ---


def test_a_published_audit_is_replayed_without_a_query(
    say: Say, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an empty home, after the import, the same command sends nothing and gives the same map to the bit."""
    audit = tmp_path / "audit.jsonl"
    explain(photo, tmp_path / "paid", SIDES)
    say("store", "export", audit)
    monkeypatch.setenv("BBQUERY_HOME", str(tmp_path / "reader"))
    monkeypatch.setattr(models, "sides", unable("sides"))

    imported = say("store", "import", audit)
    queries = explain(photo, tmp_path / "replayed", SIDES)

    assert imported == "30 answers added, 0 were there already\n"
    assert (queries["asked"], queries["sent"], queries["from_store"]) == (30, 0, 30)
    assert (tmp_path / "replayed" / "left.npy").read_bytes() == (tmp_path / "paid" / "left.npy").read_bytes()


def unable(name: str) -> Callable[[Any], Any]:
    """Return a function that looks like a model of the tests, and fails when it is asked."""

    def called(_: Any) -> Any:
        raise AssertionError("asked after all")

    called.__qualname__, called.__module__ = name, models.__name__
    return called


async def test_no_key_is_ever_written(photo: Path, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a run with a key: neither the exports, nor the ledger itself, nor anything else beside them holds it."""
    monkeypatch.setenv("AUDIT_KEY", MARKER)
    oracle = function.connect(models.sides, classes="left|right", version="1", concurrency=4)
    async with HttpEmulator(oracle).running() as url:
        await asyncio.to_thread(explain, photo, tmp_path / "out", f"http:url={url},key_env=AUDIT_KEY")
    await oracle.aclose()

    main(["store", "export", str(tmp_path / "audit.jsonl")])
    main(["budget", "export", "--out", str(tmp_path / "attempts.csv")])

    written = [path for folder in (tmp_path, home) for path in folder.rglob("*") if path.is_file()]
    assert {"audit.jsonl", "attempts.csv", "bbquery.sqlite3", "run.json"} <= {path.name for path in written}
    assert [path for path in written if MARKER.encode() in path.read_bytes()] == []
    assert len(lines(tmp_path / "audit.jsonl")) == 32


# --- export ---


def test_an_export_says_what_it_holds(published: Path) -> None:
    """Header with format, version and counts; oracles with identities; answers by key, with all that was stored."""
    header, *rest = lines(published)
    oracles, answers = rest[:2], rest[2:]

    assert header | {"bbquery": ""} == {
        "format": "bbquery answers",
        "version": 1,
        "bbquery": "",
        "oracles": 2,
        "answers": 6,
    }
    assert {"oracle": "openai", "model": "gpt-4o", "temperature": 0.1} in [line["identity"] for line in oracles]
    assert [line["key"] for line in answers] == sorted(line["key"] for line in answers)
    assert {line["served"] for line in answers} == {None, "fp_1"}
    assert {"labels": [["tiger cat", 0.25], ["кот", None]]} in [line["answer"] for line in answers]
    for line in answers:
        assert codec.answer_key(line["oracle"], bytes.fromhex(line["image"]), line["sample"]).hex() == line["key"]


def test_equal_stores_give_equal_files(published: Path, say: Say, tmp_path: Path, elsewhere: Path) -> None:
    """What was imported is exported byte for byte, so that publications can be compared."""
    say("store", "import", published)
    say("store", "export", tmp_path / "again.jsonl")

    assert (tmp_path / "again.jsonl").read_bytes() == published.read_bytes()


@pytest.mark.parametrize(
    ("names", "answers"),
    [(["gpt-4o"], 5), (["lab.model"], 1), (["openai gpt-4o", "function"], 6), (["FINGERPRINT"], 5), (["FINGERPR"], 5)],
)
def test_export_of_some_oracles(
    published: Path, say: Say, ledger: Ledger, tmp_path: Path, names: list[str], answers: int
) -> None:
    """By name, model or fingerprint; identities of others are left out, and the file is whole."""
    fingerprint = remember(ledger, oracle="openai", model="gpt-4o", temperature=0.1)
    stands_for = {"FINGERPRINT": fingerprint, "FINGERPR": fingerprint[:8]}
    path = tmp_path / "some.jsonl"

    said = say("store", "export", path, "--oracle", *(stands_for.get(name, name) for name in names))

    assert said == f"{answers} answers of {len({*names})} oracle{'s' * (len(names) > 1)} in {path}\n".replace(
        "1 answers", "1 answer"
    )
    assert "all sound" in say("store", "verify", path)
    assert published.exists()


def test_export_of_a_run_holds_what_it_paid_for(ledger: Ledger, say: Say, tmp_path: Path) -> None:
    """Answers of a budget and those within; of the others, and of what was imported, none."""
    oracle = remember(ledger, model="m")
    paper = ledger.open_budget("paper", Cap())
    budgets = [paper, ledger.open_budget("run", Cap(), paper), ledger.open_budget("other", Cap())]
    for number, budget in enumerate(budgets):
        sent(ledger, budget, asked(oracle, number))

    say("store", "export", tmp_path / "paper.jsonl", "--run", "paper")
    say("store", "export", tmp_path / "run.jsonl", "--run", "run")

    keys = [[line["key"] for line in lines(tmp_path / name)[2:]] for name in ("paper.jsonl", "run.jsonl")]
    assert keys == [sorted(asked(oracle, n).key.hex() for n in (0, 1)), [asked(oracle, 1).key.hex()]]


@pytest.mark.parametrize(
    ("typed", "said"),
    [(["--oracle", "nobody"], "known: "), (["--run", "nowhere"], "'nowhere'"), (["--oracle", ""], "unknown oracle")],
)
def test_export_of_what_is_not_there_is_explained(
    published: Path, say: Say, tmp_path: Path, typed: list[str], said: str
) -> None:
    """An unknown oracle or run is a usage error, and no file appears."""
    assert said in say("store", "export", tmp_path / "none.jsonl", *typed, code=2)

    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {published.name}


def test_an_export_that_fails_leaves_the_old_file(published: Path, say: Say, ledger: Ledger) -> None:
    """A damaged answer ends the export with exit code 1; the file that was there is still whole."""
    before = published.read_bytes()
    damage(ledger, "UPDATE answer SET answer = CAST('{\"f4\":3}' AS BLOB) WHERE served IS NULL")

    assert "the store is damaged" in say("store", "export", published, code=1)

    assert published.read_bytes() == before
    assert [path for path in published.parent.iterdir() if path.suffix == ".part"] == []


def test_export_where_nothing_can_be_written_is_explained(say: Say, tmp_path: Path) -> None:
    """A folder that is not there is named."""
    assert "cannot write" in say("store", "export", tmp_path / "no" / "audit.jsonl", code=2)


def test_an_empty_store_can_be_exported_and_imported(say: Say, tmp_path: Path) -> None:
    """Nothing is a sound file of nothing."""
    path = tmp_path / "empty.jsonl"

    assert say("store", "export", path) == f"0 answers of 0 oracles in {path}\n"
    assert say("store", "import", path) == "0 answers added, 0 were there already\n"


# --- import ---


def test_answers_come_through_to_the_bit(published: Path, say: Say, ledger: Ledger, elsewhere: Path) -> None:
    """Every kind of answer, with who served it, is found under its key in another home, paid by no attempt there."""
    oracle = remember(ledger, oracle="openai", model="gpt-4o", temperature=0.1)

    say("store", "import", published)

    with Ledger() as other:
        found = other.find([asked(oracle, n).key for n in range(len(ANSWERS))])
        with Accounts(other.path) as accounts:
            attempts = accounts.read(lambda c: c.execute("SELECT count(*), count(attempt) FROM answer").fetchone())
    replies = [found[asked(oracle, n).key] for n in range(len(ANSWERS))]
    assert [codec.pack(reply.answer) for reply in replies] == [codec.pack(answer) for answer in ANSWERS]
    assert [reply.served for reply in replies] == [None, "fp_1", "fp_1", "fp_1", "fp_1"]
    assert attempts == (6, 0)
    assert elsewhere.is_dir()


def test_importing_twice_changes_nothing(published: Path, say: Say, elsewhere: Path, tmp_path: Path) -> None:
    """The second time every answer is there already, and a verification and an export are as before."""
    first = say("store", "import", published)
    second = say("store", "import", published)

    assert first == "6 answers added, 0 were there already\n"
    assert second == "0 answers added, 6 were there already\n"
    assert "6 answers of 2 oracles" in say("store", "verify")


def test_an_answer_that_disagrees_is_reported_and_the_own_one_kept(
    published: Path, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two answers to one question cannot both be right: what was there stays, and the key is named."""
    changed: list[str] = []

    def change(plain: list[dict[str, Any]]) -> None:
        line = next(line for line in plain if line.get("answer") == codec_plain(Text("other")))
        line["answer"]["text"] = "changed"
        changed.append(line["key"])

    rewrite(published, change)

    code = main(["store", "import", str(published)])

    said = capsys.readouterr()
    assert code == 0
    assert "0 answers added, 5 were there already" in said.out
    assert f"1 answers differ from the store's own, which were kept; the first:\n  {changed[0]}" in said.err
    assert ledger.find([bytes.fromhex(changed[0])])[bytes.fromhex(changed[0])].answer == Text("other")


def codec_plain(answer: Answer) -> Any:
    return json.loads(codec.pack(answer))


def test_a_bad_line_imports_nothing(published: Path, say: Say, elsewhere: Path) -> None:
    """All or nothing: with the last line spoiled, the store stays empty, and the line is named."""
    rewrite(published, lambda plain: plain[-1].update(sample=1))

    said = say("store", "import", published, code=2)

    assert "1 fault" in said
    assert "line 9: " in said
    assert "nothing was imported" in said
    assert "0 answers of 0 oracles" in say("store", "verify")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda plain: plain[-1].update(sample=1), r"line 9: .* is not the key"),
        (lambda plain: plain.pop(), r"line 8: .* promises 2 oracles and 6 answers"),
        (lambda plain: plain.clear(), r"line 0: the file is empty"),
    ],
)
def test_a_file_that_changes_after_its_check_imports_nothing(
    published: Path, elsewhere: Path, change: Callable[[list[dict[str, Any]]], object], said: str
) -> None:
    """Every line is checked again as it is taken in, inside the transaction, and so is their number."""
    rewrite(published, change)
    elsewhere.mkdir()

    with Accounts() as accounts:
        with pytest.raises(UsageError, match=said + ".*; nothing was"):
            accounts.write(lambda c: store_files.import_file(c, published))
        left = accounts.read(lambda c: c.execute("SELECT (SELECT count(*) FROM answer), (SELECT count(*) FROM oracle)"))
        assert left.fetchone() == (0, 0)


def test_a_replay_needs_no_money(published: Path, say: Say, ledger: Ledger, elsewhere: Path) -> None:
    """Imported answers leave every budget as it was: there is none."""
    say("store", "import", published)

    with Ledger() as other, Accounts(other.path) as accounts:
        assert accounts.read(lambda c: c.execute("SELECT count(*) FROM budget").fetchone()) == (0,)
