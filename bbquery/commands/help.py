"""`bbquery help`: how to use a command; of what can be chosen, what `bbquery list` says."""

from __future__ import annotations

import argparse

from bbquery import load
from bbquery.commands.listing import described
from bbquery.commands.output import say
from bbquery.errors import UnknownName

EXAMPLES = ("bbquery help explain", "bbquery help rise")
KINDS = ("oracle", "method", "score", "attack", "metric")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser], parser: argparse.ArgumentParser) -> None:
    """Declare the command. parser: the one that has all commands."""
    about = "show how a command is used, or what a name is"
    helps = commands.add_parser("help", help=about, examples=EXAMPLES)
    helps.set_defaults(run=_help, parser=parser, commands=tuple(commands.choices))
    helps.add_argument(
        "words",
        nargs="*",
        metavar="NAME",
        help="a command, such as explain or budget show; or a name of 'bbquery list', such as rise or metric srg",
    )


def _help(chosen: argparse.Namespace) -> int:
    words: list[str] = chosen.words
    if not words or words[0] in chosen.commands:
        chosen.parser.parse_args([*words, "--help"])  # which prints it and exits
    kinds, name = _meant(words)
    if not kinds:
        raise UnknownName("name", name, [*chosen.commands, *(name for kind in KINDS for name in load.names(kind))])
    for kind in kinds:
        say(f"{name}, {'an' if kind[0] in 'ao' else 'a'} {kind}:", *described(kind, name), "")
    return 0


def _meant(words: list[str]) -> tuple[list[str], str]:
    """Return the kinds of what is named, and its name: `srg`, `metric srg` for one kind alone, `art:HopSkipJump`."""
    if len(words) == 2 and words[0] in KINDS and words[1] in load.names(words[0]):
        return words[:1], words[1]
    name = " ".join(words)
    if load.is_of_library(name):
        return ["attack"], name
    return [kind for kind in KINDS if name in load.names(kind)], name
