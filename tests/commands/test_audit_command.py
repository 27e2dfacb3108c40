"""`bbquery audit PLAN`: what a person types, reads and finds, and what scripts are told."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bbquery.cli import main
from bbquery.commands.audit_screen import AuditScreen
from bbquery.jobs.audit import conditions
from bbquery.jobs.audit.row import Row
from bbquery.jobs.parts import Part
from bbquery.report import claim
from tests.support import drawing, records
from tests.support.audits import photos_in
from tests.support.counted import watched
from tests.support.paths import ROOT

pytestmark = pytest.mark.slow

HERE = "function:call=tests.support.counted.sides,classes=left|right,version={}"
MAPS = '[explain]\nmethods = ["rise"]\nmax_queries = 20\nverify = 0\n'


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    drawing.make_blank(monkeypatch)
    watched.begin()


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """A plan of two photos on one free oracle, which repeats each once."""
    photos_in(tmp_path / "photos", 2, side=16)
    return written(tmp_path)


def written(folder: Path, more: str = "", versions: tuple[str, ...] = ("1",)) -> Path:
    oracles = "".join(f'[[oracles]]\nname = "v{each}"\noracle = "{HERE.format(each)}"\n' for each in versions)
    path = folder / "plan.toml"
    path.write_text(f'name = "shop"\n[photos]\nfrom = ["photos/"]\n{oracles}[repeat]\ntimes = 2\n{more}')
    return path


def record(plan: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((plan.parent / "shop-audit" / "audit.json").read_text())
    return loaded


def test_an_audit_writes_its_folder_and_says_where_the_report_is(
    plan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line for each photo, what was spent, and last the page; the record is as its schema says."""
    assert main(["audit", str(plan)]) == 0

    out = capsys.readouterr().out.splitlines()
    folder = plan.parent / "shop-audit"
    assert sum(": complete: " in line for line in out) == 2
    assert out[-1] == min(str(folder / "report.html"), os.path.relpath(folder / "report.html"), key=len)
    assert out[-2] == "spent: 4 queries"
    assert {each.name for each in folder.iterdir()} >= {"plan.toml", "report.html", "rows.csv", "rows.jsonl", "v1"}
    assert records.faults(record(plan)) == []
    assert record(plan)["status"] == "complete"


def test_the_same_plan_again_asks_nothing(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It finds what is complete, its summary is the same, and what it says was spent was not spent now."""
    main(["audit", str(plan)])
    asked, before = watched.calls, record(plan)["oracles"][0]["complete"]

    assert main(["audit", "run", str(plan)]) == 0

    assert (watched.calls, record(plan)["oracles"][0]["complete"]) == (asked, before)
    assert capsys.readouterr().out.splitlines()[-2] == "spent: 4 queries; nothing now"


def test_a_gate_that_is_not_met_is_exit_code_5(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The line says what is asked, what was found, and which photos broke it."""
    gates = "[gates]\nmin_fidelity = 0.99\n"
    maps = MAPS.replace("verify = 0\n", 'verify = 0\nmetrics = ["srg:steps=4"]\n')
    written(plan.parent, maps + gates)

    assert main(["audit", str(plan)]) == 5

    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("gate "))
    assert line.startswith("gate min_fidelity of v1: FAILED: a mean fidelity of 0.99 or more; found ")
    assert "broken by " in line


def test_a_photo_that_cannot_be_read_fails_alone(plan: Path) -> None:
    """Exit code 7 says so once all else is done; the row says why."""
    (plan.parent / "photos" / "bad.png").write_bytes(b"no picture")

    assert main(["audit", str(plan)]) == 7

    (one,) = record(plan)["oracles"]
    assert (one["complete"], one["failed"]) == (2, 1)


def test_a_spent_cap_is_exit_code_4_and_the_raised_one_goes_on(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is not complete is said with the command that goes on."""
    written(plan.parent, "[caps]\nmax_queries = 3\n")
    assert main(["audit", str(plan)]) == 4
    said = capsys.readouterr().err
    written(plan.parent, "[caps]\nmax_queries = 30\n")

    assert main(["audit", str(plan)]) == 0

    assert "NOT COMPLETE: v1: 1 not begun of 2 photos: budget 'audit-shop'" in said
    assert f"bbquery audit {plan}" in said


def test_a_cap_below_every_photo_is_said_once_and_nothing_is_asked(
    plan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line says which cap and how much a photo needs."""
    written(plan.parent, "[caps.photo]\nmax_queries = 1\n")

    assert main(["audit", str(plan)]) == 4

    said = capsys.readouterr().err
    assert said.count("[caps.photo] allows 1 queries, and photo 'p00' on 'v1' may take 2") == 1
    assert "budget set" not in said  # the plan sets it
    assert watched.calls == 0


def test_what_was_stopped_is_not_counted_as_done() -> None:
    """A photo that ended with a stop is no photo done; one of which all was asked is."""
    part, screen = Part(0, 2, "v1/p00", 1), AuditScreen()
    with screen:
        screen.opens({0: 4, 1: 4})
        screen.beside(part).ends(part)
        stopped = screen._which()
        screen.took(Row(photo="p01", source="p01.png", oracle="v1", identity="", status="complete"))

        assert (stopped, screen._which()) == ("0 of 2 photos done: ", "1 of 2 photos done: ")


def test_the_status_line_counts_what_an_earlier_run_did(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a photo more the same command ends with all photos done, those of the first run too."""
    main(["audit", str(plan)])
    photos_in(plan.parent / "photos", 3, side=16)
    capsys.readouterr()

    main(["audit", str(plan)])

    assert "3 of 3 photos done: 100%" in capsys.readouterr().err.splitlines()[-1]


def test_the_status_of_an_audit_tells_whether_it_runs(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From its plan or its folder, for people or programs, also while another process writes in it."""
    main(["audit", str(plan)])
    capsys.readouterr()
    folder = plan.parent / "shop-audit"

    assert main(["audit", "status", str(plan)]) == 0
    still = capsys.readouterr().out
    with claim.claimed(folder, record(plan)["run"]):
        main(["audit", "status", str(folder)])
    running = capsys.readouterr().out
    main(["audit", "status", str(folder), "--json"])

    assert "2 photos; not running" in still
    assert "2 photos; running" in running
    assert records.faults(json.loads(capsys.readouterr().out)) == []


def test_the_status_of_a_running_audit_calls_nothing_lost_that_is_in_flight(
    plan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is held may still be answered; only once it has ended is one sent to the vendor's report."""
    plan.write_text(plan.read_text().replace("version=1", "version=1,usd_per_query=0.01"))
    watched.begin(lose=range(1))
    main(["audit", str(plan), "--yes"])
    capsys.readouterr()

    main(["audit", "status", str(plan)])
    still = capsys.readouterr().out
    with claim.claimed(plan.parent / "shop-audit", record(plan)["run"]):
        main(["audit", "status", str(plan)])
    running = capsys.readouterr().out

    assert "what is held may have been billed: 'bbquery budget reconcile'" in still
    assert "reconcile" not in running
    assert "what is held is in flight, or may have been billed" in running


@pytest.mark.parametrize("out", ["/elsewhere", "../elsewhere", "link/elsewhere"])
def test_a_plan_alone_writes_nothing_outside_its_folder(
    plan: Path, out: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A plan may come from somebody else: only who runs it says another folder, with --out."""
    (plan.parent / "link").symlink_to(plan.parent.parent)
    plan.write_text(f'out = "{out}"\n{plan.read_text()}')

    for dry in ([], ["--dry-run"]):
        assert main(["audit", str(plan), *dry]) == 2
        assert (
            "plan.toml:1: out: lies outside the plan's folder: only --out may name such a folder"
            in capsys.readouterr().err
        )
    assert main(["audit", str(plan), "--out", str(plan.parent / "link" / "said")]) == 0


def test_no_oracle_is_called_as_a_file_of_the_audit(plan: Path) -> None:
    """All files beside the folders of oracles are known to whoever checks names."""
    main(["audit", str(plan)])

    written = {each.name for each in (plan.parent / "shop-audit").iterdir() if each.name != claim.MARK}
    assert written == {*conditions.FILES, "v1"}


def test_a_folder_with_too_long_a_name_is_refused(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is asked, in a line."""
    assert main(["audit", str(plan), "--out", str(plan.parent / ("o" * 300))]) == 2
    assert "File name too long" in capsys.readouterr().err
    assert not watched.calls


@pytest.mark.parametrize(("what", "instead"), [('"plan"', '"plum"'), ('"p01"', '"../p01"'), ('"v1"', '".."')])
def test_a_damaged_record_is_said_in_a_line(
    plan: Path, what: str, instead: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that lacks a key, or whose names lead elsewhere, is no way to rows; the audit again mends it."""
    main(["audit", str(plan)])
    path = plan.parent / "shop-audit" / "audit.json"
    path.write_text(path.read_text().replace(what, instead))

    for command in ("status", "report", "export"):
        assert main(["audit", command, str(plan)]) == 2
        assert "audit.json is damaged" in capsys.readouterr().err
    assert main(["audit", str(plan)]) == 0
    assert main(["audit", "status", str(plan)]) == 0


def test_rows_are_exported_for_spreadsheets_and_programs(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table to a file, and lines of JSON on standard output, a row for each photo."""
    main(["audit", str(plan)])
    capsys.readouterr()

    assert main(["audit", "export", str(plan), "--out", str(plan.parent / "rows.csv")]) == 0
    capsys.readouterr()
    assert main(["audit", "export", str(plan.parent / "shop-audit"), "--format", "jsonl"]) == 0

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    with (plan.parent / "rows.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["photo"] for row in lines] == [row["photo"] for row in table] == ["p00", "p01"]
    assert table[0]["status"] == "complete"


def test_a_new_version_is_compared_with_the_last_audit(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What changed is in the record, paired by photo; a report can be written again, asking nothing."""
    main(["audit", str(plan), "--out", str(plan.parent / "old")])
    asked = watched.calls

    assert main(["audit", "report", str(plan.parent / "old"), "--baseline", str(plan.parent / "old")]) == 0

    found = json.loads((plan.parent / "old" / "audit.json").read_text())
    assert watched.calls == asked
    assert "photos with another first label than before" in {each["figure"] for each in found["changes"]}
    assert {each["difference"]["value"] for each in found["changes"]} == {0}


def test_a_report_keeps_the_comparison_as_long_as_its_baseline_is_there(
    plan: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written again without --baseline, from anywhere, it compares as before; once the baseline is gone, it says so."""
    monkeypatch.chdir(plan.parent)
    main(["audit", str(plan), "--out", "old"])
    main(["audit", str(plan), "--baseline", "old"])
    assert "p00: complete: left; 2 queries, nothing sent now" in capsys.readouterr().out
    first = record(plan)["changes"]
    monkeypatch.chdir("/")
    capsys.readouterr()

    assert main(["audit", "report", str(plan)]) == 0
    said, page = capsys.readouterr(), (plan.parent / "shop-audit" / "report.html").read_text()
    changed = (
        "0 of 2 photos asked anew; since the baseline 0 of 2 first labels changed, and 0 of 3 figures beyond chance"
    )
    assert changed in said.out
    assert "spent: 4 queries; nothing in the last run" in said.out
    assert changed in page
    assert "NOT ASKED ANEW: v1: 0 of 2 photos asked anew" in said.err
    assert "What was not asked anew" in page
    assert record(plan)["changes"] == first != []
    (plan.parent / "old").rename(plan.parent / "elsewhere")
    main(["audit", "report", str(plan)])

    assert "the baseline is gone" in capsys.readouterr().err
    assert record(plan)["changes"] == []


def test_what_costs_money_wants_a_cap(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is sent before somebody has said how much may be spent."""
    text = plan.read_text().replace("version=1", "version=1,usd_per_query=0.01")
    plan.write_text(text)

    assert main(["audit", str(plan)]) == 2

    assert "nothing says how much" in capsys.readouterr().err
    assert watched.calls == 0


def test_the_ledger_agrees_with_both_vendors_bills_through_faults_a_kill_and_a_cap() -> None:
    """Two emulated vendors, a fifth of requests fail, SIGKILL, a cap that is reached and raised; see the script."""
    command = (sys.executable, "benchmarks/audit_under_fire.py", "--photos", "2", "--queries", "12", "--kills", "1")

    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=300, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 of 4 are those of the undisturbed audit; 0 answers posted twice" in done.stdout


def test_paths_are_printed_as_from_the_current_folder(
    plan: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where that is shorter: what is printed can be typed."""
    monkeypatch.chdir(plan.parent)

    main(["audit", "plan.toml"])

    assert capsys.readouterr().out.splitlines()[-1] == str(Path("shop-audit", "report.html"))


def test_a_run_keeps_the_baseline_until_it_is_dropped(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The plan again compares with what it was compared with; a baseline that is gone is said; none drops it."""
    old = plan.parent / "old"
    main(["audit", str(plan), "--out", str(old)])
    main(["audit", str(plan), "--baseline", str(old)])

    main(["audit", str(plan)])
    kept = record(plan)["baseline"]
    capsys.readouterr()
    old.rename(plan.parent / "elsewhere")
    main(["audit", str(plan)])
    said = capsys.readouterr().err
    main(["audit", str(plan), "--baseline", str(plan.parent / "elsewhere")])
    main(["audit", str(plan), "--baseline", "none"])

    assert kept == str(old)
    assert "the baseline is gone, so nothing is compared with it" in said
    assert record(plan)["baseline"] == ""


def test_a_warning_of_many_photos_is_said_once_with_their_number(capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers and names apart, it is the same; another kind is said by itself."""
    screen = AuditScreen()
    with screen:
        screen.opens(dict.fromkeys(range(3), 4))
        for place in range(3):
            part = Part(place, 3, f"v1/p{place}", 1)
            screen.beside(part).beware(f"only {place} of 9 queries named 'cat {place}'")
            screen.beside(part).beware(f"only {place} of 9 queries named 'dog'")  # of a second method
        screen.beside(part).beware("the photo is black")

    said = [line for line in capsys.readouterr().err.splitlines() if "BEWARE" in line]
    assert said == [
        "bbquery: BEWARE: v1/p0: only 0 of 9 queries named 'cat 0'",
        "bbquery: BEWARE: v1/p2: the photo is black",
        "bbquery: BEWARE: of 3 photos, as of v1/p0: only 0 of 9 queries named 'cat 0'; "
        "the report in each photo's folder has its own",
    ]


async def test_photos_that_wait_together_are_one_line_with_their_number(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider stops all at once; what another is stopped for, and what is still unsaid at the end, is said too."""
    monkeypatch.setattr("bbquery.commands.audit_screen.SECONDS_TOGETHER", 0.0)
    loop = asyncio.get_running_loop()
    with AuditScreen() as screen:
        screen.opens(dict.fromkeys(range(4), 4))
        watches = [screen.beside(Part(place, 4, f"v1/p{place}", 1)) for place in range(4)]
        watches[0].waiting("v1 is not asked until 12:00:00: rate limit")
        for place in (1, 2, 1):
            watches[place].waiting(f"v1 is not asked until 12:00:0{place}: the limit is used up")
        later = loop.create_future()
        loop.call_later(0.0, later.set_result, None)
        await later
        meanwhile = capsys.readouterr().err
        watches[3].waiting("v1 is not asked until 12:00:09: no quota")
    afterwards = capsys.readouterr().err

    assert [line for line in meanwhile.splitlines() if "WAITING" in line] == [
        "bbquery: WAITING: v1/p0 and 2 more: v1 is not asked until 12:00:00: rate limit"
    ]
    assert "bbquery: WAITING: v1/p3: v1 is not asked until 12:00:09: no quota" in afterwards
