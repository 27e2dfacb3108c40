"""The documents, and the code blocks in them, as Sybil finds them."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, NamedTuple

from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser, SkipParser

from tests.support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sybil import Example
    from sybil.document import Document

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
"""What users read. `CONTRIBUTING.md`, whose commands build and release, is checked in `tests/test_documents.py`."""
LANGUAGES = ("sh", "python", "toml", "csv", "json", "text")
"""Those that a block may have. The first two are run; of the others, a block that names its file is written to it."""


def named(page: Path) -> str:
    """Return a page's path in the repository."""
    return page.relative_to(ROOT).as_posix()


def parsed(page: Path, evaluate: Callable[[Example], None] | None = None) -> Document:
    """Return a page with its blocks in order, those in comments (`invisible-code-block: LANGUAGE`) too.

    A block below the comment `<!-- skip: next "REASON" -->` is not evaluated.
    """
    blocks = [CodeBlockParser(language, evaluate or _nothing) for language in LANGUAGES]
    return Sybil(parsers=[*blocks, SkipParser()]).parse(page)


def _nothing(_: Example) -> None:
    """Evaluate no block."""


def language_of(example: Example) -> str | None:
    """Return the language of a block; None of what is no block."""
    found = example.region.lexemes.get("arguments")
    return None if found is None else str(found)


def blocks_of(page: Path, language: str) -> list[str]:
    """Return the blocks of one language, in order."""
    return [str(example.parsed) for example in parsed(page) if language_of(example) == language]


class Command(NamedTuple):
    """A command of a page. codes: what it may end with; a comment on its line names others than 0 (`exit code 4`)."""

    words: list[str]
    codes: frozenset[int]


def commands(block: str) -> list[Command]:
    """Return the commands of a block of a shell, in order."""
    found = []
    for line in block.replace("\\\n", " ").splitlines():
        codes = frozenset({0, *map(int, re.findall(r"exit code (\d+)", line.partition("#")[2]))})
        parts = [shlex.split(part, comments=True) for part in line.split(" && ")]
        found += [Command(words, codes) for words in parts if words]
    return found
