"""Reference of the command line and of what can be chosen, read from the program itself when the site is built."""

from __future__ import annotations

import argparse
import json
from html import escape
from typing import TYPE_CHECKING, Any

import msgspec

from bbquery import cli, load
from bbquery.commands.listing import KINDS
from bbquery.jobs.audit.expected import words
from bbquery.jobs.audit.structure import tables
from bbquery.option_docs import about, lines_of, options_of
from bbquery.options import parameters_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

    from bbquery.commands.parser import Parser


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - as called
    """Add what the program says to the pages that introduce it."""
    pages = {"command_line.md": _command_line, "choices.md": _choices}
    made = pages.get(page.file.src_uri)
    return markdown if made is None else "\n\n".join([markdown, *made()])


def _command_line() -> Iterator[str]:
    for parser in _commands(cli._parser()):
        yield f"## `{parser.prog}` {{#{parser.prog.replace(' ', '-')}}}"
        yield "```text\n" + "\n".join(parser.examples) + "\n```"
        yield escape(parser.description or "")
        yield "\n".join(_options(parser))


def _commands(parser: Parser) -> Iterator[Parser]:
    """Yield each parser that has no commands below it."""
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        yield parser
    for action in below:
        for each in action.choices.values():
            yield from _commands(each)


def _options(parser: Parser) -> Iterator[str]:
    formatter = parser._get_formatter()  # which writes defaults and choices as --help does
    for action in parser._actions:
        if action.help != argparse.SUPPRESS:
            said = formatter._expand_help(action)
            yield f"- `{formatter._format_action_invocation(action)}`: {escape(' '.join(said.split()))}"


def plan_tables() -> Iterator[str]:
    """Give every table of a plan of an audit, as Markdown."""
    for name, table in tables():
        yield f"## {name if name.startswith('[') else name.capitalize()}"
        yield escape(about(table), quote=False)
        lines = lines_of(table)
        rows = [_key(field, lines[field.name]) for field in msgspec.structs.fields(table)]
        yield "\n".join(["| key | value | default | |", "|---|---|---|---|", *rows])


def _key(field: Any, line: str) -> str:
    plain = field.default is not msgspec.NODEFAULT and not isinstance(field.default, msgspec.Struct)
    default = "must be given" if field.required else ""
    if plain and field.default not in (None, ()):
        default = f"`{json.dumps(field.default)}`"
    return _cells(
        f"`{field.encode_name}`",
        escape(words(msgspec.inspect.type_info(field.type)), quote=False),
        default,
        escape(line, quote=False),
    )


def _choices() -> Iterator[str]:
    for kind in KINDS:
        yield f"## {kind.capitalize()}"
        for name in load.names(kind.removesuffix("s")):
            yield f"### `{name}`, {_article(kind)} {{#{kind.removesuffix('s')}-{name.replace('_', '-')}}}"
            yield from _choice(load.made(kind.removesuffix("s"), name))


def _article(kind: str) -> str:
    return f"{'an' if kind[0] in 'ao' else 'a'} {kind.removesuffix('s')}"


def _choice(made: Any) -> Iterator[str]:
    yield escape(about(made))
    options = options_of(made, parameters_of(made), load.specification_of)
    if options:
        yield "\n".join(["| option | type | default | |", "|---|---|---|---|", *map(_row, options)])


def _row(option: Any) -> str:
    default = "must be given" if option.default is None else f"`{option.default}`" if option.default else ""
    said = " ".join(filter(None, (option.line, option.range and f"Range: {option.range}.")))
    return _cells(f"`{option.name}`", option.type, default, escape(said))


def _cells(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"
