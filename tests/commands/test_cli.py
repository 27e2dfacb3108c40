"""The command line: what a person types, reads and finds in the output folder."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image as Pillow

from bbquery import errors, load
from bbquery.cli import main
from bbquery.client.client import QueryCounts
from bbquery.client.halt import Interrupted
from bbquery.commands.exit_codes import exit_code
from bbquery.oracle import Price
from oracles import function
from oracles.emulators.http import HttpEmulator
from tests.support import models
from tests.support.runs import visible

if TYPE_CHECKING:
    from pathlib import Path

SIDES = "function:call=tests.support.models.sides,classes=left|right,version=1"


def explain(photo: str, out: Path, *more: str, oracle: str = SIDES, queries: str = "30") -> int:
    return main(
        ["explain", photo, "--oracle", oracle, "--max-queries", queries, "--verify", "0", "--out", str(out), *more]
    )


@pytest.mark.full_pictures
def test_it_writes_picture_map_and_record(photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run leaves a PNG, an array in the photo's coordinates and a record, names them, and prints the top classes."""
    code = explain(photo, tmp_path / "out", "--target", "left")

    said = capsys.readouterr()
    assert code == 0
    with Pillow.open(tmp_path / "out" / "left.png") as picture:
        assert picture.size[0] > 200
    assert np.load(tmp_path / "out" / "left.npy").shape == (24, 32)
    assert "sides sees:" in said.out
    assert "  (the function's numbers as they are)\n" in said.out
    assert "30 asked, 30 sent, 0 from the store, 0 unknown" in said.out
    assert str(tmp_path / "out" / "run.json") in said.out
    assert "30/30 queries" in said.err


def test_it_says_what_it_verified_and_what_that_may_take(
    photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before, how many queries are kept for facts; afterwards a line for each fact, and the parts as a picture."""
    corner = "function:call=tests.support.models.corner,classes=corner|rest,version=1"
    typed = ["explain", photo, "--oracle", corner, "--max-queries", "100", "--out", str(tmp_path / "out")]
    assert main([*typed, "--dry-run"]) == 0
    before = capsys.readouterr().out
    assert main(typed) == 0

    said = capsys.readouterr().out
    assert "facts        24 of these at most\n" in before
    assert re.search(r"^verified: corner: [\d.]+ % of the photo is enough$", said, re.MULTILINE)
    assert re.search(r"^verified: corner: hiding \d+ % makes it rest$", said, re.MULTILINE)
    assert (tmp_path / "out" / "corner-verified.png").is_file()


def test_the_record_repeats_the_run(photo: str, tmp_path: Path) -> None:
    """run.json holds the command, and running that command again gives the same map for nothing."""
    explain(photo, tmp_path / "out", "--seed", "7", "--method", "rise:cells=4")
    first = json.loads((tmp_path / "out" / "run.json").read_text())
    map_before = (tmp_path / "out" / "left.npy").read_bytes()

    assert main(first["command"][1:]) == 0

    second = json.loads((tmp_path / "out" / "run.json").read_text())
    assert first["method"] == "Rise(queries=29, form='centred', cells=4, p=0.5, fill=127.0, batch=256)"
    assert (first["seed"], first["status"], first["cost"]["usd"]) == (7, "complete", "0.00")
    assert first["oracle"]["identity"]["function"] == "tests.support.models.sides"
    assert first["oracle"]["activation"] == "the function's numbers as they are"
    assert {"bbquery", "python", "numpy", "pillow"} <= set(first["versions"])
    assert set(first["files"]) == {"left.npy", "left.png", "report.html"}
    assert first["budget"]["cap"]["queries"] == 30
    assert {"prepare", "ask"} <= set(first["seconds"])
    assert second["queries"] == asdict(QueryCounts(asked=30, sent=0, from_store=30, unknown=0, answered=30))
    assert (tmp_path / "out" / "left.npy").read_bytes() == map_before
    assert second["run"] == first["run"]


def test_two_targets_give_two_maps(photo: str, tmp_path: Path) -> None:
    """Two labels, two maps with errors and pictures each, a sheet of both, one set of queries."""
    explain(photo, tmp_path / "out", "--target", "left, right")

    record = json.loads((tmp_path / "out" / "run.json").read_text())
    kinds = (".npy", ".png", "-error.npy", "-interval.png")
    assert set(record["files"]) == {f"{target}{kind}" for target in ("left", "right") for kind in kinds} | {
        "maps.png",
        "report.html",
    }
    assert record["queries"]["sent"] == 30


def test_targets_that_look_alike_get_files_of_their_own(photo: str, tmp_path: Path) -> None:
    """Two labels that differ only in signs do not overwrite each other."""
    oracle = "function:call=tests.support.models.sides,classes=a+|a-,version=1"

    explain(photo, tmp_path / "out", "--target", "0,1", "--method", "rise", oracle=oracle)

    maps = {"a.npy", "a.png", "a~2.npy", "a~2.png"}
    assert visible(tmp_path / "out") == maps | {"maps.png", "run.json", "report.html"}


def test_without_out_the_folder_is_named_after_photo_oracle_method_and_run(
    photo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default output folder says what it holds."""
    monkeypatch.chdir(tmp_path)

    main(["explain", photo, "--oracle", SIDES, "--max-queries", "5"])

    (record,) = (tmp_path / "bbquery-out").glob("*/run.json")
    run = json.loads(record.read_text())["run"]
    assert record.parent.name == f"photo-function-designed-{run[:8]}"


def test_the_ledger_lives_in_bbquery_home(photo: str, tmp_path: Path, home: Path) -> None:
    """BBQUERY_HOME moves the ledger and the store."""
    explain(photo, tmp_path / "out")

    assert (home / "bbquery.sqlite3").is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--oracle", "nobody"], "known: efficientnet, function"),
        (["--method", "nothing"], f"known: {', '.join(load.names('method'))}"),
        (["--method", "rise:cels=3"], "known: queries, form, cells"),
        (["--method", "rise:cells=many"], "whole number"),
        (["--method", "rise:cells=0"], "cells"),
        (["--method", "rise:form=best"], "published"),
        (["--max-queries", "0"], "allows nothing"),
        (["--max-queries", "-3"], "allows nothing"),
        (["--method", "rise:queries=500"], "raise --max-queries"),
        (["--target", "up"], "known: left, right"),
        (["--target", "left,,right"], "empty label"),
        (["--oracle", "http:url=nonsense"], "nonsense"),
        (["--oracle", "http"], "say where the server is: url=https://host"),
        (["--oracle", "function:call=no.such.thing"], "cannot import"),
    ],
)
def test_bad_usage_is_explained_and_costs_nothing(
    photo: str, tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    """Each mistake gives exit code 2, one line that says what to do, and no query."""
    code = explain(photo, tmp_path / "out", *arguments)

    err = capsys.readouterr().err
    assert code == 2
    assert said in err
    assert "Traceback" not in err
    assert not (tmp_path / "out" / "run.json").exists()


def test_a_photo_that_is_none_is_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong path is a usage error that names it."""
    code = explain(str(tmp_path / "missing.png"), tmp_path / "out")

    assert code == 2
    assert "missing.png" in capsys.readouterr().err


def test_an_output_that_cannot_be_written_is_found_first(
    photo: str, tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file in the place of the output folder is found before the ledger is even opened."""
    (tmp_path / "out").write_text("in the way")

    code = explain(photo, tmp_path / "out")

    assert code == 2
    assert "out" in capsys.readouterr().err
    assert not (home / "bbquery.sqlite3").exists()


def test_without_matplotlib_the_extra_is_named_first(
    photo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing optional part is named with the extra that brings it, before anything is asked."""
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    code = explain(photo, tmp_path / "out")

    assert code == 2
    assert "bbquery[report]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("call", "said"),
    [("not_a_number", "nan"), ("two_numbers_too_many", "4 numbers for 2 classes"), ("raises", "MemoryError: no room")],
)
def test_an_oracle_that_fails_has_exit_code_3(
    photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], call: str, said: str
) -> None:
    """Broken answers and failing models are the oracle's fault, and say what they did."""
    code = explain(photo, tmp_path / "out", oracle=f"function:call=tests.support.models.{call},classes=left|right")

    assert code == 3
    assert said in capsys.readouterr().err


def test_a_closed_port_has_exit_code_3(photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A server that is not there is named."""
    code = explain(photo, tmp_path / "out", oracle="http:url=http://127.0.0.1:9")

    assert code == 3
    assert "127.0.0.1:9" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (None, 0),
        (errors.UsageError("x"), 2),
        (errors.MalformedAnswer("x"), 3),
        (errors.BudgetExhausted("b", "queries", remaining=0, needed=1, cap=1), 4),
        (Interrupted("x"), 130),
        (errors.StorageFailed("x"), 1),
    ],
)
def test_exit_codes_tell_whose_fault_it_was(error: errors.BbqueryError | None, code: int) -> None:
    """0 done, 1 storage, 2 usage, 3 the oracle, 4 the budget, 130 interrupted."""
    assert exit_code(error) == code


def test_a_score_that_never_moves_is_said_and_drawn_as_nothing(
    photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model that always says the same gets a map of zeros, and a person is told what to do."""
    same = "function:call=tests.support.models.always_a_cat,answers=labels,version=1"

    status = explain(photo, tmp_path / "out", oracle=same)

    assert status == 0
    assert "NOT MOVED: tabby cat" in capsys.readouterr().err
    assert not np.nan_to_num(np.load(tmp_path / "out" / "tabby-cat.npy")).any()


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("oracles", sorted(load.names("oracle"))),
        ("methods", sorted(load.names("method"))),
        ("scores", sorted(load.names("score"))),
        ("attacks", [*sorted(load.names("attack")), "art:NAME", "foolbox:NAME"]),
        ("metrics", sorted(load.names("metric"))),
    ],
)
def test_list_shows_what_can_be_chosen(capsys: pytest.CaptureFixture[str], kind: str, shown: list[str]) -> None:
    """Every choice is listed with a sentence that says what it is."""
    assert main(["list", kind]) == 0

    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert all(line.startswith(name) and len(line) > 20 for line, name in zip(lines, shown, strict=True))
    assert f"its options: bbquery list {kind} NAME" in said.err


async def test_over_http_the_map_is_identical_to_the_bit(photo: str, tmp_path: Path) -> None:
    """The same run through the server and in this process gives the same bytes, through faults of every kind."""
    oracle = function.connect(models.sides, classes="left|right", version="1", concurrency=4, price=Price())
    from oracles.emulators.http import Faults

    faults = Faults(rate_limited=0.1, retry_after=0, server_error=0.05, dropped=0.05)
    emulator = HttpEmulator(oracle, faults)
    async with emulator.running() as url:
        remote = await asyncio.to_thread(
            explain, photo, tmp_path / "remote", "--method", "rise:queries=60", oracle=f"http:url={url}", queries="90"
        )
    local = await asyncio.to_thread(explain, photo, tmp_path / "local", "--method", "rise:queries=60", queries="90")
    await oracle.aclose()

    assert (remote, local) == (0, 0)
    assert (tmp_path / "remote" / "left.npy").read_bytes() == (tmp_path / "local" / "left.npy").read_bytes()
    assert emulator.bill.rate_limited > 0
    assert emulator.bill.dropped > 0


def test_serve_serves_until_interrupted(photo: str, tmp_path: Path) -> None:
    """`bbquery serve` prints its address, answers there, and ends in order on Ctrl-C."""
    faults = "rate_limited=0.1,retry_after=0"
    arguments = ["serve", "--oracle", SIDES, "--port", "0", "--faults", faults]
    # in a terminal Ctrl-C is heard; where the tests run in the background it may be ignored, and a child inherits that
    heard = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)"
    command = [sys.executable, "-c", f"{heard}; from bbquery.cli import main; sys.exit(main({arguments!r}))"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            url = server.stdout.readline().split()[2].rstrip(";")
            code = explain(photo, tmp_path / "out", oracle=f"http:url={url}")
            server.send_signal(signal.SIGINT)
            _, err = server.communicate(timeout=20)
        finally:
            server.kill()

    assert code == 0
    assert server.returncode == 0
    assert err == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--faults", "chaos=1"], "known: seed, latency"),
        (["--faults", "dropped=2"], "at most 1"),
        (["--port", "99999"], "99999"),
    ],
)
def test_serve_refuses_what_it_cannot_do(capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    """Unknown faults, impossible shares and impossible ports are usage errors."""
    assert main(["serve", "--oracle", SIDES, *arguments]) == 2
    assert said in capsys.readouterr().err


def test_an_interruption_before_the_first_query_is_quiet(
    photo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C while a model is loaded ends with 130 and one line."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bbquery.commands.explain.prepared", interrupted)

    assert explain(photo, tmp_path / "out") == 130
    assert "interrupted before anything was asked" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["explain"], ["explain", "x", "--seed", "-1"], ["list", "things"]])
def test_unreadable_commands_show_the_usage(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """What cannot be parsed shows how it is written, with exit code 2."""
    with pytest.raises(SystemExit) as stop:
        main(arguments)

    assert stop.value.code == 2
    assert "usage: bbquery" in capsys.readouterr().err
