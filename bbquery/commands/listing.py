"""`bbquery list`: what can be chosen, and of one of them what it is and every option."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from typing import TYPE_CHECKING, Any

from bbquery import load
from bbquery.commands.output import say, warn
from bbquery.commands.parser import WIDEST
from bbquery.errors import UsageError
from bbquery.metrics import NEEDS
from bbquery.option_docs import about, options_of
from bbquery.options import parameters_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bbquery.option_docs import OptionDoc

KINDS = ("oracles", "methods", "attacks", "scores", "metrics")
EXAMPLES = ("bbquery list methods", "bbquery list methods rise")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    listing = commands.add_parser("list", help="show what can be chosen, or the options of one", examples=EXAMPLES)
    listing.set_defaults(run=_list)
    listing.add_argument("kind", choices=KINDS, metavar="KIND", help=f"what to list: {', '.join(KINDS)}")
    listing.add_argument("name", nargs="?", metavar="NAME", help="one of them, to show what it is and its options")


def _list(chosen: argparse.Namespace) -> int:
    kind = chosen.kind.removesuffix("s")
    if chosen.name is not None:
        _refuse_other_kinds(kind, chosen.name)
        say(*described(kind, chosen.name))
        return 0
    known = load.summaries(kind)
    width = max(map(len, known))
    say(*(f"{name:{width}}  {summary}" for name, summary in known.items()))
    warn(f"what one is, and its options: bbquery list {chosen.kind} NAME")
    return 0


def _refuse_other_kinds(kind: str, name: str) -> None:
    """Refuse a name of another kind, with the command that was meant."""
    others = [other for other in KINDS if other != f"{kind}s" and name in load.names(other.removesuffix("s"))]
    if others and name not in load.names(kind):
        raise UsageError(f"{name!r} is among the {others[0]}: bbquery list {others[0]} {name}")


def described(kind: str, name: str) -> list[str]:
    """Return what something that can be chosen is, and its options, in lines as wide as the terminal allows.

    Raises:
        UnknownName: there is none of this name. MissingExtra: an optional part is absent.
    """
    if kind == "attack" and load.is_of_library(name):
        what, parameters = load.described_by_library(name)
        return [*what.split("\n"), "", *_options(options_of(_without_docs, parameters, load.specification_of))]
    made = load.made(kind, name)
    options = options_of(made, parameters_of(made), load.specification_of)
    lines = [*_wrapped(load.summary(kind, name)), "", *_paragraphs(about(made)), *_options(options)]
    lines += _templates(load.templates(kind, name))
    return [*lines, *_measured(made)] if kind == "metric" else lines


def _without_docs() -> None:
    """Stand for what another library documents in its own way."""


def _options(options: list[OptionDoc]) -> list[str]:
    """Return options, of each a line with its type, default and range, and what it does below."""
    width = max((len(each.name) for each in options), default=0)
    lines = ["options:" if options else "no options"]
    for each in options:
        default = "must be given" if each.default is None else f"default {each.default}"
        facts = "; ".join(filter(None, (each.type, each.range, default)))
        lines += _wrapped(f"{each.name:{width}}  {facts}", "  ", " " * (width + 4))
        lines += _wrapped(each.line, " " * (width + 4))
    return lines


def _templates(named: Mapping[str, list[str]]) -> list[str]:
    """Return templates, of each its name and what it is, and the rest below."""
    lines = ["", "templates that come with bbquery:"] if named else []
    for name, (first, *others) in named.items():
        lines += _wrapped(f"{name}  {first}", "  ", " " * 6)
        lines += [line for other in others for line in _wrapped(other, " " * 6, " " * 8)]
    return lines


def _paragraphs(text: str) -> list[str]:
    """Return paragraphs in lines, an empty one after each; lists stay as they are written."""
    found = [
        part.split("\n") if "\n- " in f"\n{part}" else _wrapped(" ".join(part.split())) for part in text.split("\n\n")
    ]
    return [line for lines in found for line in (*lines, "")]


def _wrapped(text: str, first: str = "", others: str | None = None) -> list[str]:
    width = min(shutil.get_terminal_size().columns, WIDEST)
    wrapper = textwrap.TextWrapper(max(width, 40), first, break_on_hyphens=False, break_long_words=False)
    wrapper.subsequent_indent = first if others is None else others
    return wrapper.wrap(text)


def _measured(made: Any) -> list[str]:
    """Return what a class of metrics measures and needs, a line each."""
    numbers = [f"  {each.name}: {each.unit}, {each.better} is better; {each.chance}" for each in made.quantities]
    needs = ["  a map", *(f"  {NEEDS[need]}" for need in made.needs)]
    return ["", "measures:", *numbers, "", "needs:", *needs]
