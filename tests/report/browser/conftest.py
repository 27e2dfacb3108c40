"""The system's Chromium, and a page of each kind in a folder."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

from tests.report.browser.site import SITE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Page

    Open = Callable[..., Page]

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="package")
def executable() -> str:
    """The system's browser."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no browser is installed: none of {', '.join(NAMES)} is on the PATH")
    return found


@pytest.fixture(scope="package")
def site(executable: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a page of each kind; see `SITE`."""
    folder = tmp_path_factory.mktemp("site")
    for name, write in SITE.items():
        write(folder / name)
    return folder


@pytest.fixture(scope="package")  # not the session: an event loop runs in this thread as long as this lasts
def browser(executable: str, site: Path) -> Iterator[Browser]:  # after the site, whose runs need a loop of their own
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="package")
def contexts(browser: Browser) -> dict[bool, BrowserContext]:
    """A context with scripts, and one without: to make one takes longer than to open a page in it."""
    return {scripts: browser.new_context(java_script_enabled=scripts) for scripts in (True, False)}


@pytest.fixture
def opened(contexts: dict[bool, BrowserContext], site: Path) -> Iterator[Open]:
    """Open a page of the site; at the end see that none had an error, or asked for anything."""
    faults: list[str] = []
    pages = []

    def open_page(name: str, *, width: int = 1280, scripts: bool = True) -> Page:
        page = contexts[scripts].new_page()
        pages.append(page)
        page.set_viewport_size({"width": width, "height": 800})
        page.on("console", lambda said: faults.append(f"console: {said.text}"))
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on("request", lambda asked: None if _own(asked.url) else faults.append(asked.url))
        page.goto((site / name).as_uri())
        return page

    yield open_page
    for page in pages:
        page.close()
    assert faults == []


def _own(url: str) -> bool:
    return url.startswith(("file:", "data:"))
