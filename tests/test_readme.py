"""The README does not rot: its commands are commands, its set-up lines are what the checks run."""

from __future__ import annotations

import argparse
import importlib
import inspect
import re
import shlex
from pathlib import Path

import pytest

from bbquery import cli, load

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
LINES = [line for block in BLOCKS for line in block.replace("\\\n", " ").splitlines()]
COMMANDS = [found[0] for line in LINES if (found := re.findall(r"(?:^|\s)(bbquery .*)", line.split(" &&")[-1]))]


def parsed(command: str) -> argparse.Namespace:
    return cli._parser().parse_args(shlex.split(command.replace("explain … ", "explain x "), comments=True)[1:])


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_can_be_typed(command: str) -> None:
    """Each command line is understood, and each oracle it names takes the options it gives."""
    chosen = parsed(command)

    name, options = load.parse(getattr(chosen, "oracle", None) or "efficientnet")
    connect = importlib.import_module(load.names("oracle")[name]).connect
    assert set(options) <= set(inspect.signature(connect).parameters)


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


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#:]+)\)", README))
def test_every_link_leads_somewhere(link: str) -> None:
    """Files that the README points to are there."""
    assert (ROOT / link).exists()
