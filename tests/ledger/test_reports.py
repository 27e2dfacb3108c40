"""What the ledger tells of budgets, spending and attempts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bbquery.errors import StorageFailed, UsageError
from bbquery.ledger import reports
from bbquery.ledger.accounts import Accounts
from bbquery.ledger.ledger import Ledger
from bbquery.ledger.records import Cap
from bbquery.ledger.reports import Spending, known_oracle
from bbquery.units import Units
from tests.support.bookkeeping import COST, HOLD, asked, remember, sent

if TYPE_CHECKING:
    from collections.abc import Callable

    from bbquery.ledger.connection import Connection
    from bbquery.ledger.places import Place
    from bbquery.ledger.reports import By


def add(first: Units, *more: Units) -> Units:
    total = first
    for each in more:
        total = total.plus(each)
    return total


# --- budgets ---


def test_budgets_are_a_tree_in_the_order_they_were_made(ledger: Ledger, accounts: Accounts) -> None:
    """What lies in a budget follows it, depth first, with the names above; whatever was made in between."""
    old = ledger.open_budget("old", Cap())
    paper = ledger.open_budget("paper", Cap(queries=9))
    run = ledger.open_budget("z run", Cap(), paper)
    ledger.open_budget("in old", Cap(), old)
    ledger.open_budget("photo", Cap(), run)
    ledger.open_budget("a run", Cap(), paper)

    tree = [(b.state.name, b.depth, b.inside) for b in accounts.read(reports.budgets)]

    assert tree == [
        ("old", 0, None),
        ("in old", 1, "old"),
        ("paper", 0, None),
        ("z run", 1, "paper"),
        ("photo", 2, "z run"),
        ("a run", 1, "paper"),
    ]


def test_a_budget_is_shown_with_those_within_only(ledger: Ledger, accounts: Accounts) -> None:
    """Asked for one budget, its neighbours and the ones above are left out, and its path still names those above."""
    paper = ledger.open_budget("paper", Cap())
    run = ledger.open_budget("run", Cap(queries=3), paper)
    photo = ledger.open_budget("photo", Cap(), run)
    ledger.open_budget("other", Cap(), paper)

    shown = accounts.read(lambda c: reports.budgets(c, run))
    paths = accounts.read(lambda c: reports.paths(c, run))

    assert [(b.state.name, b.state.cap.queries) for b in shown] == [("run", 3), ("photo", None)]
    assert paths == {run: "paper > run", photo: "paper > run > photo"}


# --- spending ---


def test_spending_by_oracle_model_run_and_day(ledger: Ledger, accounts: Accounts) -> None:
    """Every attempt counts under its oracle, model, run and day of sending (UTC), by how it ended."""
    gpt = remember(ledger, oracle="openai", model="gpt-4o", prompt="what is it?")
    other = remember(ledger, oracle="openai", model="gpt-4o", prompt="what is that?")
    own = remember(ledger, oracle="function", function="lab.model")
    paper = ledger.open_budget("paper", Cap())
    run = ledger.open_budget("run", Cap(), paper)
    sent(ledger, run, asked(gpt, 1), at="2026-04-13T23:59:59.999+00:00")
    sent(ledger, run, asked(other, 2), "unknown", at="2026-04-14T00:00:00.000+00:00")
    sent(ledger, paper, asked(own, 3), "voided", at="2026-04-14T12:00:00.000+00:00")
    sent(ledger, paper, asked(own, 4), None, at="2026-04-14T12:00:00.000+00:00")

    def by(what: By) -> list[Spending]:
        return accounts.read(lambda c: reports.spending(c, what))

    nothing = Units()
    posted, unknown = (1, 0, 0, 0, COST, nothing), (0, 0, 1, 0, nothing, HOLD)
    others = (0, 1, 0, 1, nothing, HOLD)
    assert by("oracle") == [
        Spending("function lab.model " + own[:8], *others),
        *sorted(
            [
                Spending("openai gpt-4o " + gpt[:8], *posted),
                Spending("openai gpt-4o " + other[:8], *unknown),
            ],
            key=lambda row: row.label,
        ),
    ]
    assert by("model") == [Spending("function lab.model", *others), Spending("gpt-4o", 1, 0, 1, 0, COST, HOLD)]
    assert by("run") == [Spending("paper", *others), Spending("paper > run", 1, 0, 1, 0, COST, HOLD)]
    assert by("day") == [
        Spending("2026-04-13", *posted),
        Spending("2026-04-14", 0, 1, 1, 1, nothing, HOLD.plus(HOLD)),
    ]


@settings(max_examples=15, deadline=None)
@given(
    ended=st.lists(
        st.tuples(
            st.integers(0, 3),
            st.sampled_from(["posted", "voided", "unknown", None]),
            st.sampled_from(["a", "b", "a model"]),
            st.integers(10, 13),
        ),
        max_size=12,
    )
)
def test_every_table_adds_up_to_the_budgets(
    ended: list[tuple[int, str | None, str, int]], new_place: Callable[[], Place]
) -> None:
    """By whatever spending is told, it sums to what the outermost budgets have posted and hold."""
    with Ledger(new_place()) as ledger:
        top = [ledger.open_budget(name, Cap()) for name in ("one", "two")]
        nested = [ledger.open_budget(f"in {budget}", Cap(), budget) for budget in top]
        for number, (place, outcome, model, day) in enumerate(ended):
            question = asked(remember(ledger, model=model), number)
            at = f"2026-04-{day}T10:00:00.000+00:00"
            sent(ledger, (top + nested)[place], question, outcome, at=at)  # type: ignore[arg-type] # sampled outcomes
        with Accounts(ledger.place) as accounts:
            tables = [accounts.read(lambda c, by=by: reports.spending(c, by)) for by in get_args(reports.By)]  # type: ignore[misc] # a default binds the loop's value
            states = [ledger.budget(budget) for budget in top]

    for rows in tables:
        assert add(Units(), *(row.cost for row in rows)) == add(*(state.posted for state in states))
        assert add(Units(), *(row.held for row in rows)) == add(*(state.held for state in states))
        assert sum(row.posted + row.voided + row.unknown + row.open for row in rows) == len(ended)


def test_amounts_are_exact_beyond_what_floats_hold(ledger: Ledger, accounts: Accounts) -> None:
    """Sums of picodollars keep their last digit at millions of dollars."""
    budget = ledger.open_budget("b", Cap())
    oracle = remember(ledger, model="m")
    cost = Units(1, 0, 2**53 + 1)
    for number in range(3):
        sent(ledger, budget, asked(oracle, number), hold=cost, cost=cost)

    (row,) = accounts.read(lambda c: reports.spending(c, "model"))

    assert row.cost.picodollars == 3 * 2**53 + 3


def test_spending_within_a_budget_leaves_the_others_out(ledger: Ledger, accounts: Accounts) -> None:
    """Asked for one budget, only what it and those within sent counts."""
    oracle = remember(ledger, model="m")
    mine, other = ledger.open_budget("mine", Cap()), ledger.open_budget("other", Cap())
    inside = ledger.open_budget("inside", Cap(), mine)
    for number, budget in enumerate((mine, inside, other)):
        sent(ledger, budget, asked(oracle, number))

    rows = accounts.read(lambda c: reports.spending(c, "run", mine))

    assert [(row.label, row.posted) for row in rows] == [("mine", 1), ("mine > inside", 1)]


# --- attempts ---


def test_attempts_are_told_one_by_one(ledger: Ledger, accounts: Accounts) -> None:
    """Each attempt comes with budget, oracle, state, reason and amounts; what is not over has no cost yet."""
    oracle = remember(ledger, oracle="openai", model="gpt-4o")
    budget = ledger.open_budget("b", Cap())
    posted = sent(ledger, budget, asked(oracle, 1))
    unknown = sent(ledger, budget, asked(oracle, 2), "unknown", reason="timed out")
    in_flight = sent(ledger, budget, asked(oracle, 3), None)
    voided = sent(ledger, budget, asked(oracle, 4), "voided")

    told = accounts.read(lambda c: list(reports.attempts(c)))

    assert [(a.id, a.state, a.cost, a.reason) for a in told] == [
        (posted, "posted", COST, ""),
        (unknown, "unknown", None, "timed out"),
        (in_flight, "open", None, ""),
        (voided, "voided", Units(), ""),
    ]
    assert {(a.budget, a.oracle.model, a.hold) for a in told} == {("b", "gpt-4o", HOLD)}
    assert [a.closed == "" for a in told] == [False, False, True, False]


def test_attempts_can_be_chosen_by_budget_and_state(ledger: Ledger, accounts: Accounts) -> None:
    """Only the unknowns of one budget, say."""
    oracle = remember(ledger, model="m")
    one, two = ledger.open_budget("one", Cap()), ledger.open_budget("two", Cap())
    sent(ledger, one, asked(oracle, 1))
    wanted = sent(ledger, one, asked(oracle, 2), "unknown")
    sent(ledger, two, asked(oracle, 3), "unknown")

    assert [a.id for a in accounts.read(lambda c: list(reports.attempts(c, one, "unknown")))] == [wanted]


def test_an_attempt_of_an_oracle_nobody_remembers_is_told_all_the_same(ledger: Ledger, accounts: Accounts) -> None:
    """Money is counted even where the identity behind a fingerprint was never written down."""
    budget = ledger.open_budget("b", Cap())
    sent(ledger, budget, asked("f" * 32, 1), "unknown")

    assert [a.oracle.model for a in accounts.read(lambda c: list(reports.attempts(c)))] == ["f" * 32]
    assert [row.label for row in accounts.read(lambda c: reports.spending(c, "model"))] == ["f" * 32]


# --- names of oracles ---


@pytest.mark.parametrize(
    ("identity", "name", "model"),
    [
        ({"oracle": "openai", "model": "gpt-4o", "prompt": "?"}, "openai gpt-4o", "gpt-4o"),
        ({"oracle": "function", "function": "a.b"}, "function a.b", "function a.b"),
        (
            {"oracle": "http", "url": "https://m.example/cats"},
            "http https://m.example/cats",
            "http https://m.example/cats",
        ),
        ({"model": "efficientnet-lite0"}, "efficientnet-lite0", "efficientnet-lite0"),
        ({"model": None, "weights": "x"}, "0123456789abcdef", "0123456789abcdef"),
        ({"oracle": "google_vision", "feature": "LABELS", "model": "stable"}, "google_vision stable LABELS", "LABELS"),
        ({"oracle": "onnx", "model": "0123456789abcdef" * 4, "function": ""}, "onnx 01234567", "01234567"),
    ],
)
def test_an_oracle_is_called_by_what_its_identity_says(identity: dict[str, object], name: str, model: str) -> None:
    """Kind, model and feature where there are any, else the fingerprint; hashes of files by their first digits."""
    known = known_oracle("0123456789abcdef", identity)

    assert (known.name, known.model) == (name, model)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        *(("openai", True), ("gpt-4o", True), ("openai gpt-4o", True), ("01234567", True), ("0123456789ABCDEF", True)),
        *(("0123456", False), ("gpt", False), ("", False), ("12345678", False)),
    ],
)
def test_a_person_means_an_oracle_by_name_model_or_fingerprint(said: str, meant: bool) -> None:
    """Whole names, or at least 8 digits of the fingerprint from its start."""
    assert known_oracle("0123456789abcdef", {"oracle": "openai", "model": "gpt-4o"}).is_called(said) is meant


@pytest.mark.parametrize(
    ("url", "rehearsed"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://127.0.1.1/v1", True),
        ("http://localhost:8000/v1", True),
        ("http://[::1]:8000", True),
        ("127.0.0.1:50051", True),
        ("https://api.openai.com/v1", False),
        ("https://localhost.example/v1", False),
        ("http://10.127.0.1/", False),
        (None, False),
    ],
)
def test_what_runs_on_this_machine_is_a_rehearsal(url: str | None, rehearsed: bool) -> None:
    """No vendor bills what was sent to a loopback address."""
    for place in ("url", "base_url", "endpoint"):
        assert known_oracle("0", {"model": "gpt-4o", place: url}).rehearsed is rehearsed
    assert not known_oracle("0", {"model": "gpt-4o", "prompt": url}).rehearsed


# --- the accounts ---


def test_the_books_find_what_a_dead_process_left_in_flight(place: Place) -> None:
    """Opening the accounts makes attempts of processes that no longer run unknown, so that they can be settled."""
    with Ledger(place) as dead:
        left = sent(dead, dead.open_budget("b", Cap()), asked(remember(dead, model="m"), 1), None)

    with Accounts(place) as accounts:
        assert [a.id for a in accounts.read(lambda c: list(reports.attempts(c, None, "unknown")))] == [left]


def test_what_is_read_together_is_of_one_moment(ledger: Ledger, accounts: Accounts) -> None:
    """A budget made while somebody reads is not in the second half of what he reads."""

    def twice(connection: Connection) -> tuple[int, int]:
        before = len(reports.budgets(connection))
        ledger.open_budget("new", Cap())
        return before, len(reports.budgets(connection))

    assert accounts.read(twice) == (0, 0)
    assert len(accounts.read(reports.budgets)) == 1


def test_work_that_raises_changes_nothing(ledger: Ledger, accounts: Accounts) -> None:
    """What is written before a mistake is found is taken back, and the mistake is told as it is."""

    def work(connection: Connection) -> None:
        connection.execute("UPDATE budget SET name = 'changed'")
        raise UsageError("no")

    budget = ledger.open_budget("b", Cap())
    with pytest.raises(UsageError, match=r"^no$"):
        accounts.write(work)

    assert ledger.budget(budget).name == "b"


def test_a_failing_disk_is_told_as_one(accounts: Accounts) -> None:
    """What the database raises amid work is the ledger's fault, with its name, and not an unknown error."""
    said = rf"^the ledger {re.escape(accounts.name)} cannot be used: .*nowhere"
    with pytest.raises(StorageFailed, match=said):
        accounts.write(lambda c: c.execute("SELECT 1 FROM nowhere"))
