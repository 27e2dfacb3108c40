"""The Python call that a page shows beside the command."""

from __future__ import annotations

import argparse
import ast
import inspect
from typing import Any

import pytest

import bbquery
from bbquery.cli import _parser
from bbquery.report.pages import repeat


@pytest.mark.parametrize(
    ("typed", "call"),
    [
        ("explain cat.png --max-queries 9 --yes --out x", "explain('cat.png', max_queries=9)"),
        ("explain cat.png --max-usd=1.5 --verify 8", "explain('cat.png', max_usd='1.5', verify=8)"),
        (r"explain cat.png --target cat,a\,b", "explain('cat.png', target=['cat', 'a,b'])"),
        ("explain --target cat -- -cat.png", "explain('-cat.png', target='cat')"),
        ("compare cat.png --methods rise,lime --evaluate", "compare('cat.png', methods='rise,lime', evaluate=True)"),
        ("evaluate map.npy cat.png --steps 4", "evaluate('map.npy', 'cat.png', steps=4)"),
        ("attack a.png --oracle o --rmse .1,1 --max-queries 9", "attack('a.png', oracle='o', rmse=[.1, 1], max_queries=9)"),  # noqa: E501
        ("probe cat.png --score hard", "probe('cat.png', score='hard')"),
    ],
)  # fmt: skip
def test_a_command_becomes_a_call_with_the_same_arguments(typed: str, call: str) -> None:
    """Every option has its argument, and the public function takes them."""
    said = repeat.python_call(["bbquery", *typed.split()])

    assert said == f"import bbquery\n\nfound = bbquery.{call}"
    parsed = ast.parse(call, mode="eval").body
    assert isinstance(parsed, ast.Call)
    named: dict[str, Any] = {each.arg or "": None for each in parsed.keywords}
    inspect.signature(getattr(bbquery, typed.split(maxsplit=1)[0])).bind(*parsed.args, **named)


@pytest.mark.parametrize("typed", ["explain a.png b.png", "evaluate m.npy a.png --box 0,0,1,1", "budget show", ""])
def test_what_has_no_call_has_none(typed: str) -> None:
    """Several photos, an option without an argument, another command: nothing is shown rather than half of it."""
    assert repeat.python_call(["bbquery", *typed.split()]) == ""


def test_it_knows_which_options_take_no_value() -> None:
    """The list of switches is that of the command line, or else a value would be taken for a photo."""
    commands = next(each for each in _parser()._actions if isinstance(each, argparse._SubParsersAction))
    actions = [action for name in repeat.POSITIONAL for action in commands.choices[name]._actions]
    switches = {option for action in actions if action.nargs == 0 for option in action.option_strings}

    assert {each for each in switches if each.startswith("--")} - {"--help"} == repeat.FLAGS
