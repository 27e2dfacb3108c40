"""`--help` teaches: examples first, that work as they stand, and the default of every option."""

from __future__ import annotations

import argparse
import contextlib
import shlex
from typing import TYPE_CHECKING

import pytest

from bbquery.cli import _parser, main
from bbquery.commands.parser import Parser

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ASKING = ("explain", "compare", "evaluate", "attack", "probe")
"""Commands whose examples ask a model; the others' cost nothing and are run."""
NEED_MORE = ("serve", "data", "ledger")
"""Commands whose examples do not end by themselves, fetch what a test has no use for, or need a server."""


def parsers(parser: Parser, *words: str) -> Iterator[tuple[str, Parser]]:
    """Give a parser with the words that lead to it, and those of its subcommands."""
    yield " ".join(words), parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield from parsers(inner, *words, name)


AFTER_A_RUN = ("audit status", "audit report", "audit export")
"""Commands whose examples first ask a model, and have no dry run."""


ALL = dict(parsers(_parser()))


def commands(example: str) -> list[list[str]]:
    """Return the commands of an example, as what is typed after `bbquery`."""
    lines = [shlex.split(command) for command in example.split(" && ")]
    assert all(words[0] == "bbquery" for words in lines)
    return [words[1:] for words in lines]


def help_of(words: str, width: int, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    return ALL[words].format_help()


@pytest.mark.parametrize("words", ALL, ids=lambda words: words or "bbquery")
@pytest.mark.parametrize("width", [40, 80, 200])
def test_help_begins_with_examples_as_they_are_typed(words: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first lines are two examples or more, whole and unwrapped however wide the terminal is."""
    shown = help_of(words, width, monkeypatch).split("\n")

    last = shown.index("")
    assert shown[0] == "examples:"
    assert shown[1:last] == [f"  {example}" for example in ALL[words].examples]
    assert last >= 3


@pytest.mark.parametrize("words", ALL, ids=lambda words: words or "bbquery")
def test_every_example_is_a_command_of_the_one_it_explains(words: str) -> None:
    """Each example is understood by the command line, and one command of it is the one whose help it stands in."""
    for example in ALL[words].examples:
        for typed in commands(example):
            _parser().parse_args(typed)
        assert any(typed[: len(words.split())] == words.split() for typed in commands(example))


@pytest.mark.parametrize("words", ALL, ids=lambda words: words or "bbquery")
def test_every_option_names_its_default(words: str) -> None:
    """Each option that takes a value says what holds without it: the very default, or in words how it is found."""
    formatter = ALL[words]._get_formatter()
    for action in ALL[words]._actions:
        if action.option_strings and action.nargs != 0 and not action.required:
            said = " ".join(formatter._expand_help(action).split())
            assert "(default: " in said, action.option_strings
            if action.default not in (None, argparse.SUPPRESS, "", []):
                assert f"(default: {action.default}" in said, action.option_strings


def test_a_default_that_changes_changes_in_the_help() -> None:
    """Help takes the default from the option, not from words that were typed again."""
    parser = Parser(prog="x", examples=("x",))
    parser.add_argument("--queries", type=int, default=41, help="how many")
    parser.add_argument("--log", help="where")

    assert "how many (default: 41)" in parser.format_help()
    assert "where (default: none)" in parser.format_help()


@pytest.mark.parametrize(
    "example",
    [
        example
        for words, parser in ALL.items()
        for example in parser.examples
        if words and words.split()[0] not in (*ASKING, *NEED_MORE) and words not in AFTER_A_RUN
    ],
)
def test_examples_that_ask_nothing_work_as_they_stand(
    example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In an empty folder, with an empty ledger, each ends well; what one needs, an earlier example of it makes."""
    monkeypatch.chdir(tmp_path)
    if "--oracle efficientnet-lite0" in example:  # some of whose answers are there
        main(["probe", "sample:cat", "--max-queries", "20"])
    for prepared in ("budget set audit --max-usd 20", "store export answers.jsonl"):
        main(prepared.split())

    for typed in commands(example):
        with contextlib.suppress(SystemExit) if typed == ["help", "explain"] else contextlib.nullcontext():
            assert main(typed) == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    "typed", [typed for words in ASKING for example in ALL[words].examples for typed in commands(example)], ids=" ".join
)
def test_examples_that_ask_are_ready_to_run(
    typed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Oracle, photo, target, method and caps of each are there: its dry run says what it would cost."""
    monkeypatch.chdir(tmp_path)
    if typed[0] == "evaluate":  # judges a map of the example before it
        main(["explain", "sample:cat", "--max-queries", "20", "--out", "runs/cat"])
        capsys.readouterr()

    assert main([*typed, "--dry-run"]) == 0
    assert "nothing was asked" in capsys.readouterr().out


def test_bbquery_alone_names_three_commands(capsys: pytest.CaptureFixture[str]) -> None:
    """It shows explain, probe and attack, each with a command to copy, and where to go on; exit code 2, as usage."""
    assert main([]) == 2

    said = capsys.readouterr().err
    shown = [shlex.split(line) for line in said.split("\n") if line.startswith("    bbquery ")]
    assert [words[1] for words in shown] == ["explain", "probe", "attack"]
    for words in shown:
        _parser().parse_args(words[1:])
    assert "bbquery --help" in said


def test_a_name_of_another_kind_leads_there(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever looks for an attack among the methods gets the command that shows it."""
    assert main(["list", "methods", "lr_boundary"]) == 2

    assert "'lr_boundary' is among the attacks: bbquery list attacks lr_boundary" in capsys.readouterr().err


def test_a_missing_argument_is_shown_by_example(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever types a command alone sees what it needs, and one that works."""
    with pytest.raises(SystemExit) as stop:
        main(["explain"])

    said = capsys.readouterr().err
    assert stop.value.code == 2
    assert said.startswith("usage: bbquery explain IMAGE [IMAGE ...] [options]\n")
    assert "IMAGE; for example: bbquery explain sample:cat" in said


def test_what_comes_with_an_oracle_is_listed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Templates of vendors are shown with their key, options and prices, one's own prices among them."""
    home.mkdir(exist_ok=True)
    (home / "prices.toml").write_text('[anthropic."claude-mine"]\ninput = "1"\noutput = "2.5"\n', encoding="utf-8")

    assert main(["list", "oracles", "http"]) == 0

    said = " ".join(capsys.readouterr().out.split())
    assert "@anthropic-messages Claude models of Anthropic" in said
    assert "key: ANTHROPIC_API_KEY options: model (must be given), prompt, max_tokens (1024)" in said
    assert "claude-haiku-4-5 1.00/5.00" in said
    assert "claude-mine 1.00/2.50" in said
    assert "url: http://127.0.0.1:11434 key: none" in said
    assert "price: none on this machine" in said
    assert "price: must be stated, as usd_per_query" in said
