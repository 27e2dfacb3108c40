"""README and docs/ do not rot: their commands are commands, and the set-up lines are what the checks run."""

from __future__ import annotations

import argparse
import importlib
import inspect
import re
import shlex
from typing import TYPE_CHECKING

import pytest

from bbquery import cli, load
from bbquery.specification import parse
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
LINES = [line for block in BLOCKS for line in block.replace("\\\n", " ").splitlines()]
COMMANDS = [found[0] for line in LINES if (found := re.findall(r"(?:^|\s)(bbquery .*)", line.split(" &&")[-1]))]

DOCUMENTED = [
    found[0]
    for page in (ROOT / "docs").glob("*.md")
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
    if (found := re.findall(r"(?:^|\s)(bbquery .*)", line.split(" &&")[-1]))
]


def parsed(command: str) -> argparse.Namespace:
    return cli._parser().parse_args(shlex.split(command.replace("explain … ", "explain x "), comments=True)[1:])


@pytest.mark.parametrize("command", [*COMMANDS, *DOCUMENTED])
def test_every_command_can_be_typed(command: str) -> None:
    """Each command line is understood, and each oracle it names takes the options it gives."""
    chosen = parsed(command)

    asked = getattr(chosen, "oracle", None)  # of 'store' it is a list of names
    name, options = parse(asked if isinstance(asked, str) else "efficientnet")
    connect = importlib.import_module(load.names("oracle")[name]).connect
    assert set(options) <= set(inspect.signature(connect).parameters)


def paying(command: str) -> bool:
    """Whether a command asks an oracle that may cost money."""
    chosen = parsed(command)
    if not isinstance(getattr(chosen, "oracle", None), str) or not hasattr(chosen, "yes"):
        return False
    name, options = parse(chosen.oracle)
    free = name == "http" and "127.0.0.1" in options["url"] and "usd_per_query" not in options
    return name in ("openai", "google_vision", "http") and not free and options.get("usd_per_query") != "0"


@pytest.mark.parametrize("command", [each for each in (*COMMANDS, *DOCUMENTED) if paying(each)])
def test_what_costs_money_is_agreed_to(command: str) -> None:
    """A documented command runs in a script as it stands: a cap in dollars, also its project's, --yes or --dry-run."""
    chosen = parsed(command)

    assert chosen.max_usd or chosen.project or chosen.yes or chosen.dry_run


def test_set_up_is_two_lines() -> None:
    """One line installs and runs the main job, one installs and passes the tests."""
    first, second = README.split("## In five commands")[0].split("```sh\n")[1:]

    assert first.split("\n```")[0].count("\n") == second.split("\n```")[0].count("\n") == 0
    assert first.startswith("python3 -m venv .venv && ")
    assert "bbquery explain sample:cat" in first
    assert second.startswith("python3 -m venv .venv-test && ")


def test_the_checks_run_the_readmes_own_test_line() -> None:
    """.ci/run takes the test command from the README rather than have one of its own."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")

    assert "README.md" in script
    assert "-m pytest" not in script


STEPS = README.split("## In five commands")[1].split("\n## ")[0]


def test_it_is_read_in_a_few_minutes() -> None:
    """At most 120 lines, and five steps, one after the other."""
    assert README.count("\n") <= 120
    assert re.findall(r"^\*\*(\d)\. ", STEPS, re.MULTILINE) == list("12345")


def test_the_five_steps_work_as_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """In their order, with what the set-up line installs and no key: photo, oracle, target and project are there.

    What would ask a model says what it would cost; what asks nothing is done.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    typed = [
        shlex.split(line)[1:]
        for block in re.findall(r"```sh\n(.*?)```", STEPS, re.DOTALL)
        for line in block.splitlines()
    ]

    assert [words[0] for words in typed] == ["explain", "explain", "budget", "explain", "explain", "attack"]
    for words in typed:
        dry = ["--dry-run"] if words[0] in ("explain", "attack") and "--dry-run" not in words else []
        assert cli.main([*words, *dry]) == 0, words


def test_its_figures_are_those_of_the_league() -> None:
    """The table has the means of docs/league.md, of 100 photos each, and the claims beside it are there too."""
    league = (ROOT / "docs" / "league.md").read_text(encoding="utf-8")
    measured = league.split("## Photos under EfficientNet-Lite0")[1].split("### SRG\n")[1]
    rows = {
        cells[0]: cells[1:]
        for line in measured.strip().split("\n\n")[0].splitlines()
        if (cells := [cell.strip() for cell in line.strip("|").split("|")])
    }
    columns = ["designed, without detail", "LIME", "KernelSHAP", "Partition/Owen", "RISE, published"]
    queries = rows["method"]
    for line in re.findall(r"^\| [\d,]+ \|.*$", README, re.MULTILINE):
        at, *cells = [cell.strip(" *") for cell in line.strip("|").split("|")]
        place = queries.index(at.replace(",", ""))
        for method, cell in zip(columns, cells, strict=True):
            found = rows[method][place]
            assert found.startswith(f"0{cell} [") if cell else found == "–", (at, method)
            assert rows[method][0] == "100"
    for claim in ("+0.003 [-0.018, +0.024]", "**+0.073 [+0.051, +0.096]** | 100 | 1.18 |"):
        assert claim in measured
