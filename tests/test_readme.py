"""README and docs/ do not rot: their commands are commands, and the set-up lines are what the checks run."""

from __future__ import annotations

import argparse
import importlib
import inspect
import re
import shlex

import pytest

from bbquery import cli, load
from bbquery.specification import parse
from tests.support.paths import ROOT

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
    """A documented command runs in a script as it stands: with a cap in dollars, --yes or --dry-run."""
    chosen = parsed(command)

    assert chosen.max_usd or chosen.yes or chosen.dry_run


def test_set_up_is_two_lines() -> None:
    """One line installs and runs the main job, one installs and passes the tests."""
    first, second = README.split("## Explain a photo")[0].split("```sh\n")[1:]

    assert first.split("\n```")[0].count("\n") == second.split("\n```")[0].count("\n") == 0
    assert first.startswith("python3 -m venv .venv && ")
    assert "bbquery explain sample:cat" in first
    assert second.startswith("python3 -m venv .venv-test && ")


def test_the_checks_run_the_readmes_own_test_line() -> None:
    """.ci/run takes the test command from the README rather than have one of its own."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")

    assert "README.md" in script
    assert "-m pytest" not in script
