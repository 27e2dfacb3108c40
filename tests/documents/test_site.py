"""The site: it builds without a warning, and its pages load nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from tests.support.documents import PAGES
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow
LOADING = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "object": "data",
}
STYLES = {"stylesheet", "icon", "preload", "modulepreload", "preconnect", "dns-prefetch", "manifest"}
REMOTE = re.compile(r"^\s*(?:[a-z]+:)?//", re.IGNORECASE)


class Loaded(HTMLParser):
    """Collects the addresses of what a page loads by itself; links that a reader follows are none."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        loads = tag in LOADING or (tag == "link" and STYLES & set((found.get("rel") or "").split()))
        self.addresses += [
            value for name in (LOADING.get(tag, "href"), "srcset") if loads and (value := found.get(name))
        ]
        self.addresses += of_style(found.get("style") or "")


def of_style(text: str) -> list[str]:
    """Return the addresses that a style sheet loads."""
    return [*re.findall(r"url\(\s*[\"']?([^\"')]+)", text), *re.findall(r"@import\s+[\"']([^\"']+)", text)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site as a person does; the build must be silent but for its progress."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},  # the theme's advertisement of another program
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    assert [line for line in built.stderr.splitlines() if not line.startswith("INFO ")] == []
    return folder


def test_every_document_is_a_page(site: Path) -> None:
    """Whatever is in docs/ is on the site, and its navigation leads there."""
    home = (site / "index.html").read_text(encoding="utf-8")

    for page in PAGES:
        if page.is_relative_to(ROOT / "docs") and page.stem != "index":
            address = page.relative_to(ROOT / "docs").with_suffix("").as_posix() + "/"
            assert (site / address / "index.html").is_file()
            assert f'href="{address}"' in home


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    """A reader's browser asks the site alone: no script, style, picture or font of another host."""
    remote = {}
    for page in site.rglob("*.html"):
        loaded = Loaded()
        loaded.feed(page.read_text(encoding="utf-8"))
        remote[page] = loaded.addresses
    for style in site.rglob("*.css"):
        remote[style] = of_style(style.read_text(encoding="utf-8"))

    assert sum(map(len, remote.values())) > 100
    assert {address for each in remote.values() for address in each if REMOTE.match(address)} == set()


def test_the_command_line_is_there_in_full(site: Path) -> None:
    """The reference has every command, and every option of each."""
    page = (site / "command_line" / "index.html").read_text(encoding="utf-8")

    for command in ("bbquery explain", "bbquery attack", "bbquery budget reconcile", "bbquery store verify"):
        assert f"<code>{command}</code>" in page
    assert "--max-usd-per-image" in page


def test_pages_are_found_by_what_they_say(site: Path) -> None:
    """The search works from the site's own index."""
    index = (site / "search" / "search_index.json").read_text(encoding="utf-8")

    assert "Stop and resume" in index
