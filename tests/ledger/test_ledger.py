"""The ledger's rules, on a real file."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bbquery.errors import BudgetExhausted, StorageFailed, UsageError
from bbquery.ledger import statements
from bbquery.ledger.ledger import Ledger, open_ledger
from bbquery.ledger.records import Answered, BudgetState, Busy, Cap, Granted, HoldRequest, Settlement
from bbquery.types import Reply, Text
from bbquery.units import Units
from tests.support.bookkeeping import break_disk, guard_caps, question

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bbquery.ledger.connection import Connection
    from bbquery.ledger.places import Place


ONE = Units(queries=1)


def replied(text: str) -> Reply:
    return Reply(Text(text), ONE, "v1")


async def reserve_one(ledger: Ledger, budget: int, number: int, hold: Units = ONE, *, free: bool = False) -> object:
    request = HoldRequest(question(number), budget, hold, free)
    (result,) = await ledger.reserve([request])
    return result


async def granted(ledger: Ledger, budget: int, number: int, *, free: bool = False) -> int:
    result = await reserve_one(ledger, budget, number, free=free)
    assert isinstance(result, Granted)
    return result.attempt


async def test_a_hold_counts_in_every_budget_above(ledger: Ledger) -> None:
    """Reserving in a run's budget holds in its project's too."""
    project = ledger.open_budget("project", Cap(queries=10))
    run = ledger.open_budget("run", Cap(queries=5), project)

    await granted(ledger, run, 1)

    assert (ledger.budget(run).held, ledger.budget(project).held) == (Units(queries=1), Units(queries=1))


async def test_the_tightest_budget_refuses_and_nothing_is_held_anywhere(ledger: Ledger) -> None:
    """A refusal by the project names the project and leaves the run's budget as it was."""
    project = ledger.open_budget("project", Cap(queries=1))
    run = ledger.open_budget("run", Cap(queries=5), project)
    await granted(ledger, run, 1)

    refusal = await reserve_one(ledger, run, 2)

    assert isinstance(refusal, BudgetExhausted)
    assert (refusal.budget, refusal.unit, refusal.remaining, refusal.needed) == ("project", "queries", 0, 1)
    assert ledger.budget(run).held == Units(queries=1)


def test_budgets_that_are_read_together_are_of_one_moment(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another process changes between the reading of two is in neither; a name without a budget is left out."""
    for name in ("one", "two"):
        ledger.open_budget(name, Cap(queries=5))
    read = statements.budget_named

    def named(connection: Connection, name: str) -> BudgetState | None:
        monkeypatch.undo()
        found = read(connection, name)
        with Ledger(ledger.place) as other:
            other.open_budget("two", Cap(queries=7))
        return found

    monkeypatch.setattr(statements, "budget_named", named)
    found = ledger.budgets(["one", "two", "three"])

    assert {name: each.cap.queries for name, each in found.items()} == {"one": 5, "two": 5}
    assert ledger.budgets(["two"])["two"].cap.queries == 7


@pytest.mark.parametrize("unit", ["queries", "tokens", "picodollars"])
async def test_every_unit_has_its_own_cap(ledger: Ledger, unit: str) -> None:
    """A hold that fits in all units but one is refused for that one."""
    budget = ledger.open_budget("b", Cap(**{unit: 9}))
    hold = Units(**{"queries": 1, unit: 10})

    refusal = await reserve_one(ledger, budget, 1, hold)

    assert isinstance(refusal, BudgetExhausted)
    assert (refusal.unit, refusal.remaining, refusal.needed, refusal.cap) == (unit, 9, 10, 9)


async def test_posting_releases_the_hold_and_stores_the_answer(ledger: Ledger) -> None:
    """One settlement moves held to posted and makes the answer findable."""
    ledger.remember_oracle("fingerprint", "{}")
    budget = ledger.open_budget("b", Cap(queries=5))
    attempt = await granted(ledger, budget, 1)

    await ledger.settle([Settlement(attempt, "posted", Units(queries=1), question=question(1), reply=replied("a cat"))])

    state = ledger.budget(budget)
    assert (state.posted, state.held) == (Units(queries=1), Units())
    stored = ledger.find([question(1).key])[question(1).key]
    assert (stored.answer, stored.cost, stored.served) == (Text("a cat"), Units(), "v1")
    assert ledger.payers([question(1).key, question(2).key]) == {question(1).key: budget}


async def test_voiding_gives_the_budget_back(ledger: Ledger) -> None:
    """A provably unbilled attempt leaves no trace in the budget."""
    budget = ledger.open_budget("b", Cap(queries=1))
    attempt = await granted(ledger, budget, 1)

    await ledger.settle([Settlement(attempt, "voided", reason="429")])

    assert (ledger.budget(budget).posted, ledger.budget(budget).held) == (Units(), Units())


async def test_an_unknown_keeps_its_hold_and_is_listed(ledger: Ledger) -> None:
    """An attempt that may have been billed stays held, with its reason, until somebody settles it."""
    budget = ledger.open_budget("b", Cap(queries=1))
    attempt = await granted(ledger, budget, 1)

    await ledger.settle([Settlement(attempt, "unknown", reason="timed out")])

    assert ledger.budget(budget).held == Units(queries=1)
    assert [(u.attempt, u.key, u.reason) for u in ledger.unknowns(budget)] == [(attempt, question(1).key, "timed out")]


async def test_a_free_oracle_voids_its_unknowns(ledger: Ledger) -> None:
    """Where nothing is ever paid, a lost answer costs no budget."""
    budget = ledger.open_budget("b", Cap(queries=1))
    attempt = await granted(ledger, budget, 1, free=True)

    await ledger.settle([Settlement(attempt, "unknown", reason="crashed")])

    assert ledger.budget(budget).held == Units()
    assert ledger.unknowns(budget) == []


async def test_a_cost_above_the_hold_is_recorded_as_it_is(ledger: Ledger) -> None:
    """The truth is recorded even where it passes the cap, and nothing more is granted then."""
    budget = ledger.open_budget("b", Cap(tokens=10))
    result = await reserve_one(ledger, budget, 1, Units(tokens=10))
    assert isinstance(result, Granted)

    await ledger.settle([Settlement(result.attempt, "posted", Units(tokens=12))])

    assert ledger.budget(budget).posted == Units(tokens=12)
    assert isinstance(await reserve_one(ledger, budget, 2, Units(tokens=1)), BudgetExhausted)


async def test_an_attempt_is_settled_once(ledger: Ledger) -> None:
    """Settling twice is refused and changes nothing."""
    budget = ledger.open_budget("b", Cap(queries=5))
    attempt = await granted(ledger, budget, 1)
    await ledger.settle([Settlement(attempt, "posted", Units(queries=1))])

    with pytest.raises(UsageError, match="settled once"):
        await ledger.settle([Settlement(attempt, "posted", Units(queries=1))])

    assert ledger.budget(budget).posted == Units(queries=1)


async def test_an_equal_question_in_flight_is_busy_and_then_answered(ledger: Ledger) -> None:
    """Two processes pay once: the second is told to wait, and finds the answer afterwards."""
    ledger.remember_oracle("fingerprint", "{}")
    budget = ledger.open_budget("b", Cap(queries=5))
    attempt = await granted(ledger, budget, 1)
    with Ledger(ledger.place) as other:
        during = await reserve_one(other, budget, 1)
        busy = other.in_flight(question(1).key)
        await ledger.settle([Settlement(attempt, "posted", ONE, question=question(1), reply=replied("once"))])
        after = await reserve_one(other, budget, 1)

    assert isinstance(during, Busy)
    assert busy
    assert isinstance(after, Answered)
    assert after.reply.answer == Text("once")
    assert ledger.budget(budget).posted == Units(queries=1)


async def test_equal_questions_that_are_held_together_are_granted_once(ledger: Ledger) -> None:
    """Two clients of one process may ask alike in one commit: one is granted, the other is told to wait."""
    budget = ledger.open_budget("b", Cap(queries=5))

    results = await ledger.reserve([HoldRequest(question(1), budget, ONE)] * 2)

    assert [type(result) for result in results] == [Granted, Busy]
    assert ledger.budget(budget).held == ONE


async def test_a_live_owner_is_not_buried_and_a_dead_one_is(place: Place) -> None:
    """Opening the ledger leaves open attempts of the living alone and makes those of the dead unknown."""
    first = Ledger(place)
    budget = first.open_budget("b", Cap(queries=5))
    await granted(first, budget, 1)
    with Ledger(place) as second:
        while_alive = second.unknowns(budget)
    first.close()
    with Ledger(place) as third:
        after_death = third.unknowns(budget)
        state = third.budget(budget)

    assert while_alive == []
    assert [u.key for u in after_death] == [question(1).key]
    assert state.held == Units(queries=1)


def test_resuming_a_budget_keeps_what_was_spent_and_takes_the_new_cap(ledger: Ledger) -> None:
    """Opening a budget again changes its cap only."""
    first = ledger.open_budget("b", Cap(queries=5))
    again = ledger.open_budget("b", Cap(queries=7, tokens=3))

    assert again == first
    assert ledger.budget(first).cap == Cap(queries=7, tokens=3)


async def test_a_cap_cannot_fall_below_what_is_spent(ledger: Ledger) -> None:
    """Lowering a cap under what is posted and held means that no more is sent, never a broken invariant."""
    budget = ledger.open_budget("b", Cap(queries=5))
    for n in range(3):
        await granted(ledger, budget, n)

    ledger.open_budget("b", Cap(queries=1))

    assert ledger.budget(budget).cap == Cap(queries=3)
    assert isinstance(await reserve_one(ledger, budget, 9), BudgetExhausted)


def test_a_budget_cannot_move(ledger: Ledger) -> None:
    """A budget that lies inside one cannot be opened inside another."""
    project = ledger.open_budget("project", Cap())
    ledger.open_budget("run", Cap(queries=1), project)

    with pytest.raises(UsageError, match="already lies inside"):
        ledger.open_budget("run", Cap(queries=1))


@pytest.mark.parametrize("cap", [0, -1])
def test_a_budget_that_allows_nothing_is_a_usage_error(cap: int) -> None:
    """Zero and negative caps are refused by name."""
    with pytest.raises(UsageError, match=f"{cap} queries"):
        Cap(queries=cap)


@pytest.mark.parametrize("unit", ["queries", "tokens", "picodollars"])
def test_a_budget_that_nobody_can_count_is_a_usage_error(unit: str) -> None:
    """A cap beyond the ledger's integers is found where it is stated."""
    Cap(**{unit: 9 * 10**18})

    with pytest.raises(UsageError, match="is more than can be counted: give at most"):
        Cap(**{unit: 9 * 10**18 + 1})


def test_an_unknown_budget_is_a_usage_error(ledger: Ledger) -> None:
    """Asking for a budget that does not exist says so."""
    with pytest.raises(UsageError, match="no budget"):
        ledger.budget(99)


@settings(max_examples=20, deadline=None)
@given(
    caps=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    steps=st.lists(
        st.tuples(st.integers(0, 20), st.sampled_from(["posted", "voided", "unknown", "open"]), st.booleans()),
        max_size=40,
    ),
)
async def test_posted_and_held_never_pass_any_cap(
    caps: tuple[int, int], steps: list[tuple[int, str, bool]], new_place: Callable[[], Place]
) -> None:
    """Whatever is reserved and however it is settled, at every statement posted + held <= cap in every budget."""
    with Ledger(new_place()) as ledger:
        guard_caps(ledger)
        project = ledger.open_budget("project", Cap(queries=caps[0]))
        run = ledger.open_budget("run", Cap(queries=caps[1]), project)
        outcomes = dict.fromkeys(("posted", "voided", "unknown", "open"), 0)
        for n, (number, outcome, free) in enumerate(steps):
            result = await reserve_one(ledger, run, 100 * n + number, free=free)
            if not isinstance(result, Granted):
                assert isinstance(result, BudgetExhausted)
                continue
            outcomes["voided" if free and outcome == "unknown" else outcome] += 1
            if outcome != "open":
                cost = Units(queries=1) if outcome == "posted" else Units()
                await ledger.settle([Settlement(result.attempt, outcome, cost)])  # type: ignore[arg-type] # sampled from the outcomes
        state = ledger.budget(run)

    assert state.posted.queries == outcomes["posted"]
    assert state.held.queries == outcomes["unknown"] + outcomes["open"]
    assert state.posted.queries + state.held.queries <= min(caps)


# --- the file ---


def insert_budget(connection: Connection, name: str) -> bool:
    return connection.execute("INSERT INTO budget (name) VALUES (?)", (name,)).rowcount == 1


def insert_then_fail(connection: Connection) -> float:
    insert_budget(connection, "half done")
    return 1 / 0


def test_work_that_fails_is_undone_alone(ledger: Ledger) -> None:
    """In a group commit, one failing piece of work does not take its neighbours with it."""
    database = ledger._database
    barrier = threading.Event()
    database.write(lambda _: barrier.wait(5))  # so that the next three share a commit
    good = [database.write(partial(insert_budget, name=name)) for name in ("a", "b")]
    bad = database.write(insert_then_fail)
    barrier.set()

    with pytest.raises(ZeroDivisionError):
        bad.result(5)
    assert [g.result(5) for g in good] == [True, True]
    assert database.read(lambda c: c.execute("SELECT count(*) FROM budget").fetchone()) == (2,)


def test_cancelled_work_is_not_done(ledger: Ledger) -> None:
    """Work cancelled while it waits leaves no trace, and the writer lives on."""
    database = ledger._database
    barrier = threading.Event()
    database.write(lambda _: barrier.wait(5))
    cancelled = database.write(lambda c: c.execute("INSERT INTO budget (name) VALUES ('x')"))
    assert cancelled.cancel()
    barrier.set()

    assert database.write(lambda c: c.execute("SELECT count(*) FROM budget").fetchone()).result(5) == (0,)


def test_a_file_that_is_no_ledger_is_refused(tmp_path: Path) -> None:
    """A damaged file gives a clear error that names it."""
    path = tmp_path / "broken.sqlite3"
    path.write_bytes(b"not a database at all, but long enough to have a header" * 20)

    with pytest.raises(StorageFailed, match=r"broken\.sqlite3"):
        Ledger(path)


def test_a_ledger_of_a_later_version_is_refused(tmp_path: Path) -> None:
    """A file written by a newer bbquery is left alone."""
    path = tmp_path / "l.sqlite3"
    Ledger(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()

    with pytest.raises(StorageFailed, match="newer"):
        Ledger(path)


def test_a_closed_ledger_takes_no_more(ledger: Ledger) -> None:
    """Writing after closing is an error, and closing twice is not."""
    ledger.close()
    ledger._database.close()

    with pytest.raises(StorageFailed, match="closed"):
        ledger.open_budget("b", Cap())


def test_a_thread_that_comes_late_opens_no_connection_to_a_closed_ledger(ledger: Ledger) -> None:
    """What a cancelled run left on a thread is told that the ledger is closed: nobody would close its connection."""
    budget = ledger.open_budget("b", Cap())
    ledger.close()

    with ThreadPoolExecutor(1) as threads:
        reading = threads.submit(ledger.budget, budget)

    with pytest.raises(StorageFailed, match="closed"):
        reading.result()


def test_closing_waits_for_whoever_reads(ledger: Ledger) -> None:
    """SQLite's connection is not taken from under a thread that reads with it, which could end the process."""
    ledger.open_budget("b", Cap())
    reading, may_read = threading.Event(), threading.Event()

    def read(connection: Connection) -> int:
        reading.set()
        may_read.wait(30)
        return len(connection.execute("SELECT name FROM budget").fetchall())

    with ThreadPoolExecutor(2) as threads:
        found = threads.submit(ledger.read, read)
        assert reading.wait(30)
        closing = threads.submit(ledger.close)
        ledger._database._writer.join(30)
        waited = not closing.done()
        may_read.set()
        closing.result(30)

    assert waited
    assert found.result() == 1


def test_a_failed_commit_reaches_everyone_who_waits(tmp_path: Path) -> None:
    """When the disk fails, nobody is told that work was done."""
    with Ledger(tmp_path / "ledger.sqlite3") as ledger:
        break_disk(ledger)

        with pytest.raises(StorageFailed, match="cannot be used"):
            ledger.open_budget("b", Cap())


async def test_an_attempt_that_could_not_be_settled_is_not_waited_for(tmp_path: Path) -> None:
    """It stays open for as long as this process lives, so whoever asks the same is told why, and never waits."""
    with Ledger(tmp_path / "ledger.sqlite3") as ledger:
        attempt = await granted(ledger, ledger.open_budget("b", Cap()), 1)
        key = question(1).key
        waits = ledger.in_flight(key)
        break_disk(ledger)
        with pytest.raises(StorageFailed):
            await ledger.settle([Settlement(attempt, "voided")])

        assert waits
        assert not ledger.in_flight(question(2).key)
        with pytest.raises(StorageFailed, match="cannot be used"):
            ledger.in_flight(key)


def test_a_ledger_that_is_lent_stays_open(ledger: Ledger) -> None:
    """`open_ledger` closes only what it opened itself."""
    with open_ledger(ledger) as lent:
        assert lent is ledger
    with open_ledger(None) as own:
        own.open_budget("b", Cap())

    assert ledger.open_budget("b", Cap())
    with pytest.raises(StorageFailed):
        own.open_budget("b", Cap())


def test_an_unwritable_folder_is_a_clear_error(tmp_path: Path) -> None:
    """A ledger that cannot be made says where it was to be."""
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageFailed, match="file"):
        Ledger(tmp_path / "file" / "l.sqlite3")
