"""`bbquery audit init`: a plan file from options, or from a few questions on a terminal."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bbquery import load
from bbquery.commands import audit_prospect
from bbquery.commands.output import say
from bbquery.errors import NotWritten, UsageError
from bbquery.images import samples
from bbquery.jobs.audit.draft import Draft
from bbquery.jobs.audit.prospect import prospect
from bbquery.jobs.audit.reading import draft_of
from bbquery.jobs.defaults import DEFAULT_METHOD
from bbquery.jobs.request import DEFAULT_ORACLE
from bbquery.ledger.records import Cap
from bbquery.shown import shown

ABOUT = """Write a commented plan of an audit, from options, or on a terminal from a few questions. The plan is checked
and what it would cost is shown before it is written; nothing is asked of a model, and no file is ever overwritten."""
EXAMPLES = (
    "bbquery audit init --photos sample:cat sample:rocket --name first",
    "bbquery audit init shop.toml --photos sample:cat --oracle efficientnet --attack hsja --max-queries 5000",
)
DEFAULT_FILE = Path("plan.toml")
PHOTOS = "photos, folders, patterns in quotes, or CSV files of photo,label,box; without it, a terminal is asked"
ORACLE = f"a model to ask; several by several --oracle (default: {DEFAULT_ORACLE})"
NO = ("", "n", "no")


def add(kinds: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare it."""
    init = kinds.add_parser("init", help="write a commented plan", description=ABOUT, examples=EXAMPLES)
    init.set_defaults(run=_init)
    init.add_argument(
        "file", nargs="?", type=Path, default=Path(DEFAULT_FILE), metavar="FILE", help="where to write it"
    )
    init.add_argument("--photos", nargs="+", metavar="PHOTO", help=PHOTOS)
    init.add_argument("--oracle", action="append", dest="oracles", metavar="NAME[:key=value,…]", help=ORACLE)
    init.add_argument("--name", help="of the audit's budgets and folder (default: that of FILE)")
    init.add_argument("--target", metavar="LABEL", help="what to explain (default: the top class)")
    init.add_argument("--method", default=DEFAULT_METHOD, metavar="NAME[:key=value,…]", help="how to explain")
    init.add_argument("--attack", metavar="NAME[:key=value,…]", help="an attack to try")
    init.add_argument("--max-queries", type=int, metavar="N", help="cap of the whole audit")
    init.add_argument("--max-usd", metavar="X", help="cap of the whole audit, in dollars")


def _init(chosen: argparse.Namespace) -> int:
    file: Path = chosen.file
    if file.exists():
        raise UsageError(f"{file} is there already, and is not overwritten: name another file")
    if chosen.photos is None:
        _ask(chosen)
    draft = _draft(chosen)
    text = draft.text(shown(shlex.quote(str(file))))
    found = asyncio.run(prospect(draft_of(text, file)))  # before it is written: what is written can be run
    _write(file, text)
    say(*audit_prospect.lines(found), "", f"written: {file}; edit it, then: bbquery audit {shlex.quote(str(file))}")
    return 0


def _draft(chosen: argparse.Namespace) -> Draft:
    Cap.stated(chosen.max_queries, None, chosen.max_usd)
    folder = Path(os.path.realpath(chosen.file)).parent
    photos = tuple(_from(folder, photo) for photo in chosen.photos)
    name = chosen.name or re.sub(r"[^A-Za-z0-9._-]+", "-", chosen.file.stem).strip("-._") or "audit"
    draft = Draft(
        name=name, photos=photos, oracles=tuple(chosen.oracles or [DEFAULT_ORACLE]), target=chosen.target,
        method=chosen.method, attack=chosen.attack, max_queries=chosen.max_queries, max_usd=chosen.max_usd,
    )  # fmt: skip
    return replace(draft, outside=any(photo.startswith("..") or Path(photo).is_absolute() for photo in photos))


def _from(folder: Path, photo: str) -> str:
    """Return a photo's path as from the plan's folder; it was typed as from the current one."""
    if photo.startswith(samples.PREFIX):
        return photo
    path = os.path.relpath(os.path.realpath(photo), folder)
    return Path(path).as_posix() + ("/" if Path(photo).is_dir() else "")


def _write(file: Path, text: str) -> None:
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError as error:
        raise UsageError(f"{file} is there already, and is not overwritten: name another file") from error
    except OSError as error:
        raise NotWritten(f"cannot write {file} ({error.strerror})") from error


def _ask(chosen: argparse.Namespace) -> None:
    """Ask a person for what was not typed.

    Raises:
        UsageError: nobody is there to be asked.
    """
    if not sys.stdin.isatty():
        raise UsageError("say which photos: --photos FOLDER; on a terminal, a few questions are asked")
    say("A plan needs photos and a model; the rest may stay empty. Everything can be changed in the file.")
    chosen.photos = _several("Photos (files, folders, patterns; several with spaces between): ")
    chosen.oracles = chosen.oracles or _oracles()
    chosen.target = chosen.target or _answer("What to explain (empty: the top class): ") or None
    if chosen.attack is None and _answer("Look for adversarial images too? [y/N] ").lower() not in NO:
        chosen.attack = _answer("Which attack (empty: lr_boundary): ") or "lr_boundary"
    chosen.max_usd = chosen.max_usd or _answer("Most dollars for the whole audit (empty: no cap): ").lstrip("$") or None


def _oracles() -> list[str]:
    known, oracles = ", ".join(load.names("oracle")), list[str]()
    say(f"Models: {known}; with options as NAME:key=value, see 'bbquery list oracles'.")
    while one := _answer(f"Model to ask (empty: {'no more' if oracles else DEFAULT_ORACLE}): "):
        oracles.append(one)
    return oracles or [DEFAULT_ORACLE]


def _several(question: str) -> Sequence[str]:
    try:
        found = shlex.split(_answer(question))
    except ValueError as error:
        raise UsageError(f"a quotation mark has no second one: {error}") from error
    if not found:
        raise UsageError("no photo was named, so nothing was written")
    return found


def _answer(question: str) -> str:
    try:
        return input(question).strip()
    except EOFError:
        return ""
