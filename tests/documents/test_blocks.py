"""What the documents tell readers to type is typed, and does what they say: without an error."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING
from unittest import SkipTest

import pytest

from tests.support import drawing
from tests.support.documents import LANGUAGES, PAGES, language_of, named, parsed
from tests.support.reader import Reader

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow
FENCE = re.compile(r"^ *```", re.MULTILINE)
RUN = [page for page in PAGES if any(language_of(example) in ("sh", "python") for example in parsed(page))]


@pytest.mark.parametrize("page", RUN, ids=named)
def test_a_page_can_be_followed(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command and every Python block of a page runs, in their order, but those that say why not."""
    drawing.make_blank(monkeypatch)
    folder = tmp_path / "work"
    folder.mkdir()
    with contextlib.ExitStack() as servers:
        reader = Reader(folder, monkeypatch, servers)
        followed = 0
        for example in parsed(page, reader.follow):
            with contextlib.suppress(SkipTest):
                example.evaluate()
                followed += 1

    assert followed, "nothing of it was run"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_block_says_what_it_is(page: Path) -> None:
    """No block escapes the tests by having no language, or one that they do not know."""
    shown = [
        example for example in parsed(page) if language_of(example) and example.document.text[example.start] != "<"
    ]

    assert len(FENCE.findall(page.read_text(encoding="utf-8"))) == 2 * len(shown), f"one of {LANGUAGES} on each block"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_what_is_not_run_says_why(page: Path) -> None:
    """A block that is left out has its reason beside it."""
    skips = [example.parsed for example in parsed(page) if language_of(example) is None]

    assert [action for action, reason in skips if action != "end" and not reason] == []
