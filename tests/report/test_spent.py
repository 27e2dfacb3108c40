"""How every command that asks ends: with what was spent of what is allowed, as in its record, and the page to open."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bbquery.cli import main
from bbquery.client.client import QueryCounts
from bbquery.commands.output import counted
from bbquery.ledger.records import BudgetState, Cap
from bbquery.plan import Ask
from bbquery.report.spent import spent
from bbquery.units import NOTHING, Units
from tests.commands.test_completing import attack, compare, evaluate, explain, no_waiting, photo, probe, several
from tests.support import drawing
from tests.support.counted import watched
from tests.support.images import tiny_images
from tests.support.oracles import FakeOracle, client_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from bbquery.ledger.ledger import Ledger

__all__ = ["no_waiting", "photo"]

RECORDS = {"explain": "run.json", "compare": "compare.json", "evaluate": "evaluation.json", "attack": "attack.json"}


@pytest.fixture(autouse=True)
def blank_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw nothing."""
    drawing.make_blank(monkeypatch)


@pytest.mark.parametrize("run", [explain, several, compare, evaluate, probe, attack])
def test_every_command_ends_with_what_was_spent(
    run: Callable[[Path], list[str]], photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Queries and dollars of those allowed, what the store gave, and a page; again the same, and nothing is sent."""
    watched.begin()
    assert main(run(photo)) == 0
    last, page = capsys.readouterr().out.splitlines()[-2:]
    asked = watched.calls
    watched.begin()
    assert main(run(photo)) == 0
    again, _ = capsys.readouterr().out.splitlines()[-2:]

    assert Path(page).suffix == ".html"
    assert Path(page).is_file()
    usd = f"{asked / 1000:.3f}".rstrip("0")
    assert last.startswith(f"spent: {asked} of ")
    assert f" queries, ${usd} of $9.00; " in last
    assert again.startswith(last.partition(";")[0])
    assert again.endswith(" from the store, nothing sent now")
    assert int(again.split("; ")[1].split()[0]) >= asked
    assert watched.calls == 0
    if run.__name__ in RECORDS:
        record = json.loads((photo.parent / "out" / RECORDS[run.__name__]).read_text())
        assert record["spent"] == again


def test_two_targets_of_one_set_are_asked_once(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Queries that two targets share count once: never more asked than allowed."""
    watched.begin()
    assert main(explain(photo, "--target", "left,right")) == 0

    said = capsys.readouterr()
    assert "queries: 98 asked, 98 sent, 0 from the store, 0 unknown\n" in said.out
    assert said.out.splitlines()[-2] == "spent: 98 of 100 queries, $0.098 of $9.00; 0 answers from the store"
    assert "100% – 98/98 queries, 98 sent" in said.err


async def test_questions_that_two_plans_share_count_once(ledger: Ledger) -> None:
    """What a second plan asks again was asked, and answered, by the first, and is no gift of the store."""
    async with client_of(FakeOracle(), ledger) as client:
        for _ in range(2):
            await client.ask(Ask(tiny_images(5)))

        assert client.tally == QueryCounts(asked=5, sent=5, from_store=0, unknown=0, answered=5)


async def test_an_answer_that_lands_after_a_look_into_the_store_is_no_gift_of_it(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan that looked before its twin was answered, and asks afterwards, sends nothing and counts nothing twice."""
    async with client_of(FakeOracle(), ledger) as client:
        await client.ask(Ask(tiny_images(5)))
        monkeypatch.setattr(ledger, "find", lambda _: {})  # as it was before the first plan's answers

        replies = await client.ask(Ask(tiny_images(5)))

        assert None not in itertools.chain(*replies)
        assert client.tally == QueryCounts(asked=5, sent=5, from_store=0, unknown=0, answered=5)


def test_what_was_lost_is_held_and_said(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """More sent than asked is explained, and so is what is held."""
    watched.begin({20})
    assert main(explain(photo)) == 0

    said = capsys.readouterr().out
    assert "98 asked, 99 sent, 0 from the store, 1 unknown; 1 sent again, since a first try brought no answer" in said
    assert said.splitlines()[-2] == (
        "spent: 98 of 100 queries (1 held), $0.098 of $9.00 ($0.001 held); 0 answers from the store; "
        "what is held may have been billed: 'bbquery budget reconcile'"
    )


def test_what_a_comparison_lost_is_in_its_record(photo: Path) -> None:
    """An attempt of any method that may have been billed is named, counted once, and held."""
    watched.begin({20})
    main(compare(photo))

    record = json.loads((photo.parent / "out" / "compare.json").read_text())
    assert [each.keys() for each in record["unknown"]] == [{"attempt", "opened", "reason"}]
    assert record["queries"]["unknown"] == record["budget"]["held"]["queries"] == 1
    assert record["queries"]["sent"] == watched.calls


def test_what_earlier_runs_spent_is_told_from_what_is_sent_now() -> None:
    """The budget counts every run of it, so a rerun says that it sent nothing, or how little."""
    budget = BudgetState(1, "run", Cap(queries=1000), Units(queries=900), Units(queries=2))

    assert spent(budget, 900, 0).startswith(
        "spent: 900 of 1,000 queries (2 held); 900 answers from the store, nothing "
    )
    assert "; 880 answers from the store, 20 sent now; what is held" in spent(budget, 880, 20)
    assert " now" not in spent(budget, 0, 902)


def test_where_nothing_is_paid_there_are_no_dollars() -> None:
    """Units without a cap that were not used are left out; one answer is one."""
    budget = BudgetState(1, "run", Cap(queries=1000), Units(queries=7), NOTHING)

    assert spent(budget, 1, 7) == "spent: 7 of 1,000 queries; 1 answer from the store"
    assert spent(BudgetState(1, "run", Cap(), NOTHING, NOTHING), 0, 0) == "spent: nothing; 0 answers from the store"


def test_fewer_sent_than_asked_is_explained() -> None:
    """What a run that ended early did not send is told."""
    assert counted(QueryCounts(asked=10, sent=3, from_store=2, unknown=0)).endswith("; 5 not sent")
