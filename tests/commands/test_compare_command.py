"""`bbquery compare`: several methods on one image, what is paid, and what a person finds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

import bbquery
from bbquery.cli import main
from bbquery.errors import BudgetExhausted, OutcomeUnknown, Rejected, UsageError
from bbquery.jobs.compare.result import Compared, Comparison
from bbquery.jobs.names import names_of_specifications
from bbquery.ledger.records import Cap
from bbquery.oracle import Price
from bbquery.plan import Ask
from bbquery.report import comparison as report
from bbquery.saliency import Method
from bbquery.specification import split_specifications
from oracles import function
from tests.support import models
from tests.support.counted import watched
from tests.support.runs import visible

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.ledger.ledger import Ledger
    from bbquery.oracle import Oracle
    from bbquery.types import Image

HERE = "function:call=tests.support.counted.sides,classes=left|right,version=1"
METHODS = "rise,rise:cells=3,p=.4,tests.support.cells_method:Cells"
PHOTO = np.random.default_rng(0).integers(150, 256, (24, 32, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def fresh() -> None:
    watched.begin()


def compare(photo: str, out: Path, *more: str, methods: str = METHODS, oracle: str = HERE, queries: str = "41") -> int:
    typed = ["compare", photo, "--methods", methods, "--oracle", oracle, "--max-queries", queries, "--out", str(out)]
    return main([*typed, *more])


def record_of(out: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((out / "compare.json").read_text())
    return loaded


# --- the command ---


@pytest.mark.full_pictures
def test_one_sheet_and_a_folder_for_each(photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A sheet, a record, a folder of each method's own; each asks what its cap allows, the photo is paid once."""
    code = compare(photo, tmp_path / "out", "--target", "left")

    said = capsys.readouterr()
    assert code == 0
    with Pillow.open(tmp_path / "out" / "compare.png") as sheet:
        assert 400 < max(sheet.size) <= 2400
    assert visible(tmp_path / "out") == {
        "compare.png", "compare.json", "report.html", "rise", "rise~2", "tests.support.cells_method.Cells",
    }  # fmt: skip
    assert (tmp_path / "out" / "tests.support.cells_method.Cells" / "left-interval.png").is_file()
    record = record_of(tmp_path / "out")
    assert [(each["given"], each["status"], each["queries"]) for each in record["methods"]] == [
        ("rise", "complete", 40), ("rise:cells=3,p=.4", "complete", 40),
        ("tests.support.cells_method:Cells", "complete", 40),
    ]  # fmt: skip
    assert watched.calls == record["budget"]["posted"]["queries"] == 1 + 3 * 40
    agreement = np.array(record["rank_correlation"])
    np.testing.assert_allclose(np.diag(agreement), 1)
    np.testing.assert_array_equal(agreement, agreement.T)
    assert agreement.min() > 0.3  # all find the same halves
    assert said.out.count("sees:") == 1
    assert "rise:cells=3,p=.4" in said.out


@pytest.mark.full_pictures
def test_the_same_again_is_free_and_the_same(photo: str, tmp_path: Path) -> None:
    """A second run asks nothing, and draws the same sheet to the byte; measuring included."""
    compare(photo, tmp_path / "one", "--evaluate", methods="rise,rise:p=.4", queries="9")
    paid = watched.calls
    compare(photo, tmp_path / "two", "--evaluate", methods="rise,rise:p=.4", queries="9")

    assert watched.calls == paid == record_of(tmp_path / "one")["budget"]["posted"]["queries"]
    for name in ("compare.png", "curves.png"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    srg = [each["srg"] for each in record_of(tmp_path / "one")["methods"]]
    assert srg == [each["srg"] for each in record_of(tmp_path / "two")["methods"]]
    assert all(isinstance(value, float) for value in srg)


def test_measured_methods_are_ranked_and_ties_are_said(
    photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --evaluate each method has an SRG with its interval and a rank, and words say which are tied."""
    compare(photo, tmp_path / "out", "--evaluate", methods="rise,rise:p=.4", queries="9")

    said, record = capsys.readouterr().out, record_of(tmp_path / "out")
    for each in record["methods"]:
        assert each["srg_interval"]["low"] <= each["srg"] <= each["srg_interval"]["high"]
    (pair,) = record["pairs"]
    assert sorted(each["rank"] for each in record["methods"]) == ([1, 2] if pair["told_apart"] else [1, 1])
    assert pair["difference"]["value"] >= 0
    assert ("No two can be told apart" in said) != pair["told_apart"]
    assert "no ranking of methods in general" in said


@pytest.mark.parametrize(
    ("methods", "said"),
    [
        ("rise,nosuch", "unknown method 'nosuch'"),
        ("rise,occlusion:nosuch=1", "nosuch"),
        ("rise,rise:p=7", "p must"),
        ("rise", "2 to 8 methods"),
        ("rise,lr,rise", "named twice"),
        (",".join(f"rise:cells={n}" for n in range(1, 10)), "2 to 8 methods"),
        ("rise,lr:queries=50", "raise --max-queries"),
    ],
)
def test_a_bad_list_of_methods_costs_nothing(
    methods: str, said: str, photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is wrong with any method is found before anything is sent, and nothing is written."""
    code = compare(photo, tmp_path / "out", methods=methods)

    assert code == 2
    assert said in capsys.readouterr().err
    assert not watched.calls
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("target", "said"), [("left,right", "one target"), ("up", "unknown label")])
def test_a_target_that_cannot_be_compared_costs_nothing(
    target: str, said: str, photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One known target, or a usage error before anything is sent."""
    assert compare(photo, tmp_path / "out", "--target", target) == 2
    assert said in capsys.readouterr().err
    assert not watched.calls


def test_a_dry_run_asks_nothing(photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What each method would ask, what all together would, measuring included; no folder, no query."""
    code = compare(photo, tmp_path / "out", "--evaluate", "--dry-run", methods="rise,lr")

    said = capsys.readouterr().out
    assert code == 0
    assert not watched.calls
    assert not (tmp_path / "out").exists()
    assert [line.split()[:2] for line in said.splitlines()[1:3]] == [["rise", "154"], ["lr", "154"]]
    assert "308 queries at most" in said


def test_a_cap_of_all_ends_the_run_and_says_so(photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the money of all is used up, the method at work is partial, the next is not begun; the exit code is 4."""
    code = compare(photo, tmp_path / "out", "--max-usd", "0.06", methods=METHODS, oracle=f"{HERE},usd_per_query=0.001")

    assert code == 4
    assert watched.calls == 60
    assert [each["status"] for each in record_of(tmp_path / "out")["methods"]] == ["complete", "partial", "not begun"]
    assert "NOT BEGUN: tests.support.cells_method:Cells" in capsys.readouterr().err


def test_the_default_folder_is_named_after_the_photo(
    photo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --out the sheet lies in bbquery-out/IMAGE-ORACLE-compare-RUN."""
    monkeypatch.chdir(tmp_path)
    main(["compare", photo, "--methods", "rise,rise:p=.4", "--oracle", HERE, "--max-queries", "5"])

    assert len(list((tmp_path / "bbquery-out").glob("photo-function-compare-*/compare.png"))) == 1


def test_a_model_that_never_moves_is_said_of_each_method(
    photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Maps that show nothing are compared without an error; what is unknown is null, and the person is told."""
    same = "function:call=tests.support.models.always_a_cat,answers=labels,version=1"

    assert compare(photo, tmp_path / "out", methods="rise,rise:p=.3", oracle=same, queries="9") == 0
    assert capsys.readouterr().err.count("NOT MOVED: rise") == 2
    assert record_of(tmp_path / "out")["rank_correlation"] == [[None, None], [None, None]]


# --- what one method's trouble means for the others ---


def contest_oracle(call: Any) -> Oracle:
    return function.connect(call, classes="left|right", version="1")


async def compared(oracle: Oracle, ledger: Ledger, *methods: str, evaluate: bool = False) -> Comparison:
    return await bbquery.compare_async(PHOTO, oracle, methods=methods, max_queries=30, evaluate=evaluate, ledger=ledger)


async def test_an_own_cap_leaves_the_others_alone(ledger: Ledger) -> None:
    """A method whose budget went to queries without an answer is partial; the next one has all of its own."""
    calls = iter(range(1000))

    def lossy(image: Image) -> list[float]:
        if next(calls) in {5, 6, 7}:
            raise OutcomeUnknown("lost")
        return models.sides(image)

    oracle = function.connect(lossy, classes="left|right", version="1", price=Price())

    found = await compared(oracle, ledger, "rise", "rise:p=.4")

    assert [each.status for each in found.results] == ["partial", "complete"]
    assert isinstance(found.error, BudgetExhausted)
    assert [each.explanation.maps[0].sent.answered for each in found.results if each.explanation] == [26, 29]


async def test_a_method_that_cannot_explain_the_image_fails_alone(ledger: Ledger) -> None:
    """What one method cannot do with this image is its own; the others have their maps, and the sheet says why."""
    found = await compared(
        contest_oracle(models.sides), ledger, "rise", "tests.commands.test_compare_command:Fussy", "rise:p=.4"
    )

    assert [each.status for each in found.results] == ["complete", "failed", "complete"]
    assert isinstance(found.error, UsageError)
    assert np.isnan(found.agreement()[1]).all()
    assert report.sheet_png(found) == report.sheet_png(found)


@dataclass(frozen=True, kw_only=True)
class Fussy(Method):
    """A method that finds out from answers that it cannot."""

    adaptive: ClassVar[bool] = False
    queries: int = 5

    def plan(self, x: Image, domain: object, seed: int) -> Any:
        yield Ask(x[None])
        raise UsageError("too few pixels")


async def test_a_method_that_does_not_take_the_image_is_found_before_any_is_asked(ledger: Ledger) -> None:
    """A grid that the budget does not pay for is bad input: no method's queries are spent."""
    calls: list[int] = []

    def counted(image: Image) -> list[float]:
        calls.append(1)
        return models.sides(image)

    with pytest.raises(UsageError, match="a stride of 1 on"):
        await compared(contest_oracle(counted), ledger, "rise", "occlusion:stride=1")

    assert calls == []


@pytest.mark.full_pictures
async def test_a_failing_oracle_ends_them_all(ledger: Ledger) -> None:
    """An account that is closed half-way would fail every other method too, so they are not begun."""
    calls = iter(range(1000))

    def closes(image: Image) -> list[float]:
        if next(calls) > 40:
            raise Rejected("account closed")
        return models.sides(image)

    found = await compared(contest_oracle(closes), ledger, "rise", "rise:p=.4", "rise:p=.6")

    assert [each.status for each in found.results] == ["complete", "partial", "not begun"]
    assert isinstance(found.error, Rejected)
    assert len(report.sheet_png(found)) > 1000


async def test_measuring_is_paid_beside_the_map(ledger: Ledger) -> None:
    """Each map is measured within a budget of its own, 113 queries at most, inside the run's."""
    found = await compared(contest_oracle(models.sides), ledger, "rise", "rise:p=.4", evaluate=True)

    run = found.budget
    measured = [ledger.budget(ledger.find_budget(f"{run.name}/{name}-measured")) for name in ("rise", "rise~2")]
    assert found.metric is not None
    assert all(each.cap.queries == found.metric.queries for each in measured)
    assert run.cap.queries == 2 * (30 + found.metric.queries)
    assert sum(each.posted.queries for each in measured) + 59 == run.posted.queries
    assert all(each.curves is not None and each.curves.srg > 0.01 for each in found.results)


async def test_a_project_holds_a_comparison(ledger: Ledger) -> None:
    """A comparison within a project counts in its budget and is named after it."""
    ledger.open_budget("paper", Cap(queries=20))

    found = await bbquery.compare_async(
        PHOTO, contest_oracle(models.sides), methods=["rise", "rise:p=.4"], max_queries=30, project="paper",
        ledger=ledger,
    )  # fmt: skip

    assert found.budget.name == f"paper/compare-{found.run}"
    assert ledger.budget(ledger.find_budget("paper")).posted.queries == 20
    assert [each.status for each in found.results] == ["partial", "not begun"]


# --- lists of methods ---


@pytest.mark.parametrize(
    ("text", "methods"),
    [
        ("rise,lr,occlusion", ["rise", "lr", "occlusion"]),
        ("rise:cells=5,p=.3,lr:sigma=8,batch=64", ["rise:cells=5,p=.3", "lr:sigma=8,batch=64"]),
        ("pkg.mod:Method,pkg.mod:Method:a=1,b=2", ["pkg.mod:Method", "pkg.mod:Method:a=1,b=2"]),
        (r"a:x=1\,lr,b", [r"a:x=1\,lr", "b"]),
        ("a:x=1\\\\,lr", ["a:x=1\\\\", "lr"]),
        ("smoothgrad:estimator=lr:sigma=8,queries=9,rise", ["smoothgrad:estimator=lr:sigma=8,queries=9", "rise"]),
        ("rise,, lr", ["rise", "", "lr"]),
        ("", [""]),
    ],
)
def test_options_stay_with_their_method(text: str, methods: list[str]) -> None:
    """A comma separates methods only where a name follows, and none of the options is lost."""
    assert split_specifications(text) == methods


@given(st.lists(st.sampled_from(["rise", "lr:sigma=8", "rise:p=.3,cells=5", "a.b:C", "a.b:C:x=1"]), min_size=1))
def test_a_list_is_read_as_it_was_written(methods: list[str]) -> None:
    """Joined by commas and split again, methods are the same; each has a name of its own."""
    assert split_specifications(",".join(methods)) == methods
    assert len(set(names_of_specifications(methods))) == len(methods)


def test_a_method_is_complete_only_with_all_it_was_to_have() -> None:
    """Without an explanation a method has failed, or was not begun where the run had ended."""
    one, other = (Compared("a", "a", None, None, Rejected("x"), ended_run=ended) for ended in (False, True))

    assert (one.status, other.status) == ("failed", "not begun")
