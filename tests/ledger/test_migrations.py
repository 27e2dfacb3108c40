"""Upgrading a ledger of an earlier version: nothing is lost, nothing is done twice, nothing is left half done."""

from __future__ import annotations

import importlib.resources
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bbquery.errors import StorageFailed
from bbquery.ledger import codec, reconcile, reports, sqlite_file
from bbquery.ledger.accounts import Accounts
from bbquery.ledger.ledger import Ledger
from bbquery.ledger.records import Cap
from bbquery.ledger.sqlite_file import SqliteFile
from bbquery.types import Label, Labels, NoAnswer, Text, Vector
from bbquery.units import Units
from tests.support.bookkeeping import asked, sent

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.types import Answer

STEPS = sorted(
    (f for f in (importlib.resources.files("bbquery.ledger") / "migrations").iterdir() if f.name.endswith(".sql")),
    key=lambda f: f.name,
)
NEWEST = len(STEPS)
STATES = ("open", "posted", "voided", "unknown")
FINGERPRINT, IDENTITY = codec.fingerprint({"oracle": "openai", "model": "gpt-4o"})

# Answers of each kind, in the bytes that version 1 kept them in.
ANSWERS: list[tuple[bytes, Answer]] = [
    (b'{"f4":"AAAAPwAAQD4="}', Vector(np.array([0.5, 0.1875]))),
    (b'{"f8":"mpmZmZmZuT8="}', Vector(np.array([0.1]))),
    ('{"labels":[["кот",0.25],["cat",null]]}'.encode(), Labels((Label("кот", 0.25), Label("cat")))),
    (b'{"text":"a cat"}', Text("a cat")),
    (b'{"text":""}', Text("")),
    (b'{"text":"say \\",\\"tokens\\":[] or \\",\\"kind\\":"}', Text('say ","tokens":[] or ","kind":')),
    (b'{"text":"half a pair \xed\xa0\x80 \\u0000"}', Text("half a pair \ud800 \x00")),
    (b'{"none":"refused"}', NoAnswer("refused")),
    (b'{"none":"\\"kind\\":"}', NoAnswer('"kind":')),
]


def version_1(path: Path) -> None:
    """Make a ledger as version 1 left it: nested budgets, attempts in every state, and answers of every kind."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(f"{STEPS[0].read_text()}; PRAGMA user_version = 1;")
        connection.execute(
            "INSERT INTO budget (id, name, parent, cap_queries, posted_queries, held_queries)"
            " VALUES (1, 'project', NULL, 100, 9, 2), (2, 'run', 1, 50, 9, 2), (3, 'open-ended', NULL, NULL, 0, 0)"
        )
        connection.execute("INSERT INTO oracle VALUES (?, ?)", (FINGERPRINT, IDENTITY))
        for number, (packed, _) in enumerate(ANSWERS):
            question, attempt = asked(FINGERPRINT, number), 10 + number
            connection.execute(*an_attempt(attempt, question.key, "posted"))
            connection.execute(
                "INSERT INTO answer VALUES (?, ?, ?, ?, ?, ?, ?)",
                (question.key, FINGERPRINT, question.image, 0, packed, attempt, "2026-01-02T03:04:05.678+00:00"),
            )
        for number, state in enumerate(STATES):
            connection.execute(*an_attempt(number + 1, asked(FINGERPRINT, 100 + number).key, state))


def an_attempt(number: int, key: bytes, state: str) -> tuple[str, tuple[object, ...]]:
    cost = (None, None, None) if state == "open" else (int(state == "posted"), 0, 0)
    columns = "(id, key, budget, owner, oracle, free, state, reason, hold_queries, hold_tokens, hold_picodollars,"
    return (
        f"INSERT INTO attempt {columns} cost_queries, cost_tokens, cost_picodollars, opened)"
        " VALUES (?, ?, 2, 'somebody', ?, 0, ?, 'why', 1, 0, 0, ?, ?, ?, '2026-01-02T03:04:05.678+00:00')",
        (number, key, FINGERPRINT, state, *cost),
    )


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "l.sqlite3"
    version_1(path)
    return path


def rows(path: Path, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()


def version(path: Path) -> int:
    return int(rows(path, "PRAGMA user_version")[0][0])


AMOUNTS = ", ".join(f"{kind}_{u}" for kind in ("cap", "posted", "held") for u in ("queries", "tokens", "picodollars"))
BUDGETS = f"SELECT id, name, parent, {AMOUNTS} FROM budget ORDER BY id"
ATTEMPTS = "SELECT * FROM attempt ORDER BY id"
ANSWERED = "SELECT key, oracle, image, sample, attempt, created FROM answer ORDER BY key"


# --- an upgrade ---


def test_an_upgrade_keeps_every_row(old: Path) -> None:
    """Budgets, attempts in every state, oracles and answers are what they were, and nothing refers to nothing."""
    before = [rows(old, statement) for statement in (BUDGETS, ATTEMPTS, ANSWERED, "SELECT * FROM oracle")]

    SqliteFile(old).close()

    assert version(old) == NEWEST
    assert [rows(old, s) for s in (BUDGETS, ATTEMPTS, ANSWERED, "SELECT * FROM oracle")] == before
    assert len(before[1]) == len(ANSWERS) + len(STATES)
    assert rows(old, "PRAGMA foreign_key_check") == []
    assert rows(old, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.parametrize("number", range(len(ANSWERS)))
def test_every_answer_of_version_1_is_found_again(old: Path, number: int) -> None:
    """Whatever was paid for is served as it was answered, though its form on disk has changed since."""
    key = asked(FINGERPRINT, number).key
    with Ledger(old) as ledger:
        reply = ledger.find([key])[key]

    assert codec.pack(reply.answer) == codec.pack(ANSWERS[number][1])
    assert reply.served is None


def test_answers_in_their_present_form_are_left_alone(old: Path) -> None:
    """Upgrading a ledger that later versions wrote to changes none of their answers."""
    with closing(sqlite3.connect(old)) as connection, connection:
        for number, (_, answer) in enumerate(ANSWERS):
            packed = codec.pack(answer)
            connection.execute("UPDATE answer SET answer = ? WHERE key = ?", (packed, asked(FINGERPRINT, number).key))
    before = rows(old, "SELECT key, answer FROM answer ORDER BY key")

    SqliteFile(old).close()

    assert rows(old, "SELECT key, answer FROM answer ORDER BY key") == before


def test_an_upgraded_ledger_has_the_schema_of_a_new_one(old: Path, tmp_path: Path) -> None:
    """Whether it was made or upgraded makes no difference afterwards."""
    new = tmp_path / "new.sqlite3"
    SqliteFile(new).close()
    SqliteFile(old).close()

    schema = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name"
    assert rows(old, schema) == rows(new, schema)


def test_an_upgraded_ledger_goes_on(old: Path) -> None:
    """Its budgets hold and post, its unknowns can be settled, and what a dead process left in flight is unknown."""
    with Ledger(old) as ledger:
        run = ledger.open_budget("run", Cap(queries=12), ledger.open_budget("project", Cap(queries=100)))
        with Accounts(old) as accounts:
            unknowns = [u.attempt for u in ledger.unknowns(run)]
            accounts.write(lambda c: reconcile.settle(c, reconcile.all_unknowns(c, "voided")))
        sent(ledger, run, asked(FINGERPRINT, 200), hold=Units(1), cost=Units(1))
        state = ledger.budget(run)

    assert unknowns == [1, 4]
    assert (state.posted, state.held) == (Units(10), Units())


def test_an_upgraded_ledger_says_whom_its_budgets_asked_and_when(old: Path) -> None:
    """What is kept of each budget since version 10 is made of the attempts that were there before."""
    with Accounts(old) as accounts:
        branches = accounts.read(reports.budgets)

    seen = {branch.state.name: (branch.used, branch.oracles) for branch in branches}
    last = "2026-01-02T03:04:05.678+00:00"
    assert seen == {
        "project": (last, ("openai gpt-4o",)), "run": (last, ("openai gpt-4o",)), "open-ended": ("", ())
    }  # fmt: skip


def test_an_answer_of_a_published_store_belongs_to_no_attempt(old: Path) -> None:
    """Since version 3 an answer may come without an attempt; one that names an attempt still needs it to be there."""
    with Accounts(old) as accounts:
        columns = "(key, oracle, attempt, image, sample, answer, created)"
        insert = f"INSERT INTO answer {columns} VALUES (?, ?, ?, x'', 0, x'', '')"
        accounts.write(lambda c: c.execute(insert, (b"free", FINGERPRINT, None)))
        with pytest.raises(StorageFailed, match="FOREIGN KEY"):
            accounts.write(lambda c: c.execute(insert, (b"paid", FINGERPRINT, 999)))


def test_opening_again_changes_nothing(old: Path) -> None:
    """An upgrade happens once: the second opening finds nothing to do."""
    SqliteFile(old).close()
    before = old.read_bytes()

    SqliteFile(old).close()

    assert old.read_bytes() == before


# --- a crash in the middle ---


@contextmanager
def statements_seen(see: Callable[[str], None]) -> Iterator[None]:
    """Let `see` have every statement that a database executes, before it is."""
    prepare = sqlite_file._prepare

    def watched(connection: sqlite3.Connection) -> None:
        prepare(connection)
        connection.set_trace_callback(see)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite_file, "_prepare", watched)
        yield


@pytest.mark.parametrize("step", range(2, NEWEST + 1))
def test_a_migration_that_fails_leaves_the_version_before_it(
    old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Each step is done whole or not at all: after a failure at its end, the file is as the step found it."""
    folder = tmp_path / "bbquery.ledger" / "migrations"
    folder.mkdir(parents=True)
    for number, script in enumerate(STEPS, 1):
        broken = ";\nINSERT INTO nowhere VALUES (1);" if number == step else ""
        (folder / script.name).write_text(script.read_text() + broken)
    with monkeypatch.context() as patch:
        patch.setattr(importlib.resources, "files", lambda package: tmp_path / package)
        with pytest.raises(StorageFailed, match="nowhere"):
            SqliteFile(old)

    stopped_at, left = version(old), rows(old, ANSWERED)
    SqliteFile(old).close()

    assert stopped_at == step - 1
    assert left == rows(old, ANSWERED)
    assert len(left) == len(ANSWERS)
    assert version(old) == NEWEST


KILLED = """
import os, signal, sqlite3, sys
from pathlib import Path
from bbquery.ledger import sqlite_file
prepare = sqlite_file._prepare
def watched(connection):
    prepare(connection)
    connection.set_trace_callback(lambda sql: os.kill(os.getpid(), signal.SIGKILL) if sys.argv[2] in sql else None)
sqlite_file._prepare = watched
sqlite_file.SqliteFile(Path(sys.argv[1]))
"""


@pytest.mark.parametrize(
    "at", ["INSERT INTO answer_of_any_origin", "DROP TABLE answer", "RENAME TO answer", "UPDATE answer"]
)
def test_a_kill_in_the_middle_of_an_upgrade_loses_nothing(old: Path, at: str) -> None:
    """After kill -9 inside a step, the file is of the version before it, whole, and the next opening upgrades it."""
    before = [rows(old, statement) for statement in (BUDGETS, ATTEMPTS, ANSWERED)]

    killed = subprocess.run([sys.executable, "-c", KILLED, str(old), at], check=False)
    stopped_at, left = version(old), [rows(old, statement) for statement in (BUDGETS, ATTEMPTS, ANSWERED)]
    SqliteFile(old).close()

    assert killed.returncode == -signal.SIGKILL
    assert 1 <= stopped_at < NEWEST
    assert left == before
    assert version(old) == NEWEST
    assert [rows(old, statement) for statement in (BUDGETS, ATTEMPTS, ANSWERED)] == before


# --- two at once ---


def test_two_that_open_at_once_upgrade_once(old: Path) -> None:
    """Whoever comes while another upgrades waits at the door, and then finds the work done."""
    done: list[str] = []

    def open_too() -> None:
        SqliteFile(old).close()
        done.append("second")

    second = threading.Thread(target=open_too)

    def see(statement: str) -> None:
        if "ADD COLUMN served" in statement and not second.is_alive() and not done:
            second.start()
            second.join(0.3)  # it cannot end before the first has upgraded; without the door it would, or fail
            done.append("first")

    with statements_seen(see):
        SqliteFile(old).close()
    second.join(20)

    assert done == ["first", "second"]
    assert version(old) == NEWEST
    assert rows(old, "PRAGMA integrity_check") == [("ok",)]


def test_processes_that_open_at_once_all_find_it_upgraded(old: Path) -> None:
    """Four processes started together upgrade one file, and each of them can use it."""
    open_it = (
        "import sys; from pathlib import Path; from bbquery.ledger.ledger import Ledger\n"
        "sys.stdin.readline()\n"
        "with Ledger(Path(sys.argv[1])) as ledger: print(ledger.find_budget('run'))"
    )
    command = [sys.executable, "-c", open_it, str(old)]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()

    said = [process.communicate(timeout=60) for process in started]

    assert said == [("2\n", "")] * 4
    assert version(old) == NEWEST
    assert len(rows(old, ANSWERED)) == len(ANSWERS)
