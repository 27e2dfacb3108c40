"""Bad input of an audit is said before the first query of any oracle, however many others are in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bbquery.cli import main
from bbquery.errors import KeyMissing
from tests.support import drawing
from tests.support.audits import photos_in
from tests.support.counted import watched

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

FREE = "function:call=tests.support.counted.sides,classes=left|right,version=1"
KEYED = "openai:model=gpt-4o-mini,classes=left|right,base_url=http://127.0.0.1:9/v1,key_env={}"
MEASURED = '[explain]\nmethods = ["rise"]\nmax_queries = 20\nverify = 0\nmetrics = ["srg:steps=4"]\n'
CAP = "[caps]\nmax_usd = 9\n"


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    drawing.make_blank(monkeypatch)
    for variable in ("ONE_KEY", "OTHER_KEY"):
        monkeypatch.delenv(variable, raising=False)
    watched.begin()


def plan_of(folder: Path, *oracles: str, more: str = "", photos: str = "photos/") -> Path:
    photos_in(folder / "photos", 3, side=16)
    own = "".join(f'[[oracles]]\nname = "o{place}"\noracle = "{each}"\n' for place, each in enumerate(oracles))
    path = folder / "plan.toml"
    path.write_text(f'name = "shop"\n[photos]\nfrom = ["{photos}"]\n{own}{more}')
    return path


def test_a_missing_key_is_said_before_any_oracle_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each variable is named, with its oracle; the one that has no key to lack is not asked either."""
    plan = plan_of(tmp_path, FREE, KEYED.format("ONE_KEY"), KEYED.format("OTHER_KEY"), more=CAP)

    assert main(["audit", str(plan)]) == 2

    said = capsys.readouterr().err
    assert "oracle 'o1' of the plan: the environment variable 'ONE_KEY' (key_env) is unset or empty" in said
    assert "oracle 'o2' of the plan: the environment variable 'OTHER_KEY'" in said
    assert watched.calls == 0


def test_a_dry_run_needs_no_key(tmp_path: Path) -> None:
    """What it would cost is known without an account."""
    assert main(["audit", str(plan_of(tmp_path, KEYED.format("ONE_KEY"))), "--dry-run"]) == 0


def test_an_audit_that_is_whole_needs_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left to ask, so its report is written again."""
    monkeypatch.setattr("oracles.function.FunctionOracle.check_key", lambda _: 1 / 0, raising=False)
    plan = plan_of(tmp_path, FREE)
    with pytest.raises(ZeroDivisionError):
        main(["audit", str(plan)])
    monkeypatch.undo()
    drawing.make_blank(monkeypatch)
    assert main(["audit", str(plan)]) == 0
    monkeypatch.setattr("oracles.function.FunctionOracle.check_key", lambda _: 1 / 0, raising=False)

    assert main(["audit", str(plan)]) == 0


def test_an_audit_that_the_store_replays_needs_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a new folder every answer is found, as an import of somebody's published answers gives them."""
    plan = plan_of(tmp_path, FREE)
    assert main(["audit", str(plan)]) == 0
    asked = watched.calls

    def lacks(_: object) -> None:
        raise KeyMissing("KEY is unset")

    monkeypatch.setattr("oracles.function.FunctionOracle.check_key", lacks, raising=False)

    assert main(["audit", str(plan), "--out", str(tmp_path / "replayed")]) == 0
    assert watched.calls == asked
    photos_in(tmp_path / "photos", 4, side=16)
    assert main(["audit", str(plan), "--out", str(tmp_path / "more")]) == 2
    assert watched.calls == asked


def test_a_damaged_photo_is_named_before_the_first_query_and_at_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last lines say which, why and what to do, and name no command that would go on; CI reads exit code 7."""
    plan = plan_of(tmp_path, FREE, more="[gates]\nmax_refusals = 0.0\n")
    bad = tmp_path / "photos" / "z.png"
    bad.write_bytes((tmp_path / "photos" / "p00.png").read_bytes()[:-30])
    asked = []
    watched.before = [lambda: asked.append(capsys.readouterr().err)]

    assert main(["audit", str(plan)]) == 7

    after = capsys.readouterr()
    assert "BEWARE: a photo cannot be read, so nothing is asked of it: z: it is damaged" in asked[0]
    assert "NOT COMPLETE: photo photos/z.png cannot be read: it is damaged, cut short" in after.err
    assert "mend the file, or take it out of the plan, and run the same command again" in after.err
    assert "this goes on with it" not in after.err
    assert "gate max_refusals of o0: MET" in after.out


def test_a_gate_that_fails_is_said_before_a_damaged_photo(tmp_path: Path) -> None:
    """Exit code 5, whatever else cannot be asked; once the photo is mended, the audit is whole."""
    plan = plan_of(tmp_path, FREE, more=f"{MEASURED}[gates]\nmin_fidelity = 0.99\n")
    bad = tmp_path / "photos" / "z.png"
    bad.write_bytes(b"no picture")

    assert main(["audit", str(plan)]) == 5
    plan.write_text(plan.read_text().partition("[gates]")[0])
    assert main(["audit", str(plan)]) == 7
    bad.write_bytes((tmp_path / "photos" / "p00.png").read_bytes())
    assert main(["audit", str(plan)]) == 0


def test_what_can_be_asked_again_is_said_beside_a_damaged_photo(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cap ends it: its exit code, its line and the command that goes on come beside the photo's line."""
    plan = plan_of(tmp_path, FREE, more="[caps]\nmax_queries = 2\n")
    (tmp_path / "photos" / "a.png").write_bytes(b"no picture")

    assert main(["audit", str(plan)]) == 4

    said = capsys.readouterr().err
    assert "NOT COMPLETE: o0: 1 not begun of 4 photos" in said
    assert "NOT COMPLETE: photo photos/a.png cannot be read" in said
    assert "this goes on with it" in said


def test_an_unknown_label_is_said_before_any_oracle_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the line of the CSV file, though the first photo and the first oracle are in order."""
    photos = tmp_path / "list.csv"
    other = FREE.replace("version=1", "version=2").replace("left|right", "left|limpkin")
    maps = '[explain]\nmethods = ["rise"]\nmax_queries = 20\nverify = 0\n'
    plan = plan_of(tmp_path, FREE, other, more=maps, photos="list.csv")
    plan.write_text(plan.read_text().replace("[[oracles]]\n", '[[oracles]]\ntarget = "{label}"\n'))
    photos.write_text("photo,label\nphotos/p00.png,left\nphotos/p01.png,limpkin\n")

    assert main(["audit", str(plan)]) == 2

    said = capsys.readouterr().err
    assert f"{plan}:3: photos.from: list.csv:3: oracle 'o0': unknown label 'limpkin'" in said
    assert "or add it to classes= of oracle 'o0'" in said
    assert watched.calls == 0


def test_leave_to_attack_is_asked_for_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A script that gives no --yes is told in one line what to give, and nothing is asked."""
    plan = plan_of(tmp_path, FREE, more='[attack]\nattacks = ["hsja"]\nmax_queries = 100\n')

    assert main(["audit", str(plan)]) == 2

    said = capsys.readouterr().err
    assert said.count("this plan attacks its oracles") == 1
    assert "give --yes in a script" in said
    assert watched.calls == 0


def test_rows_and_the_schema_go_to_standard_output_by_a_dash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file of that name is written."""
    monkeypatch.chdir(tmp_path)
    plan = plan_of(tmp_path, FREE)
    main(["audit", str(plan)])
    capsys.readouterr()

    assert main(["audit", "export", str(plan), "--out", "-"]) == 0
    assert capsys.readouterr().out.startswith("oracle,photo,source,status")
    assert main(["audit", "schema", "--out", "-"]) == 0
    assert '"$schema"' in capsys.readouterr().out
    assert not (tmp_path / "-").exists()


def test_a_label_that_no_answer_of_a_closed_set_names_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model that answers in words, and chooses from the plan's classes, never names another one."""
    maps = '[explain]\nmethods = ["rise"]\nmax_queries = 20\nverify = 0\n'
    plan = plan_of(tmp_path, KEYED.format("ONE_KEY"), more=maps + CAP, photos="list.csv")
    plan.write_text(plan.read_text().replace("[[oracles]]\n", '[[oracles]]\ntarget = "{label}"\n'))
    (tmp_path / "list.csv").write_text("photo,label\nphotos/p00.png,left\nphotos/p01.png,limpkin\n")

    assert main(["audit", str(plan), "--dry-run"]) == 2

    said = capsys.readouterr().err
    assert "list.csv:3: oracle 'o0': unknown label 'limpkin'" in said
    assert "or add it to classes= of oracle 'o0'" in said
