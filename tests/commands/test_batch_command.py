"""`bbquery explain --batch`: what a person types, sees and gets back."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from bbquery.batches import prefetch
from bbquery.cli import main
from bbquery.client.client import QueryCounts
from bbquery.commands.screen import Screen
from tests.support.batches_vendor import Vendor
from tests.support.clocks import FakeClock

if TYPE_CHECKING:
    from pathlib import Path

QUERIES = 30


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    clock = FakeClock()
    monkeypatch.setattr(prefetch, "SystemClock", lambda: clock)
    return clock


def command(photo: str, tmp_path: Path, *more: str, options: str = "") -> list[str]:
    oracle = f"tests.support.batches_vendor:connect:folder={tmp_path / 'vendor'}{options}"
    queries = f"rise:queries={QUERIES}"
    return ["explain", photo, "--oracle", oracle, "--method", queries, "--yes", "--out", str(tmp_path / "out"), *more]


def record(tmp_path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((tmp_path / "out" / "run.json").read_text())
    return loaded


def test_a_run_by_the_file_is_told_as_it_goes(
    photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], time: FakeClock
) -> None:
    """Batches are named when they are submitted and collected, and counted while they are waited for."""
    code = main(command(photo, tmp_path, "--batch", options=",looks=3"))

    said = capsys.readouterr()
    (name,) = Vendor(tmp_path / "vendor").submissions().values()
    assert code == 0
    assert f"submitted {QUERIES} questions as batch {name}, vendor-0" in said.err
    assert f"batch {name} is in_progress: 0 of {QUERIES} answered" in said.err
    assert f"collected batch {name}: {QUERIES} of {QUERIES} answered" in said.err
    assert f"{QUERIES + 1} asked, {QUERIES + 1} sent, 0 from the store, 0 unknown" in said.out
    assert record(tmp_path)["cost"]["usd"] == "0.032"  # 30 at half of $0.002, and one at once


def test_a_bill_above_its_hold_is_said_though_the_map_is_whole(
    photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], time: FakeClock
) -> None:
    """No cap is safe after it, so the command says so and ends with the oracle's exit code; the map is written."""
    code = main(command(photo, tmp_path, "--batch", options=",half_bill=50000000000"))

    said = capsys.readouterr()
    assert code == 3
    assert "ALARM: vendor: a query cost $0.05, and at most $0.0015 was held for it" in said.err
    assert "nothing is missing from this result" in said.err
    assert "PARTIAL" not in said.err
    assert record(tmp_path)["cost"]["usd"] == "1.502"


@pytest.mark.parametrize(("method", "code"), [("designed", 0), ("designed:refine=true", 2)])
def test_the_default_method_goes_by_the_file_unless_refinement_was_asked_for(
    photo: str, tmp_path: Path, method: str, code: int
) -> None:
    """It leaves refinement out where a file takes all questions at once; a word on it is kept, and refused."""
    more = ("--method", method, "--max-queries", str(QUERIES), "--batch", "--dry-run")

    assert main(command(photo, tmp_path, *more)) == code


def test_a_dry_run_by_the_file_shows_its_price_and_size(
    photo: str, tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half the price, the number of files and their bytes, before anything is sent, held or written."""
    code = main(command(photo, tmp_path, "--batch", "--dry-run", options=",lines=12"))

    said = capsys.readouterr().out
    assert code == 0
    assert "31 at most, stored answers not counted: 1 at once, 30 as a batch" in said
    assert "batches      3, " in said
    assert "0.032 expected, 0.048 at worst" in said
    assert "nothing was asked" in said
    assert not (tmp_path / "out").exists()
    assert not (home / "bbquery.sqlite3").exists()
    assert Vendor(tmp_path / "vendor").submissions() == {}


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_an_oracle_without_batches_is_a_usage_error(
    photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...]
) -> None:
    """It is said before anything is asked, by name."""
    oracle = "function:call=tests.support.models.sides,classes=left|right,version=1"

    code = main(["explain", photo, "--oracle", oracle, "--batch", "--out", str(tmp_path / "out"), *more])

    assert code == 2
    assert "takes no batches" in capsys.readouterr().err


def test_several_images_are_a_usage_error(photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One image a command, as each waits for its own batches."""
    explain, *options = command(photo, tmp_path, "--batch")

    code = main([explain, photo, *options])

    assert code == 2
    assert "--batch takes one image, not 2" in capsys.readouterr().err


def test_what_is_at_the_vendor_is_seen_as_held(
    photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], time: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a batch is away, the budget's table shows what it may cost."""

    async def shown(self: Vendor, vendor: str) -> Any:
        main(["budget", "show"])
        return await look(self, vendor)

    look = Vendor.batch_state
    monkeypatch.setattr(Vendor, "batch_state", shown)
    main(command(photo, tmp_path, "--batch"))

    assert "0.045" in capsys.readouterr().out  # 30 at a hold of $0.0015


@pytest.mark.parametrize(("number", "name_of_it"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")])
async def test_ctrl_c_leaves_the_batch_and_the_same_again_collects_it(
    photo: str, tmp_path: Path, number: int, name_of_it: str
) -> None:
    """Interrupted while it waits, a run ends with 130 and the batch's name; nothing is submitted again."""
    arguments = command(photo, tmp_path, "--batch", options=",looks=1000")
    process = await start(arguments, tmp_path)
    said = await until(process, "is in_progress")
    process.send_signal(number)
    _, rest = await process.communicate()
    said += rest.decode()

    again = await start(command(photo, tmp_path, "--batch"), tmp_path)
    await again.communicate()

    vendor = Vendor(tmp_path / "vendor")
    (name,) = vendor.submissions().values()
    assert process.returncode == 130
    assert f"interrupted by {name_of_it}; at the vendor: batch {name} ({QUERIES} questions)" in said
    assert "the same command again collects" in said
    assert again.returncode == 0
    assert len(vendor.questions()) == QUERIES
    assert record(tmp_path)["queries"] == asdict(QueryCounts(asked=31, sent=0, from_store=31, unknown=0, answered=31))


async def test_ctrl_c_writes_nothing_while_a_line_may_be_half_written(capsys: pytest.CaptureFixture[str]) -> None:
    """A signal comes at any moment, also amid a write that allows no other: it is spoken of when the loop turns."""
    client = mock.Mock()
    with Screen() as screen:
        screen._client = client
        screen._interrupt(signal.SIGINT, None)
        at_once = capsys.readouterr().err
        await asyncio.sleep(0)

    assert at_once == ""
    assert "stopping" in capsys.readouterr().err
    client.halt.set.assert_called_once()


async def test_a_second_ctrl_c_waits_for_no_submission() -> None:
    """It reaches the batches as well as what is in flight."""
    client, waiting = mock.Mock(), mock.Mock()
    with Screen() as screen:
        screen._client = client
        screen.batching(waiting)

        screen._interrupt(signal.SIGINT, None)
        await asyncio.sleep(0)
        once = waiting.abandon.called
        screen._interrupt(signal.SIGINT, None)
        await asyncio.sleep(0)

    assert client.halt.set.called
    assert (once, waiting.abandon.called, client.abandon.called) == (False, True, True)


async def start(arguments: list[str], tmp_path: Path) -> asyncio.subprocess.Process:
    environment = os.environ | {"BBQUERY_HOME": str(tmp_path / "home")}
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-m", "bbquery", *arguments)
    return await asyncio.create_subprocess_exec(*command, env=environment, stdout=pipe, stderr=pipe)


async def until(process: asyncio.subprocess.Process, text: str) -> str:
    """Read what a process says until it says this."""
    assert process.stderr is not None
    said = b""
    while text.encode() not in said:
        more = await process.stderr.read(4096)
        assert more, said.decode()
        said += more
    return said.decode()
