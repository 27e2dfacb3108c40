"""Progress from Python: a bar, a function, or nothing; and a watch beside them."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import bbquery
from oracles import function
from tests.support.models import sides

if TYPE_CHECKING:
    from bbquery.ledger.ledger import Ledger
    from bbquery.oracle import Oracle

PHOTO = np.random.default_rng(0).integers(100, 200, (16, 20, 3), dtype=np.uint8)
OTHER = np.random.default_rng(1).integers(100, 200, (16, 20, 3), dtype=np.uint8)
FAST: dict[str, Any] = {"attack": "lr_mifgsm:cells=4", "score": "label"}


def named() -> Oracle:
    return function.connect(sides, classes="left|right", version="1")


def test_a_function_is_told_of_each_answer(ledger: Ledger) -> None:
    """It hears how many queries are answered, from none to all, and how many there are in all."""
    told: list[tuple[int, int]] = []

    bbquery.explain(PHOTO, named(), max_queries=10, ledger=ledger, progress=lambda *of: told.append(of))

    assert told == [(done, 10) for done in range(11)]


def test_progress_of_several_targets_counts_queries_and_not_rows(ledger: Ledger) -> None:
    """A query that two targets share is one query."""
    told: list[tuple[int, int]] = []

    bbquery.explain(
        PHOTO, named(), target=["left", "right"], max_queries=10, ledger=ledger, progress=lambda *of: told.append(of)
    )

    assert told[-1] == (10, 10)
    assert told == sorted(told)


@pytest.mark.parametrize("verb", ["explain_many", "attack_many", "compare", "attack"])
def test_progress_of_parts_never_goes_back_and_reaches_its_end(verb: str, ledger: Ledger) -> None:
    """Whatever the parts of a run, the count rises, is never above the whole, and ends there if none is cut short."""
    told: list[tuple[int, int]] = []
    options: dict[str, Any] = {"ledger": ledger, "progress": lambda *of: told.append(of)}

    if verb == "compare":
        bbquery.compare(PHOTO, named(), methods="rise:cells=3,occlusion:queries=9", max_queries=10, **options)
    elif verb == "attack":
        bbquery.attack(PHOTO, named(), max_queries=300, **FAST, **options)
    elif verb == "explain_many":
        list(bbquery.explain_many([PHOTO, OTHER], named(), max_queries=20, **options))
    else:
        list(bbquery.attack_many([PHOTO, OTHER], named(), max_queries=600, **FAST, **options))

    done = [each for each, _ in told]
    assert done == sorted(done)
    assert all(each <= total for each, total in told)
    assert verb.startswith("attack") or told[-1][0] == told[-1][1] == 20
    assert done[-1] > 15


def test_a_bar_is_shown_and_leaves_no_thread(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    """True shows tqdm's bar on standard error, which ends at all queries."""
    bbquery.explain(PHOTO, named(), max_queries=10, ledger=ledger, progress=True)

    shown = capsys.readouterr()
    assert shown.out == ""
    assert "10/10" in shown.err


def test_nothing_is_shown_in_a_script(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a word on progress a script stays silent."""
    bbquery.explain(PHOTO, named(), max_queries=10, ledger=ledger)

    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("shell", "shows"), [(SimpleNamespace(kernel=object()), True), (SimpleNamespace(), False)])
def test_a_notebook_shows_a_bar_by_itself(
    shell: object,
    shows: bool,
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In a kernel there is a bar unless it is told not to; IPython on a terminal is no notebook."""
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))

    bbquery.explain(PHOTO, named(), max_queries=10, ledger=ledger)
    assert ("10/10" in capsys.readouterr().err) is shows

    bbquery.explain(PHOTO, named(), max_queries=10, ledger=ledger, progress=False)
    assert capsys.readouterr().err == ""


def test_a_watch_hears_beside_a_function(ledger: Ledger) -> None:
    """Both may be given, and both are told of every answer."""

    class Heard(bbquery.Watch):
        answers = 0

        def progressed(self) -> None:
            self.answers += 1

    heard, told = Heard(), list[int]()

    bbquery.explain(
        PHOTO, named(), max_queries=10, ledger=ledger, watch=heard, progress=lambda done, _: told.append(done)
    )

    assert heard.answers == max(told) == 10


@pytest.mark.parametrize("option", [{"progress": "yes"}, {"progress": 3}, {"watch": print}])
def test_what_cannot_be_told_is_refused(option: dict[str, Any], ledger: Ledger) -> None:
    """A word is no bar, and a function is no watch: nothing is asked."""
    oracle = function.connect(lambda _: pytest.fail("it was asked"))

    with pytest.raises(bbquery.UsageError, match=r"(progress|watch) must be"):
        bbquery.explain(PHOTO, oracle, max_queries=10, ledger=ledger, **option)
