"""`bbquery audit init` writes a plan that can be asked, `--dry-run` says what it costs, `schema` is for editors."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bbquery.cli import main
from bbquery.jobs.audit.reading import read
from bbquery.jobs.audit.schema import schema

if TYPE_CHECKING:
    from collections.abc import Sequence

MODEL = "function:call=tests.support.models.corner,classes=corner|rest,version=1"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def typed_in(monkeypatch: pytest.MonkeyPatch, *answers: str) -> list[str]:
    """Let a person on a terminal give answers; return the questions, as they come."""
    left, questions = list(answers), list[str]()

    def answer(question: str) -> str:
        questions.append(question)
        if not left:
            raise EOFError
        return left.pop(0)

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("builtins.input", answer)
    return questions


def test_a_plan_is_written_from_options(capsys: pytest.CaptureFixture[str]) -> None:
    """What is typed is in the plan, every other choice beside it as a comment; it reads back, and its bill is shown."""
    options = shlex.split("--name shop --target corner --method rise --attack hsja --max-queries 5000 --max-usd 5.50")

    assert main(["audit", "init", "--photos", "sample:cat", "--oracle", MODEL, "--oracle", MODEL, *options]) == 0

    said = capsys.readouterr().out
    plan = read("plan.toml").plan
    assert (plan.name, plan.photos.from_) == ("shop", ("sample:cat",))
    assert [(o.name, o.oracle, o.targets) for o in plan.oracles] == [
        (f"function-{n}", MODEL, ("corner",)) for n in (1, 2)
    ]
    assert plan.explain is not None
    assert plan.explain.methods == ("rise",)
    assert plan.attack is not None
    assert plan.attack.attacks == ("hsja",)
    assert (plan.caps.max_queries, plan.caps.max_usd) == (5000, "5.50")
    assert "nothing was asked" in said
    assert "written: plan.toml" in said


def test_every_comment_in_a_plan_is_one_that_works(folder: Path) -> None:
    """With every choice taken from its comment, the plan is still good."""
    main(["audit", "init", "--photos", "sample:cat", "--oracle", MODEL, "--max-queries", "9000"])
    lines = (folder / "plan.toml").read_text().split("\n")
    taken = [line.removeprefix("# ") if "=" in line or line.startswith("# [") else line for line in lines]

    (folder / "all.toml").write_text("\n".join(taken).replace('"tabby"', '"corner"').replace("max_queries = 9000", ""))

    plan = read(folder / "all.toml").plan
    assert plan.gates.min_robust_share is not None
    assert plan.repeat is not None
    assert plan.photos.order == "random"


def test_paths_are_those_of_the_plans_folder(folder: Path) -> None:
    """Photos are typed as from here and written as from the plan; what lies outside its folder is allowed by that."""
    (folder / "plans").mkdir()
    (folder / "photos").mkdir()
    assert main(["audit", "init", "--photos", "sample:cat", "--oracle", MODEL]) == 0
    for name in ("photos/a.png", "plans/b.png"):
        Path(name).write_bytes(Path(__file__).parents[2].joinpath("docs/images/cat.png").read_bytes())

    assert main(["audit", "init", "plans/p.toml", "--photos", "photos", "plans/*.png", "--oracle", MODEL]) == 0

    photos = read("plans/p.toml").plan.photos
    assert (photos.from_, photos.allow_outside) == (("../photos/", "*.png"), True)
    assert not read("plan.toml").plan.photos.allow_outside


def test_no_name_of_a_file_breaks_out_of_a_comment(folder: Path) -> None:
    """A file may be called as file systems allow; its name in the plan stays on its line."""
    assert main(["audit", "init", "my\nseed = 7 #.toml", "--photos", "sample:cat", "--oracle", MODEL]) == 0

    assert read(folder / "my\nseed = 7 #.toml").plan.seed == 0


def test_no_file_is_overwritten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A plan that is there stays as it is, and so does any other file."""
    (folder / "plan.toml").write_text("mine")

    assert main(["audit", "init", "--photos", "sample:cat"]) == 2

    assert (folder / "plan.toml").read_text() == "mine"
    assert "is there already, and is not overwritten" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--photos", "none.jpg"], "photos.from[0]: there is no file none.jpg"),
        (["--photos", "sample:cat", "--oracle", "efficientnt"], "did you mean 'efficientnet'"),
        (["--photos", "sample:cat", "--oracle", MODEL, "--target", "cat"], "unknown label 'cat'"),
        (["--photos", "sample:cat", "--max-usd", "many"], "many"),
        (["--photos", "sample:cat", "--oracle", MODEL, "--name", "a b"], "name: must be a name"),
        ([], "say which photos: --photos FOLDER"),
    ],
)
def test_a_plan_that_could_not_be_asked_is_not_written(
    options: Sequence[str], said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is wrong is said, and no file is left behind."""
    assert main(["audit", "init", *options]) == 2

    assert said in capsys.readouterr().err
    assert list(folder.glob("*.toml")) == []


def test_a_person_is_asked_a_few_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal photos, models, target, attacks and cap are asked for; empty answers take defaults."""
    questions = typed_in(monkeypatch, "sample:cat 'sample:rocket'", MODEL, "", "corner", "y", "", "$3")

    assert main(["audit", "init", "own.toml"]) == 0

    plan = read("own.toml").plan
    assert plan.photos.from_ == ("sample:cat", "sample:rocket")
    assert [oracle.targets for oracle in plan.oracles] == [("corner",)]
    assert plan.attack is not None
    assert plan.attack.attacks == ("lr_boundary",)
    assert plan.caps.max_usd == "3"
    assert len(questions) == 7


def test_a_person_who_names_no_photo_gets_no_plan(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Ending the input is no answer."""
    typed_in(monkeypatch)

    assert main(["audit", "init"]) == 2
    assert list(folder.iterdir()) == []


def test_a_draft_that_cannot_be_asked_names_no_line_of_a_file_that_is_not_there(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is wrong is said of the plan; nothing is written."""
    wrong = MODEL.replace("corner|rest", "corner")

    assert main(["audit", "init", "own.toml", "--photos", "sample:cat", "--oracle", f"{wrong},usd_per_query=x"]) == 2

    said = capsys.readouterr().err
    assert "bbquery: plan: oracles" in said
    assert "own.toml" not in said
    assert not (folder / "own.toml").exists()


def test_a_dry_run_shows_photos_oracles_caps_and_time(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For each oracle it says queries, tokens, dollars and the photos that fit, and what could not be read."""
    (folder / "broken.jpg").write_bytes(b"no picture")
    (folder / "plan.toml").write_text(
        'name = "a"\nphotos = { from = ["sample:cat", "sample:cat", "broken.jpg", "sample:rocket"], limit = 3 }\n'
        f'[[oracles]]\nname = "one"\noracle = "{MODEL},usd_per_query=0.5"\nrequests_per_minute = 60\n'
        f'[[oracles]]\nname = "two"\noracle = "{MODEL}"\n[caps]\nmax_usd = 1\nmax_hours = 0.0001\n'
    )

    assert main(["audit", "plan.toml", "--dry-run"]) == 0

    said = capsys.readouterr().out
    assert "1 were listed again, and count once" in said
    assert "1 of them cannot be read, and are not paid for:\n             broken: it is not a picture" in said
    assert [line.split() for line in said.split("\n") if line.startswith(("one ", "two ", "all "))] == [
        ["one", "2", "4", "0", "0", "1.00", "2.00", "1.00", "1", "1"],
        ["two", "2", "2", "0", "0", "0.00", "0.00", "0.00", "2", "2"],
        ["all", "6", "0", "0", "1.00", "2.00"],
    ]
    assert "caps         $1.00, 0.0001 hours of a run" in said
    assert "two: unknown: no limits are known" in said
    assert "the same command then goes on" in said
    assert "nothing was asked" in said


def test_every_fault_of_a_plan_is_a_line_on_the_screen(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Usage errors of a plan end the command with code 2 and say all that is wrong."""
    (folder / "plan.toml").write_text('name = "a"\nseed = -1\nphotos = { frm = ["a"] }\noracles = []\n')

    assert main(["audit", "plan.toml"]) == 2

    assert len(capsys.readouterr().err.strip().split("\n")) == 4


def test_the_schema_is_printed_and_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`audit schema` prints what editors read; --out writes it into a file, and says where it cannot."""
    assert main(["audit", "schema"]) == 0
    assert json.loads(capsys.readouterr().out) == schema()

    assert main(["audit", "schema", "--out", "own.json"]) == 0
    assert json.loads((folder / "own.json").read_text()) == schema()
    assert main(["audit", "schema", "--out", "none/own.json"]) == 6
