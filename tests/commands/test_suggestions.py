"""What is misspelt on the command line is said with what was meant."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bbquery import load
from bbquery.cli import _parser, main
from bbquery.commands.listing import described
from bbquery.errors import UnknownName
from bbquery.jobs.evaluate.choice import Choice
from bbquery.ledger import caps, statements
from bbquery.ledger.accounts import Accounts


def commands(parser: argparse.ArgumentParser, *words: str) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    """Give every command with its parser, inner ones after outer ones."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield (*words, name), inner
                yield from commands(inner, *words, name)


PARSER = _parser()
ALL = dict(commands(PARSER))
OPTIONS = [
    (words, option)
    for words, parser in ALL.items()
    for option in parser._option_string_actions
    if option.startswith("--")
]


def run(chosen: argparse.Namespace) -> int:
    return int(chosen.run(chosen))


def misspelt(name: str) -> str:
    """Return a name with a letter too much before its last."""
    return f"{name[:-1]}x{name[-1]}"


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_a_misspelt_command_says_which_was_meant(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """Commands and their subcommands are said with exit code 2."""
    with pytest.raises(SystemExit) as stop:
        PARSER.parse_args([*words[:-1], misspelt(words[-1])])

    assert stop.value.code == 2
    assert f"did you mean {words[-1]!r}?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "advice"),
    [
        ("photo.jpg", "did you mean 'bbquery explain photo.jpg'?"),
        ("my photo.jpg", """did you mean "bbquery explain 'my photo.jpg'"?"""),
        ("out/report.html", "a page is opened in a browser"),
    ],
)
def test_a_file_in_place_of_a_command_says_what_to_do_with_it(
    file: str, advice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A photo is to be explained, a page to be opened."""
    with pytest.raises(SystemExit):
        PARSER.parse_args([file])

    assert advice in capsys.readouterr().err


@pytest.mark.parametrize(("words", "option"), OPTIONS, ids=str)
def test_a_misspelt_option_says_which_was_meant(
    words: tuple[str, ...], option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every option of every command, also where what is required is missing because of that."""
    with pytest.raises(SystemExit) as stop:
        PARSER.parse_args([*words, f"{misspelt(option)}=1"])

    assert stop.value.code == 2
    assert f"unknown option {misspelt(option)!r}; did you mean {option!r}?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["explain", "x", "-max-queries", "5"], "unknown option '-max-queries'; did you mean '--max-queries'?"),
        (["explain", "x", "--until", "stabel"], "argument --until: unknown 'stabel'; known: budget, stable; did you"),
        (
            ["list", "method"],
            "unknown 'method'; known: oracles, methods, attacks, scores, metrics; did you mean 'methods'?",
        ),
        (["list"], "choose one of: oracles, methods, attacks, scores"),
        (["budget"], "choose one of: show, "),
        (["store"], "choose one of: "),
        (["explain", "x", "--max-queries", "many"], "argument --max-queries: 'many' is not a whole number"),
        (["explain", "x", "--max-queries", "1.5"], "argument --max-queries: '1.5' is not a whole number"),
        (["list", "scores", "soft", "x"], "unrecognized arguments: x"),
        (["explain", "x", "--seed", "-1", "--", "--max-querys"], "'-1' is not a whole number"),
    ],
)
def test_other_typing_errors_say_what_was_typed(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Choices, a single hyphen, and what is too many; what comes after "--" is no option."""
    with pytest.raises(SystemExit):
        main(arguments)

    err = capsys.readouterr().err
    assert said in err
    assert "--max-querys" not in err


def _oracle(name: str) -> object:
    return asyncio.run(load.oracle(name))


def _metric(name: str) -> object:
    return Choice(names=(name,))


def _project(name: str) -> object:
    with Accounts() as accounts:
        accounts.write(lambda c: caps.change(c, "july-audit", {"queries": 10}, None))
        return accounts.read(lambda c: statements.find_budget(c, name))


@pytest.mark.parametrize(
    ("read", "typed", "meant"),
    [
        (_oracle, "opnai", "openai"),
        (_oracle, "efficientnt", "efficientnet"),
        (_oracle, "http:ulr=x", "url"),
        (load.method, "ries", "rise"),
        (load.method, "rise:cels=3", "cells"),
        (load.method, "rise:form=publishd", "published"),
        (load.method, "smoothgrad:estimator=orthogonl", "orthogonal"),
        (load.method, "smoothgrad:estimator.sgima=1", "sigma"),
        (load.attack, "lr_mifgms", "lr_mifgsm"),
        (load.score, "sotf", "soft"),
        (load.emulator, "htpt", "http"),
        (_metric, "infidelty", "infidelity"),
        (_project, "july-adit", "july-audit"),
        (lambda name: described("method", name), "rize", "rise"),
        (lambda name: described("oracle", name), "opnai", "openai"),
    ],
)
def test_a_misspelt_name_says_which_was_meant(read: Callable[[str], Any], typed: str, meant: str) -> None:
    """Oracles, methods, estimators, attacks, scores, protocols, metrics, projects, and options with their values."""
    with pytest.raises(UnknownName, match=f"did you mean '{meant}'\\?"):
        read(typed)


@pytest.mark.parametrize("words", [(), *ALL], ids=" ".join)
def test_help_works_as_a_word(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """`bbquery help COMMAND` shows what `bbquery COMMAND --help` does."""
    with pytest.raises(SystemExit) as stop:
        run(PARSER.parse_args(["help", *words]))
    by_word = capsys.readouterr().out
    with pytest.raises(SystemExit):
        PARSER.parse_args([*words, "--help"])

    assert stop.value.code == 0
    assert by_word == capsys.readouterr().out


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind in ("oracle", "method", "score", "attack", "metric") for name in load.names(kind)],
)
def test_help_shows_how_what_can_be_chosen_is_used(kind: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`bbquery help NAME` shows what it is and its options with their defaults."""
    assert run(PARSER.parse_args(["help", name])) == 0

    said = " ".join(capsys.readouterr().out.split())
    assert load.summary(kind, name) in said
    assert "options" in said


@pytest.mark.parametrize("name", load.names("metric"))
def test_help_on_a_metric_says_what_it_needs_and_measures(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every number is named with its unit and its better direction, and every need in words; the kind may be said."""
    assert run(PARSER.parse_args(["help", "metric", name])) == 0

    said, metric = capsys.readouterr().out, load.metric(name)
    assert all(f"  {each.name}: {each.unit}, {each.better} is better" in said for each in metric.quantities)
    assert said.count("\n  ", said.index("\nneeds:")) == 1 + len(metric.needs)


def test_help_on_nothing_known_says_what_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    """A word that names nothing is a usage error."""
    assert main(["help", "explian"]) == 2
    assert "did you mean 'explain'?" in capsys.readouterr().err
