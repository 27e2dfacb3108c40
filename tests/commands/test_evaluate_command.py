"""`bbquery evaluate`: what a person types, reads and finds in the output folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image as Pillow

from bbquery.cli import main
from bbquery.errors import Rejected, UsageError
from bbquery.jobs.evaluate import map_file
from bbquery.jobs.evaluate.evaluate import evaluate_async
from bbquery.jobs.job import NothingToExplain
from bbquery.types import NoAnswer
from oracles import function
from tests.support.oracles import FakeOracle, brightness
from tests.support.runs import visible

if TYPE_CHECKING:
    from bbquery.ledger.ledger import Ledger
    from bbquery.types import Answer, Image

SIDES = "function:call=tests.support.models.sides,classes=left|right,version=1"
VALUES = np.arange(144.0).reshape(12, 12)
GREY = np.full((12, 12, 3), 200, dtype=np.uint8)
ANOTHER = {"name": "sides", "identity": {}, "fingerprint": "f" * 32, "answers": "probabilities", "activation": ""}
QUICK = ("--steps", "8", "--copies", "10")


@pytest.fixture
def left(tmp_path: Path) -> str:
    """A map that says that the left half speaks for "left", as it does."""
    path = tmp_path / "left.npy"
    np.save(path, np.where(np.arange(32) < 16, 1.0, -1.0) + np.linspace(0, 0.1, 24)[:, None])
    return str(path)


def evaluate(map_path: str, photo: str, out: Path, *more: str, oracle: str = SIDES) -> int:
    return main(["evaluate", map_path, photo, "--oracle", oracle, "--out", str(out), *QUICK, *more])


def written(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))
    return found


def values_of(out: Path) -> dict[str, float]:
    return {figure["metric"]: figure["value"] for figure in written(out)["metrics"]}


def explained(photo: str, out: Path, *more: str) -> Path:
    """A folder that `bbquery explain` wrote."""
    how = ["--oracle", SIDES, "--max-queries", "60", "--method", "designed:cells=4", "--target", "left"]
    command = ["explain", photo, *how, "--out", str(out), *more]
    assert main(command) == 0
    return out


def test_a_right_map_gets_good_figures(
    photo: str, left: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every metric is printed and written with its fill and steps."""
    code = evaluate(left, photo, tmp_path / "out", "--target", "left", "--box", "0,0,16,24")

    said, found = capsys.readouterr(), values_of(tmp_path / "out")
    assert code == 0
    assert "target: left (probability)" in said.out
    assert "queries: 37 asked" in said.out
    assert "40/40 queries" in said.err
    assert "BEWARE" not in said.err
    assert found["srg"] == found["insertion"] - found["deletion"] > 0.04
    assert found["explained"] > 0.9
    assert found["mu_fidelity"] > 0.9
    assert found["r_sal"] > 0.9
    assert found["pointing"] == 1
    fills = {figure["metric"]: (figure["fill"], figure["steps"]) for figure in written(tmp_path / "out")["metrics"]}
    assert (fills["srg"], fills["infidelity"], fills["r_sal"]) == (("grey, blur", 8), ("grey", 10), ("", 0))


def test_a_map_that_is_the_wrong_way_round_gets_bad_ones(photo: str, left: str, tmp_path: Path) -> None:
    """The left half's map, taken for that of "right", is told."""
    evaluate(left, photo, tmp_path / "out", "--target", "right")

    found = values_of(tmp_path / "out")
    assert found["srg"] < -0.04
    assert found["aopc"] < 0
    assert found["mu_fidelity"] < -0.9


@pytest.mark.full_pictures
def test_it_writes_the_curves_and_a_picture(photo: str, left: str, tmp_path: Path) -> None:
    """The record has the curves as numbers, and the picture shows them."""
    evaluate(left, photo, tmp_path / "out", "--target", "left", "--metrics", "srg", "--fill", "0")

    plain = written(tmp_path / "out")
    with Pillow.open(tmp_path / "out" / "curves.png") as picture:
        assert picture.size[0] > 300
    assert {len(curve) for curve in plain["curves"].values()} == {9}
    assert plain["curves"]["deletion"][0] == plain["curves"]["insertion"][-1]
    assert [figure["fill"] for figure in plain["metrics"]] == ["0.0", "blur", "0.0, blur"]
    assert (plain["status"], plain["stopped"], plain["warnings"]) == ("complete", None, [])


def test_without_curves_there_is_no_picture(photo: str, left: str, tmp_path: Path) -> None:
    """Only what was chosen is asked and written."""
    evaluate(left, photo, tmp_path / "out", "--target", "left", "--metrics", "r_sal,pointing", "--box", "0,0,9,9")

    assert visible(tmp_path / "out") == {"evaluation.json", "report.html"}
    assert written(tmp_path / "out")["queries"]["asked"] == 1


def test_a_second_evaluation_is_free(photo: str, left: str, tmp_path: Path) -> None:
    """The same again, also for another target, asks the store alone and gives the same figures."""
    evaluate(left, photo, tmp_path / "one", "--target", "left")
    evaluate(left, photo, tmp_path / "two", "--target", "left")
    evaluate(left, photo, tmp_path / "right", "--target", "right")

    one, two, right = (written(tmp_path / name) for name in ("one", "two", "right"))
    assert one["queries"]["sent"] > 0 == two["queries"]["sent"] == right["queries"]["sent"]
    assert one["metrics"] == two["metrics"] != right["metrics"]


def test_the_folder_of_a_run_says_the_target(photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that `bbquery explain` wrote is taken as it is, and its shared filling is pointed out."""
    folder = explained(photo, tmp_path / "map", "--target", "right", "--method", "rise")
    capsys.readouterr()

    code = evaluate(str(folder), photo, tmp_path / "out", "--metrics", "srg")

    said = capsys.readouterr()
    assert code == 0
    assert "target: right" in said.out
    assert "made with the fill that judges it (grey)" in said.err
    assert written(tmp_path / "out")["map"] == str(folder / "right.npy")
    assert len(written(tmp_path / "out")["warnings"]) == 1


def run_of(out: Path, **changed: Any) -> None:
    """Change a record that `bbquery explain` wrote."""
    path = out / "run.json"
    plain = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(plain | changed), encoding="utf-8")


def test_the_oracle_and_score_of_the_map_are_asked(
    photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --oracle and --score the map's own are taken from its run.json, and this is said."""
    made = explained(photo, tmp_path / "run", "--score", "soft:form=log_odds")
    capsys.readouterr()

    code = main(["evaluate", str(made), photo, "--out", str(tmp_path / "out"), *QUICK])

    said, found = capsys.readouterr(), written(tmp_path / "out")
    assert code == 0
    assert "BEWARE" not in said.err
    assert f"asked as run.json says: oracle {SIDES}, score soft:form=log_odds" in said.out
    assert found["oracle"]["name"] == "sides"
    assert "log-odds" in said.out or "log odds" in said.out


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"oracle": ANOTHER}, "say with --oracle which model to ask"),
        ({"score": "Mention()"}, "is the map of the score Mention(), and this would take Soft("),
    ],
)
def test_what_contradicts_the_record_is_refused_before_asking(
    changed: dict[str, Any], told: str, photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another version of the map's oracle, or another usual score, is asked only where it is named."""
    made = explained(photo, tmp_path / "run")
    (target,) = json.loads((made / "run.json").read_text(encoding="utf-8"))["targets"]
    run_of(made, **changed, targets=[{**target, "score": changed.get("score", target["score"])}])
    capsys.readouterr()

    refused = main(["evaluate", str(made), photo, "--out", str(tmp_path / "out"), *QUICK])
    said = capsys.readouterr()
    named = evaluate(str(made), photo, tmp_path / "out", "--score", "soft")

    assert (refused, named) == (2, 0)
    assert told in said.err
    assert "queries" not in said.out


def test_another_filling_is_no_reason_to_beware(photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Judged with another fill than the one that made it, a map is judged fairly."""
    folder = explained(photo, tmp_path / "map")
    capsys.readouterr()

    evaluate(str(folder), photo, tmp_path / "out", "--metrics", "srg", "--fill", "black")

    assert "BEWARE" not in capsys.readouterr().err


def test_what_the_map_was_not_made_of_is_said(photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another oracle than the map's may judge it: the warning comes before it is asked, once, and is recorded."""
    folder = explained(photo, tmp_path / "map", "--method", "rise:fill=0")
    capsys.readouterr()

    evaluate(str(folder), photo, tmp_path / "out", "--metrics", "srg", oracle=SIDES.replace("version=1", "version=2"))

    said = capsys.readouterr()
    assert said.err.index("explains another oracle") < said.err.index("queries, ")
    assert said.err.count("explains another oracle") == 1
    assert "asked as run.json says: score the default\n" in said.out
    assert "explains another oracle" in str(written(tmp_path / "out")["warnings"])


def test_a_partial_map_is_said_to_be_one(photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A map that its budget cut short is judged, and it is said how to complete it."""
    folder = tmp_path / "map"
    paid = f"{SIDES},usd_per_query=0.001"
    command = ["explain", photo, "--oracle", paid, "--max-queries", "60", "--max-usd", "0.03", "--out", str(folder)]
    assert main(command) == 4

    evaluate(str(folder), photo, tmp_path / "out", "--metrics", "srg", "--fill", "black", "--yes", oracle=paid)

    assert "the map is partial" in capsys.readouterr().err


def test_a_score_that_does_not_move_judges_nothing(
    photo: str, left: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """If every answer is the same, no map could be better or worse, and that is said."""
    cat = "function:call=tests.support.models.always_a_cat,answers=labels,version=1"

    evaluate(left, photo, tmp_path / "out", oracle=cat)

    said = capsys.readouterr()
    assert "every answer scored the same" in said.err
    assert "unknown" in said.out  # explained, and the correlation
    assert {figure["value"] for figure in written(tmp_path / "out")["metrics"]} >= {None, 0.0}


def test_answers_that_cannot_be_read_are_told(
    photo: str, left: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the score makes nothing of is no answer: it is counted, said and recorded, and the others decide."""
    score = ("--score", "tests.support.scores:LeftShare:from_=0.5", "--target", "left")

    code = evaluate(left, photo, tmp_path / "out", *score, "--metrics", "srg")

    plain, said = written(tmp_path / "out"), capsys.readouterr().err
    unanswered = plain["metrics"][2]["unanswered"]
    assert code == 0
    assert plain["status"] == "complete"
    assert plain["unread"]["most_frequent"] == [{"what": "murky", "times": unanswered}]
    assert f"NOT READ: 'murky' {unanswered} times" in said
    assert f"up to {unanswered} rows of a metric got no answer" in said


def test_the_map_of_another_photo_is_refused(photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A map says nothing of a photo that it was not made of, even of the same size."""
    folder = explained(photo, tmp_path / "map")
    other = tmp_path / "other.png"
    Pillow.fromarray(np.full((24, 32, 3), 99, dtype=np.uint8)).save(other)

    assert evaluate(str(folder), str(other), tmp_path / "out") == 2
    assert "map of another photo" in capsys.readouterr().err


def test_a_budget_that_ends_leaves_figures(photo: str, left: str, tmp_path: Path) -> None:
    """At a cap in dollars the run ends with what was answered, says so, and has the budget's exit code."""
    paid = f"{SIDES},usd_per_query=0.001"

    code = evaluate(left, photo, tmp_path / "out", "--target", "left", "--max-usd", "0.02", oracle=paid)

    plain = written(tmp_path / "out")
    assert code == 4
    assert plain["status"] == "partial"
    assert "$0.02" in plain["stopped"]
    assert plain["queries"]["sent"] == 20
    assert plain["metrics"][0]["unanswered"] > 0


def test_what_it_would_cost_is_estimated(photo: str, left: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run says the queries and asks nothing."""
    code = main(["evaluate", left, photo, "--oracle", SIDES, "--dry-run"])

    said = capsys.readouterr().out
    assert code == 0
    assert "369 at most" in said
    assert "nothing was asked" in said


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--metrics", "sgr"], "did you mean 'srg'"),
        (["--metrics", "srg,,aopc"], "'' names nothing"),
        (["--metrics", "pointing"], "give --box"),
        (["--fill", "gray"], "known: black, grey"),
        (["--fill", "300"], "grey level"),
        (["--box", "90,0,5,5"], "no pixel"),
        (["--steps", "0"], "steps"),
        (["--steps", "9999", "--max-queries", "99999"], "steps for 768 pixels"),
        (["--max-queries", "20"], "raise --max-queries"),
        (["--target", "up"], "known: left, right"),
        (["--oracle", "nobody"], "known: efficientnet"),
        (["--score", "mention"], "mention"),
    ],
)
def test_bad_usage_is_explained_and_costs_nothing(
    photo: str,
    left: str,
    tmp_path: Path,
    home: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    told: str,
) -> None:
    """Each mistake gives exit code 2 and says what to do, and no query is sent."""
    code = evaluate(left, photo, tmp_path / "out", *arguments)

    assert code == 2
    assert told in capsys.readouterr().err
    assert not (home / "bbquery.sqlite3").exists()


@pytest.mark.parametrize("box", ["1,2,3", "a,b,c,d", "1,2,3,4,5", ""])
def test_a_box_is_four_whole_numbers(
    photo: str, left: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], box: str
) -> None:
    """A box that cannot be read is refused where it is typed."""
    with pytest.raises(SystemExit) as end:
        evaluate(left, photo, tmp_path / "out", "--box", box)

    assert end.value.code == 2
    assert "X,Y,WIDTH,HEIGHT" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (np.zeros((24, 32)), "constant"),
        (np.zeros((32, 24)), "shape"),
        (np.zeros((24, 32, 3)), "no saliency map"),
        (np.full((24, 32), np.nan), "NaN"),
        (np.array([["a"]]), "no saliency map"),
        (np.array([{}]), "cannot read"),
    ],
)
def test_a_file_that_is_no_map_is_refused(
    photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], values: Any, told: str
) -> None:
    """What does not rank the photo's pixels is refused, in words."""
    np.save(tmp_path / "map.npy", values)

    assert evaluate(str(tmp_path / "map.npy"), photo, tmp_path / "out") == 2
    assert told in capsys.readouterr().err


def test_of_several_maps_one_must_be_named(photo: str, tmp_path: Path) -> None:
    """A folder with two maps is no map; each of them is, with its own target."""
    folder = explained(photo, tmp_path / "map", "--target", "left,right")

    with pytest.raises(UsageError, match=r"several maps: give one, such as .*left\.npy"):
        map_file.read(folder)
    made = map_file.read(folder / "right.npy").made
    assert made is not None
    assert (made.target, made.fills, made.partial) == ("right", ["mean"], False)


def test_a_standard_error_is_no_map_of_its_own(photo: str, tmp_path: Path) -> None:
    """A folder with a map and its standard error holds one map."""
    folder = explained(photo, tmp_path / "map")
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    record["files"]["left-error.npy"] = "standard error"
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")

    assert map_file.read(folder).path == folder / "left.npy"


def test_a_real_process_does_it(photo: str, left: str, tmp_path: Path) -> None:
    """The command as a person runs it, from start to end."""
    arguments = ["evaluate", left, photo, "--oracle", SIDES, "--out", str(tmp_path / "out"), "--metrics", "aopc"]

    done = subprocess.run(
        [sys.executable, "-m", "bbquery", *arguments, *QUICK], capture_output=True, text=True, check=False, timeout=120
    )

    assert (done.returncode, "aopc" in done.stdout) == (0, True), done.stderr
    assert str(tmp_path / "out" / "evaluation.json") in done.stdout


# --- what no command line reaches ---


def test_a_function_whose_state_nobody_named_is_taken_for_the_same(
    photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The map of a function without a version is evaluated as it stands; of another function it is refused."""
    unnamed = SIDES.removesuffix(",version=1")
    folder = explained(photo, tmp_path / "run", "--oracle", unnamed)
    capsys.readouterr()

    assert main(["evaluate", str(folder), photo, "--out", str(tmp_path / "out"), *QUICK]) == 0
    assert "another oracle" not in capsys.readouterr().err

    other = unnamed.replace("sides", "not_a_number")
    record = (folder / "run.json").read_text(encoding="utf-8")
    (folder / "run.json").write_text(record.replace(f'"{unnamed}"', f'"{other}"'), encoding="utf-8")
    assert main(["evaluate", str(folder), photo, "--out", str(tmp_path / "other"), *QUICK]) == 2
    assert "the map of another oracle" in capsys.readouterr().err


async def test_an_oracle_that_refuses_copies_is_reported(ledger: Ledger) -> None:
    """Refused copies are counted, and the figures rest on the others."""

    def picky(image: Image) -> Answer:
        return NoAnswer("no") if 90 < image.mean() < 120 else brightness(image)

    found = await evaluate_async(
        VALUES, GREY, FakeOracle(reply=picky),
        metrics="srg", steps=8, fill=0.0, insertion_fill=0.0, ledger=ledger,
    )  # fmt: skip

    assert found.target == "bright"
    assert not found.partial
    assert found.measurements[0].unanswered > 0
    assert found.measurements[2].value == pytest.approx(0, abs=1e-6)


async def test_a_photo_without_an_answer_cannot_be_evaluated(ledger: Ledger) -> None:
    """Without a clean answer there is no target and no score to lose."""
    with pytest.raises(NothingToExplain, match="no answer"):
        await evaluate_async(
            VALUES, GREY,
            FakeOracle(reply=lambda _: NoAnswer("no")), ledger=ledger,
        )  # fmt: skip


async def test_nothing_named_needs_a_target(ledger: Ledger) -> None:
    """An empty list of labels names nothing that the map could be of: a target must be said."""
    oracle = function.connect(lambda _: [], answers="labels", version="1")
    with pytest.raises(NothingToExplain, match="say with target whose evidence"):
        await evaluate_async(VALUES, GREY, oracle, ledger=ledger)


async def test_a_budget_of_nothing_raises_its_own_error(ledger: Ledger) -> None:
    """If not even the photo could be asked, what stopped it is raised."""
    with pytest.raises(Rejected):
        await evaluate_async(
            VALUES, GREY,
            FakeOracle(script=lambda _: Rejected("a bad key")), ledger=ledger,
        )  # fmt: skip
