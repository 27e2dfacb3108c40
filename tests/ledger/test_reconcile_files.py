"""Unknown attempts that are settled by a file of verdicts or by a vendor's report."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bbquery.errors import UsageError
from bbquery.ledger import settlement_csv, vendor
from bbquery.ledger.accounts import Accounts
from bbquery.ledger.ledger import Ledger
from bbquery.ledger.reconcile import Verdict
from bbquery.ledger.records import Cap
from bbquery.ledger.usage import Usage
from bbquery.units import Units
from tests.support.bookkeeping import COST, HOLD, asked, remember, sent

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.ledger.places import Place
    from bbquery.ledger.vendor import Comparison
from tests.support.bookkeeping import settle

DAY = datetime.datetime(2026, 4, 13, tzinfo=datetime.UTC)
NEXT_DAY = DAY + datetime.timedelta(days=1)
MUCH_LATER = DAY + datetime.timedelta(days=30)
ALL = ("queries", "tokens", "picodollars")


# --- a file of verdicts ---


def test_verdicts_are_read_as_documented(csv_file: Callable[[str], Path]) -> None:
    """Numbers or keys, either outcome, costs where they are known; the columns of an export may stay in."""
    text = (
        "attempt,key,outcome,queries,tokens,usd,reason\n7,,posted,1,0,0.0021,x\n,00ff,Voided,,,,\n\n8,ab,posted,,,,\n"
    )

    verdicts, report = settlement_csv.read(csv_file(text))

    assert report == []
    assert verdicts == [
        Verdict(7, "posted", 1, 0, 2_100_000_000),
        Verdict(b"\x00\xff", "voided"),
        Verdict(8, "posted"),
    ]


def test_what_a_spreadsheet_saves_is_read(tmp_path: Path) -> None:
    """A mark before UTF-8, Windows line ends, spaces and capitals in the header change nothing."""
    path = tmp_path / "file.csv"
    path.write_bytes(b"\xef\xbb\xbfAttempt , Outcome\r\n 7 ,posted\r\n")

    assert settlement_csv.read(path) == ([Verdict(7, "posted")], [])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "neither the columns of verdicts"),
        ("\n", "neither the columns of verdicts"),
        ("attempt;outcome\n7;posted\n", "neither the columns"),
        ("outcome\nposted\n", "does not say which attempt"),
        ("attempt,outcome,cost\n7,posted,1\n", "unknown column 'cost'"),
        ("attempt,outcome,attempt\n7,posted,7\n", "a column twice"),
        ("attempt,outcome\n7,paid\n", "line 2: the outcome is 'paid'"),
        ("attempt,outcome\n7,posted\n8\n", "line 3: 1 cells for 2 columns"),
        ("attempt,outcome\nseven,posted\n", "line 2: an attempt's number is 'seven'"),
        ("attempt,outcome\n-7,posted\n", "'-7'"),
        ("attempt,outcome\n99999999999999999999,posted\n", "not a whole number"),
        ("attempt,outcome\n,posted\n", "line 2: no attempt"),
        ("key,outcome\nxyz,posted\n", "'xyz' is not a key"),
        ("attempt,outcome,usd\n7,posted,$1\n", "line 2: '$1' is not an amount of dollars"),
        ("attempt,outcome,tokens\n7,posted,1.5\n", "tokens is '1.5'"),
        ("attempt,outcome,usd\n7,voided,1\n", "line 2: attempt 7 cannot be voided at a cost"),
        ("attempt,outcome\n7,posted\n8,posted\n7,voided\n", "line 4: the attempt of line 2 again"),
        ('attempt,outcome\n7,"posted\n', "is not a CSV file"),
        ("day,model\n2026-04-13,gpt-4o\n", "neither the columns"),
        ("model,queries\ngpt-4o,1\n", "neither the columns"),
        ("day,model,queries\n13.4.2026,gpt-4o,1\n", "'13.4.2026' is not a day"),
        ("day,model,queries\n2026-04-13T10:00,gpt-4o,1\n", "has a time"),
        ("day,model,queries\n2026-04-13,gpt-4o,many\n", "queries is 'many'"),
        ("day,model,queries\n2026-04-13,,1\n", "usage of no model"),
        ("day,model,queries,requests\n2026-04-13,m,1,1\n", "'queries' twice"),
        ("start,end,model,queries\n2026-04-13,2026-04-13,m,1\n", "not after its start"),
        ("start,end,model,queries\n2026-04-13,,m,1\n", "'' is not a day"),
        ("start_time,end_time,model,queries\n99999999999999999999,1,m,1\n", "is not a day"),
        ("day,model,usd\n2026-04-13,m,-0.5\n", "-0.5 dollars cannot be budgeted"),
    ],
)
def test_a_malformed_file_is_refused_with_its_line(csv_file: Callable[[str], Path], text: str, said: str) -> None:
    """What is wrong is said, with file and line, before anything is settled."""
    with pytest.raises(UsageError) as refusal:
        settlement_csv.read(csv_file(text))

    assert said in str(refusal.value)
    assert "file.csv" in str(refusal.value)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    """A spreadsheet in its own format, or a folder, is no CSV file."""
    (tmp_path / "book.xlsx").write_bytes(b"PK\x03\x04\xff\xfe")

    with pytest.raises(UsageError, match="not a CSV file in UTF-8"):
        settlement_csv.read(tmp_path / "book.xlsx")
    with pytest.raises(UsageError, match="cannot read"):
        settlement_csv.read(tmp_path)


def usage(
    queries: int = 0,
    tokens: int = 0,
    picodollars: int = 0,
    *,
    model: str = "gpt-4o",
    start: datetime.datetime = DAY,
    days: int = 1,
    units: Sequence[str] = ALL,
) -> Usage:
    return Usage(model, start, start + datetime.timedelta(days=days), Units(queries, tokens, picodollars), tuple(units))


# --- a vendor's report: reading it ---


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("day,model,queries,tokens,usd\n2026-04-13,gpt-4o,3,120,0.0021\n", usage(3, 120, 2_100_000_000)),
        ("date,model,requests\n2026-04-13,gpt-4o,3\n", usage(3, units=["queries"])),
        ("start,end,model,usd\n2026-04-13,2026-04-15,gpt-4o,1\n", usage(0, 0, 10**12, days=2, units=["picodollars"])),
        (
            "start,end,model,tokens\n2026-04-13T02:00+02:00,2026-04-14T00:00Z,m,5\n",
            usage(0, 5, model="m", units=["tokens"]),
        ),
        (
            "start_time,end_time,start_time_iso,num_model_requests,project_id,model,input_tokens,output_tokens\n"
            "1776038400,1776124800,x,3,p,gpt-4o-2024-08-06,100,20\n",
            usage(3, 120, model="gpt-4o-2024-08-06", units=["queries", "tokens"]),
        ),
        ("day,model,queries,usd\n2026-04-13,gpt-4o,,\n", usage(units=["queries", "picodollars"])),
        ("day,model,queries,input_tokens\n2026-04-13,gpt-4o,1,9\n", usage(1, units=["queries"])),
    ],
)
def test_vendors_columns_are_understood(csv_file: Callable[[str], Path], text: str, expected: Usage) -> None:
    """Days or windows, as OpenAI exports them or in plain columns; half of the tokens are none."""
    assert settlement_csv.read(csv_file(text)) == ([], [expected])


def test_idle_days_are_passed_over(csv_file: Callable[[str], Path]) -> None:
    """A vendor's row for a day without usage has no model, and counts nothing."""
    text = "start_time,end_time,num_model_requests,model,input_tokens,output_tokens\n1776038400,1776124800,,,,\n"

    assert settlement_csv.read(csv_file(text)) == ([], [])


def compare(
    accounts: Accounts, *report: Usage, now: datetime.datetime = MUCH_LATER, by_sum: bool = False
) -> Comparison:
    return accounts.read(lambda c: vendor.compare(c, report, now, by_sum=by_sum))


# --- a vendor's report: what it proves ---


def test_a_report_that_counts_what_was_posted_voids_the_unknowns(
    ledger: Ledger, accounts: Accounts, oracle: str
) -> None:
    """What the vendor did not count beyond the answers, it did not bill."""
    budget = ledger.open_budget("b", Cap())
    sent(ledger, budget, asked(oracle, 1))
    unknowns = [sent(ledger, budget, asked(oracle, n), "unknown") for n in (2, 3)]

    found = compare(accounts, usage(1, COST.tokens, COST.picodollars))

    assert found.verdicts == [Verdict(attempt, "voided") for attempt in unknowns]
    assert found.windows[0].conclusion == "agrees if no unknown was billed"


def test_a_report_of_one_query_more_settles_the_only_unknown_at_its_cost(
    ledger: Ledger, accounts: Accounts, oracle: str
) -> None:
    """The difference is what the unknown cost."""
    budget = ledger.open_budget("b", Cap())
    sent(ledger, budget, asked(oracle, 1))
    unknown = sent(ledger, budget, asked(oracle, 2), "unknown")

    found = compare(accounts, usage(2, COST.tokens + 70, COST.picodollars + 99))

    assert found.verdicts == [Verdict(unknown, "posted", 1, 70, 99)]


def test_unknowns_of_one_budget_share_the_difference_to_the_last_token(
    ledger: Ledger, accounts: Accounts, oracle: str
) -> None:
    """Where all were billed, their costs sum to the vendor's difference exactly."""
    budget = ledger.open_budget("b", Cap())
    unknowns = [sent(ledger, budget, asked(oracle, n), "unknown") for n in range(3)]

    found = compare(accounts, usage(3, 200, 301))

    assert found.verdicts == [
        Verdict(unknowns[0], "posted", 1, 67, 101),
        Verdict(unknowns[1], "posted", 1, 67, 100),
        Verdict(unknowns[2], "posted", 1, 66, 100),
    ]


def test_units_that_are_not_reported_cost_what_was_held(ledger: Ledger, accounts: Accounts, oracle: str) -> None:
    """A report without dollars proves the query, not its price."""
    unknown = sent(ledger, ledger.open_budget("b", Cap()), asked(oracle, 1), "unknown")

    found = compare(accounts, usage(1, 70, units=["queries", "tokens"]))

    assert found.verdicts == [Verdict(unknown, "posted", 1, 70, None)]


def test_a_snapshot_in_the_report_is_the_model_in_the_ledger(ledger: Ledger, accounts: Accounts, oracle: str) -> None:
    """Vendors report dated snapshots of what was asked for by its plain name, in several rows."""
    budget = ledger.open_budget("b", Cap())
    for n in range(2):
        sent(ledger, budget, asked(oracle, n))

    found = compare(
        accounts,
        usage(1, COST.tokens, COST.picodollars, model="gpt-4o-2024-08-06"),
        usage(1, COST.tokens, COST.picodollars, model="gpt-4o-2024-11-20"),
    )

    assert [(w.usage.model, w.conclusion) for w in found.windows] == [("gpt-4o", "agrees")]
    assert found.windows[0].difference == Units()


@pytest.mark.parametrize(
    ("reported", "now", "said"),
    [
        (usage(2, 100, 100), MUCH_LATER, "differs"),  # more queries than can be explained
        (usage(1, HOLD.tokens + 1, 100), MUCH_LATER, "differs"),  # more tokens than were held
        (usage(0, 5, 0), MUCH_LATER, "differs"),  # tokens of no query
        (usage(0, 0, 0, units=["tokens", "picodollars"]), MUCH_LATER, "counts no queries"),
        (usage(0, 0, 0), NEXT_DAY + datetime.timedelta(hours=23), "reports lag"),
    ],
)
def test_a_report_that_proves_nothing_settles_nothing(
    ledger: Ledger, accounts: Accounts, oracle: str, reported: Usage, now: datetime.datetime, said: str
) -> None:
    """Whatever cannot be told for certain is left held, and the reason given."""
    sent(ledger, ledger.open_budget("b", Cap()), asked(oracle, 1), "unknown")

    found = compare(accounts, reported, now=now)

    assert found.verdicts == []
    assert said in found.windows[0].conclusion


def test_less_than_was_posted_is_a_difference(ledger: Ledger, accounts: Accounts, oracle: str) -> None:
    """A vendor that counts less than it answered has not counted yet, so its report voids nothing."""
    budget = ledger.open_budget("b", Cap())
    sent(ledger, budget, asked(oracle, 1))
    sent(ledger, budget, asked(oracle, 2), "unknown")

    found = compare(accounts, usage(0, 0, 0))

    assert found.verdicts == []
    assert found.windows[0].difference == Units().plus(COST.times(-1))


def test_what_is_in_flight_makes_a_window_inconclusive(ledger: Ledger, accounts: Accounts, oracle: str) -> None:
    """The vendor may have counted what the ledger has not."""
    budget = ledger.open_budget("b", Cap())
    sent(ledger, budget, asked(oracle, 1), "unknown")
    sent(ledger, budget, asked(oracle, 2), None)

    found = compare(accounts, usage(0, 0, 0))

    assert found.verdicts == []
    assert "1 still in flight" in found.windows[0].conclusion


def test_one_unexplained_day_keeps_the_model_unsettled(ledger: Ledger, accounts: Accounts, oracle: str) -> None:
    """A query may be billed after midnight, so a day that does not fit puts every other day in doubt."""
    unknown = sent(ledger, ledger.open_budget("b", Cap()), asked(oracle, 1), "unknown")
    other = remember(ledger, model="o4-mini")
    sure = sent(ledger, ledger.open_budget("b", Cap()), asked(other, 1), "unknown")

    doubtful = compare(accounts, usage(0), usage(1, 50, 50, start=NEXT_DAY), usage(0, model="o4-mini"))
    certain = compare(accounts, usage(0), usage(0, start=NEXT_DAY))

    assert doubtful.verdicts == [Verdict(sure, "voided")]
    assert "another window of this model is not explained" in doubtful.windows[0].conclusion
    assert doubtful.windows[1].conclusion == "differs, and no unknown explains it"
    assert certain.verdicts == [Verdict(unknown, "voided")]


def test_unknowns_of_several_budgets_share_only_what_they_hold(ledger: Ledger, accounts: Accounts, oracle: str) -> None:
    """Who paid how much is known only if all paid what was held."""
    unknowns = [
        sent(ledger, ledger.open_budget(name, Cap()), asked(oracle, n), "unknown") for n, name in enumerate("ab")
    ]

    less = compare(accounts, usage(2, 150, 1000))
    all_of_it = compare(accounts, usage(2, 2 * HOLD.tokens, 2 * HOLD.picodollars))

    assert less.verdicts == []
    assert "not at how much in which budget" in less.windows[0].conclusion
    assert all_of_it.verdicts == [Verdict(attempt, "posted") for attempt in unknowns]


def test_unknowns_that_the_report_does_not_cover_are_counted(ledger: Ledger, accounts: Accounts, oracle: str) -> None:
    """Other models and other days are neither settled nor forgotten; answered ones do not matter."""
    budget = ledger.open_budget("b", Cap())
    early = sent(ledger, budget, asked(oracle, 1), "unknown", at="2026-04-12T23:59:59.999+00:00")
    first = sent(ledger, budget, asked(oracle, 5), "unknown", at="2026-04-13T00:00:00.000+00:00")
    other = sent(ledger, budget, asked(remember(ledger, model="m"), 3), "unknown")
    sent(ledger, budget, asked(remember(ledger, model="m"), 4))
    late = sent(ledger, budget, asked(oracle, 2), "unknown", at="2026-04-14T00:00:00.000+00:00")

    found = compare(accounts, usage(0))

    assert [a.id for a in found.outside] == [early, other, late]
    assert found.verdicts == [Verdict(first, "voided")]


def test_rehearsals_are_no_part_of_a_report(ledger: Ledger, accounts: Accounts, oracle: str) -> None:
    """What was sent to this machine under the vendor's model name is not compared with the vendor's bill."""
    budget = ledger.open_budget("b", Cap())
    rehearsed = remember(ledger, oracle="openai", model="gpt-4o", base_url="http://127.0.0.1:8000/v1")
    sent(ledger, budget, asked(rehearsed, 1))
    sent(ledger, budget, asked(rehearsed, 2), "unknown")
    real = sent(ledger, budget, asked(oracle, 3), "unknown")

    found = compare(accounts, usage(0))

    assert found.verdicts == [Verdict(real, "voided")]
    assert found.outside == []


def test_windows_that_overlap_are_refused(accounts: Accounts) -> None:
    """An attempt in two windows would be compared with two bills."""
    with pytest.raises(UsageError, match="gpt-4o overlap at 2026-04-14"):
        compare(accounts, usage(1, days=2), usage(1, start=NEXT_DAY))


@settings(max_examples=20, deadline=None)
@given(
    outcomes=st.lists(st.sampled_from(["posted", "billed", "not billed"]), min_size=1, max_size=6),
    same=st.booleans(),
)
def test_a_true_report_never_settles_wrongly(outcomes: list[str], same: bool, new_place: Callable[[], Place]) -> None:
    """Whatever was billed behind our back, what a true report settles is what was billed."""
    with Ledger(new_place()) as ledger:
        oracle = remember(ledger, model="gpt-4o")
        budget = ledger.open_budget("b", Cap())
        outcomes = [outcomes[0]] * len(outcomes) if same else outcomes
        truth = {
            sent(ledger, budget, asked(oracle, n), "posted" if outcome == "posted" else "unknown"): outcome
            for n, outcome in enumerate(outcomes)
        }
        bill = COST.times(sum(outcome != "not billed" for outcome in outcomes))
        with Accounts(ledger.place) as accounts:
            verdicts = compare(accounts, usage(bill.queries, bill.tokens, bill.picodollars)).verdicts
            settle(accounts, *verdicts)
        state = ledger.budget(budget)

    for verdict in verdicts:
        assert isinstance(verdict.attempt, int)
        assert truth[verdict.attempt] == ("billed" if verdict.outcome == "posted" else "not billed")
    if verdicts:
        assert (state.posted, state.held) == (bill, Units())
