"""Audits that rest on stored answers: what they cannot tell, and how that is said."""

from __future__ import annotations

import itertools
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bbquery.types import Reply, Vector
from tests.support.audit_rows import BUDGET, gate_of, plan_with, row, summed
from tests.support.audits import MAPS, Small, photos_in, plan_of
from tests.support.oracles import FakeOracle, brightness

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.types import Image

ANEW: dict[str, Any] = {"drifted": False, "queries": 115}
STORED: dict[str, Any] = {"drifted": False, "from_store": 115}


def test_a_model_that_changed_behind_its_name_is_not_called_the_same(tmp_path: Path) -> None:
    """Another model answers to the same name, and the store gives every answer: neither gate nor headline denies it."""
    small, plan = (
        Small(tmp_path, photos_in(tmp_path / "photos", 2)),
        plan_of("one", explain=MAPS, gates={"no_drift": True}),
    )
    calls: list[Image] = []

    def another(image: Image) -> Reply:
        calls.append(image)
        return Reply(Vector(brightness(image).values[::-1].copy()))

    before, _ = small.run(plan, FakeOracle(remote=True))
    shutil.rmtree(tmp_path / "out")
    after, _ = small.run(plan, FakeOracle(remote=True, reply=another))

    old, new = summed(plan, before), summed(plan, after, before)
    assert calls == []
    assert [gate.verdict for gate in (*old.gates, *new.gates)] == ["met", "cannot be told"]
    assert "--ledger" in new.gates[0].why
    assert new.changed.startswith("0 of 2 photos asked anew; ")
    assert old.stored == ()
    assert "one: 0 of 2 photos asked anew: all answers on every photo are from the store" in new.stored[0]


def test_drift_cannot_be_told_where_a_part_of_the_photos_was_not_asked_anew() -> None:
    """Stored answers may be of another model than those that were asked beside them."""
    gate = gate_of({"no_drift": True}, [row(0, **ANEW), row(1, **STORED), row(2, **STORED)])

    assert (gate.verdict, gate.found, gate.photos) == (
        "cannot be told",
        "no change at 1 photos while each was asked",
        (),
    )
    assert "of 2 of 3 photos nothing was asked anew" in gate.why


def test_a_model_that_changes_after_the_photo_was_asked_again_is_noticed(tmp_path: Path) -> None:
    """The repeats of the clean photo are stored when the checks come: those see the model as it is by then."""
    count = itertools.count()

    def changes(image: Image) -> Reply:
        values = brightness(image).values
        return Reply(Vector(values if next(count) < 20 else values[::-1].copy()))

    small = Small(tmp_path, photos_in(tmp_path / "photos", 1))
    plan = plan_of("one", explain=MAPS, gates={"no_drift": True}, repeat={"times": 8})

    rows, _ = small.run(plan, FakeOracle(remote=True, reply=changes))

    assert summed(plan, rows).gates[0].verdict == "failed"


def test_new_figures_of_stored_answers_do_not_call_the_model_the_same(tmp_path: Path) -> None:
    """A metric is added: its questions are asked anew, and the map's answers, which no check follows, are not."""
    small = Small(tmp_path, photos_in(tmp_path / "photos", 1))
    plan = plan_of("one", explain=MAPS, gates={"no_drift": True})
    more = plan_of("one", explain=MAPS | {"metrics": ["srg"]}, gates={"no_drift": True})

    before, _ = small.run(plan, FakeOracle(remote=True))
    after, _ = small.run(more, FakeOracle(remote=True))

    assert after[0].queries > 0
    assert [summed(plan, before).gates[0].verdict, summed(more, after).gates[0].verdict] == ["met", "cannot be told"]
    assert "of 1 of 1 photos some answers are from the store" in summed(more, after).gates[0].why


def test_drift_that_stored_answers_show_has_failed() -> None:
    """It happened among the answers that the audit rests on, whenever they were given."""
    assert gate_of({"no_drift": True}, [row(0, drifted=True, from_store=115)]).verdict == "failed"


def test_what_was_asked_anew_is_counted_by_oracle() -> None:
    """An oracle of which all was asked is not named; of the other it is said how many photos were."""
    rows = [row(0, **ANEW), row(1, **ANEW), row(0, "two", **ANEW), row(1, "two", **STORED), row(2, "two", first="")]

    found = summed(plan_with({}, "one", "two"), rows, rows, n=3)

    assert [(each.answered, each.stored) for each in found.oracles] == [(2, 0), (2, 1)]
    assert [line[:65] for line in found.stored[:-1]] == [
        "two: 1 of 2 photos asked anew: all answers on the others are from"
    ]
    assert "--ledger" in found.stored[-1]
    assert found.changed.startswith("3 of 4 photos asked anew; ")


def test_a_comparison_of_which_the_last_run_asked_nothing_says_so() -> None:
    """A finished audit, run again, compares what it asked long ago; without a comparison nobody takes it for news."""
    rows = [row(0, **ANEW)]
    standing = summed(plan_with({}), rows, rows)

    again = replace(standing, earlier={"": BUDGET.taken, "one": BUDGET.taken})

    assert standing.stored == ()
    assert again.stored[0].startswith("one: nothing was asked in the last run")
    assert replace(again, baseline="").stored == ()
    assert replace(again, baseline="", plan={"gates": {"no_drift": True}}).stored == again.stored
