"""What an older bbquery left behind: its runs keep their names, and its ledger, answers, records and maps are read.

`tests/recorded/README.md` says what is there. Nothing here looks inside bbquery: commands, public names and files only.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import bbquery
from bbquery.cli import main
from tests.recorded import models

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

RECORDED = Path(__file__).parent / "recorded"
FOUND: dict[str, list[dict[str, Any]]] = json.loads((RECORDED / "identities.json").read_text())
RUNS = {run["name"]: run for run in FOUND["runs"]}
WHOLE = [name for name, run in RUNS.items() if run["code"] == 0]
PARTIAL = [name for name, run in RUNS.items() if run["code"] == 4]
NOT_COMPARED = {
    "budget", "command", "cost", "drift", "finished", "queries", "seconds", "spent", "unknown", "versions",
}  # fmt: skip
"""What a record says of its own run: when and how it was made, and what was paid for it."""
WORDING = {"choice", "files", "reasons", "score", "warnings"}
"""What may be said in other words."""


@pytest.fixture(autouse=True)
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in a copy of the folder in which the old runs were made, their home among it."""
    folder = tmp_path / "old"
    shutil.copytree(RECORDED, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("BBQUERY_HOME", str(folder / "home"))
    models.asked.clear()
    yield folder
    models.asked.clear()


def shown(capsys: pytest.CaptureFixture[str], *more: str) -> list[dict[str, Any]]:
    """Return the budgets that the ledger lists."""
    capsys.readouterr()
    assert main(["budget", "show", *more, "--json"]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["budgets"]
    return found


def names(budgets: list[dict[str, Any]]) -> set[str]:
    return {budget["name"] for budget in budgets}


def again(name: str, *more: str) -> int:
    """Run an old command once more, into another folder; older versions verified no facts."""
    verb, *rest = RUNS[name]["argv"]
    without = ["--verify", "0"] if verb == "explain" else []
    return main([verb, *rest, *without, *more, "--out", f"again/{name}"])


def records(folder: Path) -> dict[str, dict[str, Any]]:
    return {str(path.relative_to(folder)): json.loads(path.read_text()) for path in folder.rglob("*.json")}


def in_old_words(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record with the keys that it had before records said their version: nothing that they told is lost."""
    target = record["targets"][0]
    match record["verb"]:
        case "explain":
            added = ": fine structure is the photo's own"
            targets = [each | {"unit": each["unit"].removesuffix(added)} for each in record["targets"]]
            said: dict[str, Any] = {"targets": targets}
        case "compare":
            oracle = record["oracle"]
            said = {"image": record["image"]["source"], "oracle": oracle["name"], "activation": oracle["activation"]}
        case "evaluate":
            said = {"target": target["target"], "unread": in_counts(record["unread"])}
        case "attack":
            value, sent = target["value"], record["image"]["sent"]
            size = {"height": sent["size"][0], "width": sent["size"][1], "pixels": sent["pixels"]}
            said = {
                "clean_label": target["target"], "label_stands_while": value["criterion"],
                "value": {"unit": value["unit"], "nearer_is": value["nearer"]},
                "not_read": in_counts(record["unread"]), "image": record["image"] | {"sent": size},
            }  # fmt: skip
        case "probe":
            labels = {str(counted): 1 for counted in record["clean"]["labels"].items()}  # it miscounted
            about = [each["value"] | {"direction": each["value"]["nearer"]} for each in record["scores"]]
            scores = [each | {"about": told} for each, told in zip(record["scores"], about, strict=True)]
            said = {"clean": record["clean"] | {"labels": labels}, "scores": scores}
        case _:
            said = {}
    return record | said


def in_counts(unread: dict[str, Any]) -> dict[str, int]:
    return {each["what"]: each["times"] for each in unread["most_frequent"]}


def differences(new: Any, before: Any, place: str = "") -> Iterator[str]:
    """Give what an old record said and a new one says otherwise, or no more."""
    if isinstance(before, dict) and isinstance(new, dict):
        for key in before.keys() - NOT_COMPARED - WORDING:
            yield from differences(new.get(key, "nothing"), before[key], f"{place}/{key}")
    elif isinstance(before, list) and isinstance(new, list) and len(before) == len(new):
        for index, (one, other) in enumerate(zip(new, before, strict=True)):
            yield from differences(one, other, f"{place}/{index}")
    elif new != before and not (isinstance(before, float) and new == pytest.approx(before, rel=1e-9, abs=1e-12)):
        yield f"{place}: {before!r} became {new!r}"


# --- the same command again ---


@pytest.mark.parametrize("name", WHOLE)
def test_an_old_command_sends_nothing_and_finds_the_same(
    name: str, old: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command of an old run resumes it: same identity and budget, nothing sent, equal figures and maps."""
    before = {budget["name"]: budget for budget in shown(capsys)}

    assert again(name) == 0

    assert models.asked == []
    after = {budget["name"]: budget for budget in shown(capsys)}
    assert after.keys() == before.keys()
    for budget in RUNS[name]["budgets"]:
        assert after[budget]["queries"] == before[budget]["queries"]
        assert after[budget]["usd"] == before[budget]["usd"]
    made, kept = records(old / "again" / name), records(old / "runs" / name)
    assert {file: record["run"] for file, record in made.items()} == RUNS[name]["runs"]
    assert list(differences({file: in_old_words(record) for file, record in made.items()}, kept)) == []
    for path in (old / "runs" / name).rglob("*.npy"):
        found = np.load(old / "again" / name / path.relative_to(old / "runs" / name))
        np.testing.assert_allclose(found, np.load(path), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", PARTIAL)
def test_a_run_that_ended_early_pays_only_the_rest(name: str, old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A partial run of an old ledger is resumed in its budget: what was answered is not paid again."""
    before = {budget["name"]: budget for budget in shown(capsys)}
    assert main(["budget", "set", "study-small", "--max-queries", "100"]) == 0  # it ended a probe

    assert again(name, *RUNS[name]["more"]) == 0

    after = {budget["name"]: budget for budget in shown(capsys)}
    assert after.keys() == before.keys()
    top = RUNS[name]["budgets"][0]
    paid = after[top]["queries"]["posted"] - before[top]["queries"]["posted"]
    assert paid == len(models.asked) == RUNS[name]["rest"] > 0
    made = records(old / "again" / name)
    assert {file: made[file]["run"] for file in RUNS[name]["runs"]} == RUNS[name]["runs"]


# --- identities ---


def of_python(case: Mapping[str, Any]) -> tuple[Any, int]:
    """Return the run of a case, and how much was sent."""
    options = dict(case["options"])
    if case["verb"] == "attack":
        stress = bbquery.attack(**options)
        return stress.run, stress.queries.sent
    options["verify"] = 0  # as older versions did
    if case["verb"] == "explain":
        explanation = bbquery.explain(**options)
        return explanation.run, explanation.queries.sent
    results = asyncio.run(several(options))
    return [each.run for each in results], sum(each.queries.sent for each in results)


async def several(options: dict[str, Any]) -> list[bbquery.Explanation]:
    found = [result.explanation async for result in bbquery.explain_many_async(**options)]
    assert None not in found
    return [each for each in found if each is not None]


def of_a_command(case: Mapping[str, Any]) -> tuple[Any, int]:
    """Return the run of a case, and how much was sent; a vendor of batches keeps its bill in a folder."""
    moved = [part.replace("tests.batches_vendor:", "tests.support.batches_vendor:") for part in case["options"]["argv"]]
    assert main([*moved, "--out", "again"]) == 0
    (record,) = Path("again").glob("*.json")
    return json.loads(record.read_text())["run"], len(models.asked) + len(list(Path().glob("vendor/*")))


@pytest.mark.parametrize("case", FOUND["table"], ids=lambda case: f"{case['verb']}-{case['run']}")
def test_a_run_has_the_name_that_it_always_had(case: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """Run and budgets are called what they were called, and where the store has the answers, nothing is sent."""
    before = names(shown(capsys))

    run, sent = (of_a_command if "argv" in case["options"] else of_python)(case)

    assert run == case["run"]
    assert sent == 0 or not case["stored"]
    after = names(shown(capsys))
    assert after - before == (set() if case["stored"] else set(case["budgets"]))
    assert set(case["budgets"]) <= after


def test_the_table_tells_runs_apart() -> None:
    """The cases are different runs, so each pins another part of what makes an identity."""
    top = [case["budgets"][0] for case in FOUND["table"]]

    assert len(set(top)) == len(top) > 55
    assert {case["verb"] for case in FOUND["table"]} == {
        "explain", "explain_many", "compare", "evaluate", "probe", "attack", "batch",
    }  # fmt: skip


@pytest.mark.parametrize("case", FOUND["oracles"], ids=lambda case: case["oracle"])
def test_an_oracle_is_who_it_always_was(case: dict[str, Any]) -> None:
    """What answers are stored under is the same for the same connection, to the letter."""
    oracle = importlib.import_module(f"oracles.{case['oracle']}").connect(**case["options"])

    assert oracle.capabilities.identity == case["identity"]


# --- ledger and store ---


def test_the_old_ledger_lists_what_it_held(capsys: pytest.CaptureFixture[str]) -> None:
    """Every budget is there with its place, its caps and what was spent, to the letter."""
    assert shown(capsys) == json.loads((RECORDED / "budgets.json").read_text())


def test_an_attempt_of_unknown_outcome_can_still_be_settled(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The attempt that may have been billed is listed as it was; settling it frees what was held in the project too."""
    assert main(["budget", "export", "--state", "unknown", "--out", "unknown-now.csv"]) == 0
    assert (old / "unknown-now.csv").read_text() == (RECORDED / "unknown.csv").read_text()
    held = {budget["name"]: budget["queries"]["held"] for budget in shown(capsys)}
    assert (held["study"], sum(held.values())) == (1, 2)

    assert main(["budget", "reconcile", "--all", "--outcome", "voided"]) == 0

    assert sum(budget["queries"]["held"] for budget in shown(capsys)) == 0


def test_the_old_store_is_whole_and_exports_the_same_lines(old: Path) -> None:
    """The store verifies, and exports of a run the bytes that it exported then."""
    run = RUNS["explain"]["budgets"][0]

    assert main(["store", "verify"]) == 0
    assert main(["store", "export", "now.jsonl", "--run", run]) == 0

    assert (old / "now.jsonl").read_bytes() == (RECORDED / "store.jsonl").read_bytes()


def test_an_old_file_of_answers_replays_a_run_without_its_ledger(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers exported then and imported into an empty home are all that the run needs."""
    monkeypatch.setenv("BBQUERY_HOME", str(old / "empty"))
    assert main(["store", "verify", "store.jsonl"]) == 0
    assert main(["store", "import", "store.jsonl"]) == 0
    assert main(["budget", "set", "study", "--max-queries", "100"]) == 0

    assert again("explain") == 0

    assert models.asked == []
    np.testing.assert_allclose(np.load("again/explain/left.npy"), np.load("runs/explain/left.npy"), rtol=1e-9)


@pytest.mark.parametrize("name", ["explain-default", "explain-drift", "explain-words"])
def test_the_folder_of_an_old_run_is_evaluated_as_its_record_says(name: str, old: Path) -> None:
    """From a folder's run.json come the oracle, the score and the target; its map is read as it lies there."""
    typed = ["evaluate", f"runs/{name}", "photo.png", "--metrics", "aopc", "--steps", "2", "--out", "judged"]

    assert main(typed) == 0

    record = json.loads((old / "judged" / "evaluation.json").read_text())
    made = json.loads((old / "runs" / name / "run.json").read_text())
    assert record["oracle"] == made["oracle"]
    assert record["targets"][0]["target"] == made["targets"][0]["target"]


@pytest.mark.parametrize("name", ["explain-default", "explain-drift", "explain-words"])
def test_python_evaluates_the_folder_of_an_old_run_as_the_command_does(name: str, old: Path) -> None:
    """The folder alone is one run from both sides: paid once, with the same figures and warnings."""
    assert main(["evaluate", f"runs/{name}", "photo.png", "--metrics", "aopc", "--steps", "2", "--out", "judged"]) == 0
    record = json.loads((old / "judged" / "evaluation.json").read_text())
    models.asked.clear()

    found = bbquery.evaluate(f"runs/{name}", "photo.png", metrics="aopc", steps=2)

    assert (found.run, found.oracle.name) == (record["run"], record["oracle"]["name"])
    assert [each.value for each in found.measurements] == [each["value"] for each in record["metrics"]]
    assert list(found.warnings) == [each["text"] for each in record["warnings"]]
    assert models.asked == []
