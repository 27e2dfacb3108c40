"""`bbquery store`: an audit is published, checked by anybody, and replayed without a key."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from bbquery.cli import main
from bbquery.errors import UsageError
from bbquery.ledger import codec, store_files
from bbquery.ledger.accounts import Accounts
from bbquery.ledger.records import Cap
from bbquery.ledger.sqlite import Ledger
from bbquery.ledger.store_lines import Fault, Header, Reading, header_text
from bbquery.types import Label, Labels, NoAnswer, Text, Token, Vector
from oracles import function
from oracles.emulators.http import HttpEmulator
from tests.support import models
from tests.support.bookkeeping import asked, remember, sent

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.types import Answer

SIDES = "function:call=tests.support.models.sides,classes=left|right,version=1"
MARKER = "sk-marker-that-must-never-be-written"
ANSWERS: list[Answer] = [
    Vector(np.array([0.1, 0.9])),
    Vector(np.array([0.5, np.inf])),
    Labels((Label("tiger cat", 0.25), Label("кот"))),
    Text("half a pair: \ud800 and a line\nend", (Token("cat", -0.1, (("dog", -2.5),)),)),
    NoAnswer("blocked", "filtered"),
]
Say = Callable[..., str]


@pytest.fixture
def ledger(home: Path) -> Iterator[Ledger]:
    home.mkdir(exist_ok=True)
    with Ledger() as opened:
        yield opened


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    def run(*typed: str | Path, code: int = 0) -> str:
        assert main(["store", *map(str, typed)]) == code
        said = capsys.readouterr()
        return said.out if code == 0 else said.err

    return run


@pytest.fixture
def published(ledger: Ledger, say: Say, tmp_path: Path) -> Path:
    """A file with answers of every kind from two oracles."""
    budget = ledger.open_budget("run", Cap())
    one = remember(ledger, oracle="openai", model="gpt-4o", temperature=0.1)
    other = remember(ledger, oracle="function", function="lab.model")
    for number, answer in enumerate(ANSWERS):
        sent(ledger, budget, asked(one, number), answer=answer, served="fp_1" if number else None)
    sent(ledger, budget, asked(other, 0), answer=Text("other"))
    path = tmp_path / "audit.jsonl"
    say("export", path)
    return path


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another person's empty home, from when this is asked for."""
    home = tmp_path / "elsewhere"
    monkeypatch.setenv("BBQUERY_HOME", str(home))
    return home


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]


def rewrite(path: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    plain = lines(path)
    change(plain)
    path.write_text("".join(json.dumps(line) + "\n" for line in plain), encoding="ascii")


# --- the whole way ---


def explain(photo: Path, out: Path, oracle: str) -> dict[str, Any]:
    assert main(["explain", str(photo), "--oracle", oracle, "--max-queries", "30", "--out", str(out)]) == 0
    queries: dict[str, Any] = json.loads((out / "run.json").read_text())["queries"]
    return queries


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Pillow.fromarray(np.random.default_rng(0).integers(150, 256, (24, 32, 3), dtype=np.uint8)).save(path)
    return path


def test_a_published_audit_is_replayed_without_a_query(
    say: Say, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an empty home, after the import, the same command sends nothing and gives the same map to the bit."""
    audit = tmp_path / "audit.jsonl"
    explain(photo, tmp_path / "paid", SIDES)
    say("export", audit)
    monkeypatch.setenv("BBQUERY_HOME", str(tmp_path / "reader"))
    monkeypatch.setattr(models, "sides", unable("sides"))

    imported = say("import", audit)
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
    say("import", published)
    say("export", tmp_path / "again.jsonl")

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

    said = say("export", path, "--oracle", *(stands_for.get(name, name) for name in names))

    assert said == f"{answers} answers of {len({*names})} oracle{'s' * (len(names) > 1)} in {path}\n".replace(
        "1 answers", "1 answer"
    )
    assert "all sound" in say("verify", path)
    assert published.exists()


def test_export_of_a_run_holds_what_it_paid_for(ledger: Ledger, say: Say, tmp_path: Path) -> None:
    """Answers of a budget and those within; of the others, and of what was imported, none."""
    oracle = remember(ledger, model="m")
    paper = ledger.open_budget("paper", Cap())
    budgets = [paper, ledger.open_budget("run", Cap(), paper), ledger.open_budget("other", Cap())]
    for number, budget in enumerate(budgets):
        sent(ledger, budget, asked(oracle, number))

    say("export", tmp_path / "paper.jsonl", "--run", "paper")
    say("export", tmp_path / "run.jsonl", "--run", "run")

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
    assert said in say("export", tmp_path / "none.jsonl", *typed, code=2)

    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {published.name}


def test_an_export_that_fails_leaves_the_old_file(published: Path, say: Say, ledger: Ledger) -> None:
    """A damaged answer ends the export with exit code 1; the file that was there is still whole."""
    before = published.read_bytes()
    damage(ledger, "UPDATE answer SET answer = CAST('{\"f4\":3}' AS BLOB) WHERE served IS NULL")

    assert "the store is damaged" in say("export", published, code=1)

    assert published.read_bytes() == before
    assert [path for path in published.parent.iterdir() if path.suffix == ".part"] == []


def test_export_where_nothing_can_be_written_is_explained(say: Say, tmp_path: Path) -> None:
    """A folder that is not there is named."""
    assert "cannot write" in say("export", tmp_path / "no" / "audit.jsonl", code=2)


def test_an_empty_store_can_be_exported_and_imported(say: Say, tmp_path: Path) -> None:
    """Nothing is a sound file of nothing."""
    path = tmp_path / "empty.jsonl"

    assert say("export", path) == f"0 answers of 0 oracles in {path}\n"
    assert say("import", path) == "0 answers added, 0 were there already\n"


# --- import ---


def test_answers_come_through_to_the_bit(published: Path, say: Say, ledger: Ledger, elsewhere: Path) -> None:
    """Every kind of answer, with who served it, is found under its key in another home, paid by no attempt there."""
    oracle = remember(ledger, oracle="openai", model="gpt-4o", temperature=0.1)

    say("import", published)

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
    first = say("import", published)
    second = say("import", published)

    assert first == "6 answers added, 0 were there already\n"
    assert second == "0 answers added, 6 were there already\n"
    assert "6 answers of 2 oracles" in say("verify")


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

    said = say("import", published, code=2)

    assert "1 fault" in said
    assert "line 9: " in said
    assert "nothing was imported" in said
    assert "0 answers of 0 oracles" in say("verify")


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
    say("import", published)

    with Ledger() as other, Accounts(other.path) as accounts:
        assert accounts.read(lambda c: c.execute("SELECT count(*) FROM budget").fetchone()) == (0,)


# --- verify ---


def other_image(plain: list[dict[str, Any]]) -> None:
    plain[3]["image"] = "11" * 32


def another_order(plain: list[dict[str, Any]]) -> None:
    plain[3], plain[4] = plain[4], plain[3]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (other_image, "line 4: "),
        (lambda plain: plain[3].update(sample=1), "is not the key of its oracle, image and sample"),
        (lambda plain: plain[3].update(sample=-1), "the sample is -1"),
        (lambda plain: plain[3].update(sample=2**63), "is no index"),
        (lambda plain: plain[3].update(sample=True), "'sample' is True, which is no whole number"),
        (lambda plain: plain[3].pop("sample"), "'sample' is missing"),
        (lambda plain: plain[3].update(key=plain[3]["key"].upper()), "not in lower hex digits"),
        (lambda plain: plain[3].update(key="zz"), "not in lower hex digits"),
        (lambda plain: plain[3].update(image=""), "not in lower hex digits"),
        (lambda plain: plain[3].update(answer={"f4": "AAA="}), "its answer cannot be unpacked"),
        (lambda plain: plain[3].update(answer="a cat"), "'answer' is 'a cat', which is no object"),
        (lambda plain: plain[3].update(oracle="00" * 16), "is not among the lines before it"),
        (lambda plain: plain[3].update(served=3), "'served' is 3"),
        (lambda plain: plain[3].update(served="\ud800"), "names no version"),
        (lambda plain: plain[3].update(created="yesterday"), "which is no time"),
        (lambda plain: plain[1]["identity"].update(model="gpt-5"), "line 2: its identity has the fingerprint"),
        (lambda plain: plain[1].update(identity=[]), "'identity' is [], which is no object"),
        (another_order, "line 5: its key is not greater than the one before it: a line twice, or out of order"),
        (lambda plain: plain.append(plain[-1]), "line 10: its key is not greater"),
        (lambda plain: plain.pop(), "promises 2 oracles and 6 answers, the file has 2 oracles and 5 answers"),
        (lambda plain: plain.insert(4, {}), "line 5: 'sample' is missing"),
    ],
)
def test_verify_finds_what_was_altered(
    published: Path, say: Say, change: Callable[[list[dict[str, Any]]], object], said: str
) -> None:
    """Whatever is changed, dropped, added or moved shows, with its line; import refuses it with the same words."""
    rewrite(published, change)

    verified, imported = say("verify", published, code=2), say("import", published, code=2)

    assert said in verified
    assert said in imported


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (b"not json\n", "line 3: not JSON"),
        (b"[1]\n", "line 3: not a JSON object"),
        (b"\xff\xfe\n", "line 3: not JSON"),
        (b"\n", "line 3: not JSON"),
        (b'{"key":' + b"[" * 100_000 + b"\n", "line 3: it is nested too deeply"),
        (b'{"fingerprint":"x","identity":' + b'{"a":' * 900 + b"1" + b"}" * 901 + b"\n", "line 3: "),
    ],
)
def test_verify_survives_any_bytes(published: Path, say: Say, spoil: bytes, said: str) -> None:
    """What is no JSON, or far too deep, is a fault of its line and not a crash."""
    content = published.read_bytes().splitlines(keepends=True)
    published.write_bytes(b"".join([*content[:2], spoil, *content[2:]]))

    assert said in say("verify", published, code=2)


def test_no_depth_of_nesting_crashes_a_reader() -> None:
    """Around the depth that Python still reads, and no longer writes, a line is a fault like any other."""
    reading = Reading()
    reading.line(header_text(Header(1, 0)))

    for depth in range(sys.getrecursionlimit() - 200, sys.getrecursionlimit() + 10):
        nested = b'{"a":' * depth + b"1" + b"}" * depth
        with pytest.raises(Fault):
            reading.line(b'{"fingerprint":"x","identity":' + nested + b"}\n")
        with pytest.raises(Fault):
            reading.line(b'{"key":"00","oracle":"x","image":"00","sample":0,"answer":' + nested + b"}\n")


@settings(max_examples=40, deadline=None)
@given(line=st.integers(0, 8), place=st.integers(0, 10**6), byte=st.integers(0, 255))
def test_no_spoiled_byte_crashes_a_verification(
    line: int, place: int, byte: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """One byte changed anywhere either is found, or leaves a question and its answer well-formed."""
    folder = tmp_path_factory.mktemp("spoiled")
    with Ledger(folder / "l.sqlite3") as ledger:
        oracle, budget = remember(ledger, model="m"), ledger.open_budget("b", Cap())
        for number, answer in enumerate(ANSWERS):
            sent(ledger, budget, asked(oracle, number), answer=answer)
        with Accounts(ledger.path) as accounts, (folder / "a.jsonl").open("wb") as file:
            accounts.read(lambda c: store_files.export(c, file.write))
    content = (folder / "a.jsonl").read_bytes().splitlines(keepends=True)
    spoiled = bytearray(content[line % len(content)])
    spoiled[place % len(spoiled)] = byte
    content[line % len(content)] = bytes(spoiled)
    (folder / "a.jsonl").write_bytes(b"".join(content))

    code = main(["store", "verify", str(folder / "a.jsonl")])

    assert code in (0, 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        ("{}\n", 'does not say "format": "bbquery answers"'),
        ("PK\n", "is not a file of bbquery's answers: not JSON"),
        ('{"format":"bbquery answers","version":2}\n', "it is of version 2"),
        ('{"format":"bbquery answers","version":1}\n', "'oracles' is missing"),
    ],
)
def test_another_file_is_told_apart(say: Say, tmp_path: Path, text: str, said: str) -> None:
    """What is no such file at all, or a later version of it, is said in one line."""
    path = tmp_path / "other"
    path.write_text(text)

    assert said in say("verify", path, code=2)
    assert said in say("import", path, code=2)


def test_a_file_that_is_not_there_is_named(say: Say, tmp_path: Path) -> None:
    """A wrong path is a usage error."""
    assert "missing.jsonl': No such file" in say("verify", tmp_path / "missing.jsonl", code=2)
    assert "missing.jsonl': No such file" in say("import", tmp_path / "missing.jsonl", code=2)


def test_only_the_first_faults_are_listed(published: Path, say: Say) -> None:
    """All are counted, ten are shown."""
    extra = [{"key": str(n)} for n in range(20)]
    rewrite(published, lambda plain: plain.extend(extra))

    said = say("verify", published, code=2)

    assert "21 faults" in said  # the number of lines is one more
    assert "and 11 more" in said
    assert said.count("line ") == 10


def damage(ledger: Ledger, statement: str) -> None:
    with sqlite3.connect(ledger.path) as connection:
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE answer SET sample = 1 WHERE served IS NULL", "is not the key of its oracle"),
        ("UPDATE answer SET image = x'00' WHERE served IS NULL", "is not the key of its oracle"),
        ("UPDATE answer SET answer = x'00' WHERE served IS NULL", "its answer cannot be unpacked"),
        ("UPDATE oracle SET identity = '{}'", "its identity has the fingerprint"),
        ("UPDATE oracle SET identity = 'x'", "not JSON"),
    ],
)
def test_verify_finds_damage_in_the_store(published: Path, say: Say, ledger: Ledger, statement: str, said: str) -> None:
    """A store whose parts do not fit is a storage failure, exit code 1, that names what does not fit."""
    assert "6 answers of 2 oracles" in say("verify")
    damage(ledger, statement)

    told = say("verify", code=1)

    assert "has 2 faults" in told
    assert said in told
    assert published.exists()


# --- size ---


def fill(ledger: Ledger, answers: int) -> None:
    """Put many answers into the store at once; they come from no attempt."""
    oracle = remember(ledger, model="m")
    packed = codec.pack(Text("x" * 200))

    def rows() -> Iterator[tuple[object, ...]]:
        for number in range(answers):
            question = asked(oracle, number)
            yield question.key, oracle, question.image, 0, packed, "2026-04-13T10:00:00.000+00:00"

    with Accounts(ledger.path) as accounts:
        insert = "INSERT INTO answer (key, oracle, image, sample, answer, created) VALUES (?, ?, ?, ?, ?, ?)"
        accounts.write(lambda c: c.executemany(insert, rows()))


def test_memory_does_not_grow_with_the_store(ledger: Ledger, tmp_path: Path, elsewhere: Path) -> None:
    """Exporting, verifying and importing 3,000 answers takes no more memory than 30."""
    peaks = []
    for count in (30, 3000):
        fill(ledger, count) if count == 30 else fill_rest(ledger, count)
        path = tmp_path / f"{count}.jsonl"
        tracemalloc.start()
        with Accounts(ledger.path) as accounts, path.open("wb") as file:
            accounts.read(lambda c, f=file: store_files.export(c, f.write))  # type: ignore[misc] # a default binds the loop's value
            accounts.read(store_files.verify_store)
        with Accounts(tmp_path / f"{count}.sqlite3") as accounts:
            assert store_files.verify_file(path).bad == 0
            assert accounts.write(lambda c, p=path: store_files.import_file(c, p)).added == count  # type: ignore[misc] # likewise
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    assert path.stat().st_size > 1_000_000
    assert peaks[1] < peaks[0] + 100_000


def fill_rest(ledger: Ledger, answers: int) -> None:
    with Accounts(ledger.path) as accounts:
        accounts.write(lambda c: c.execute("DELETE FROM answer"))
    fill(ledger, answers)


def test_the_commands_work_from_a_shell(published: Path, tmp_path: Path) -> None:
    """`python -m bbquery store ...` is the same commands."""
    command = [sys.executable, "-m", "bbquery", "store", "verify", str(published)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stdout == f"6 answers of 2 oracles in {published}: all sound\n"
