"""`bbquery store verify` and `bbquery store size`: what was damaged is named, and what takes space."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bbquery.cli import main
from bbquery.ledger import codec, store_files
from bbquery.ledger.accounts import Accounts
from bbquery.ledger.ledger import Ledger
from bbquery.ledger.records import Cap
from bbquery.ledger.store_lines import Fault, Header, Reading, header_text
from bbquery.types import Text
from tests.support.bookkeeping import ANSWERS, asked, remember, sent

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.ledger.connection import Value
    from tests.support.runs import Say
from tests.support.store_files import damage, rewrite


def other_image(plain: list[dict[str, Any]]) -> None:
    plain[3]["image"] = "11" * 32


def another_order(plain: list[dict[str, Any]]) -> None:
    plain[3], plain[4] = plain[4], plain[3]


# --- verify ---


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

    verified, imported = say("store", "verify", published, code=2), say("store", "import", published, code=2)

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

    assert said in say("store", "verify", published, code=2)


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
@example(line=6, place=225, byte=47)  # a NaN that signals
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

    assert said in say("store", "verify", path, code=2)
    assert said in say("store", "import", path, code=2)


def test_a_file_that_is_not_there_is_named(say: Say, tmp_path: Path) -> None:
    """A wrong path is a usage error."""
    assert "missing.jsonl': No such file" in say("store", "verify", tmp_path / "missing.jsonl", code=2)
    assert "missing.jsonl': No such file" in say("store", "import", tmp_path / "missing.jsonl", code=2)


def test_only_the_first_faults_are_listed(published: Path, say: Say) -> None:
    """All are counted, ten are shown."""
    extra = [{"key": str(n)} for n in range(20)]
    rewrite(published, lambda plain: plain.extend(extra))

    said = say("store", "verify", published, code=2)

    assert "21 faults" in said  # the number of lines is one more
    assert "and 11 more" in said
    assert said.count("line ") == 10


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
    assert "6 answers of 2 oracles" in say("store", "verify")
    damage(ledger, statement)

    told = say("store", "verify", code=1)

    assert "has 2 faults" in told
    assert said in told
    assert published.exists()


def fill(ledger: Ledger, answers: int) -> None:
    """Put many answers into the store at once; they come from no attempt."""
    oracle = remember(ledger, model="m")
    packed = codec.pack(Text("x" * 200))

    def rows() -> Iterator[tuple[Value, ...]]:
        for number in range(answers):
            question = asked(oracle, number)
            yield question.key, oracle, question.image, 0, packed, "2026-04-13T10:00:00.000+00:00"

    with Accounts(ledger.path) as accounts:
        insert = "INSERT INTO answer (key, oracle, image, sample, answer, created) VALUES (?, ?, ?, ?, ?, ?)"
        accounts.write(lambda c: c.executemany(insert, rows()))


# --- size ---


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
