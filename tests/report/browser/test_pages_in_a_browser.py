"""Every kind of page in a browser: it loads, fits a phone, is whole without scripts, and lets no label do anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.report.browser.site import HOSTILE, SITE

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.report.browser.conftest import Open

pytestmark = pytest.mark.slow

TOUCHING = """() => [...document.querySelectorAll("table.figures thead tr")].flatMap(row => {
  if (!row.getClientRects().length) return [];
  const words = [...row.cells].map(cell => { const r = document.createRange(); r.selectNodeContents(cell); return r; });
  const places = words.map(range => range.getBoundingClientRect());
  return words.slice(1).filter((_, i) => places[i + 1].left - places[i].right < 4).map(String);
})"""
"""Heads of columns that are seen and run into the one before, less than 4 pixels away."""

A4 = 718  # pixels between the margins that Chromium leaves

pages = pytest.mark.parametrize("name", SITE)


@pages
def test_a_page_fits_a_phone_and_no_label_is_obeyed(opened: Open, name: str) -> None:
    """At 390 pixels nothing is wider than the screen; a label that is markup stands there as text; nothing is asked."""
    page = opened(name, width=390)

    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate(TOUCHING) == []
    assert page.title() != "broken"
    assert page.locator("img[src=x]").count() == 0
    if name.startswith(("good", "many")):
        assert page.get_by_text(HOSTILE).first.is_visible()


def test_a_drawing_is_large_enough_to_read_on_a_phone(opened: Open) -> None:
    """Its words are not shrunk to the screen: it is moved sideways, by keys too; on paper all of it is there."""
    page = opened("probe/report.html", width=390)
    drawing = page.locator(".drawing")

    drawing.focus()

    assert drawing.evaluate("each => each.scrollWidth") >= 700
    assert drawing.evaluate("each => document.activeElement === each")
    page.emulate_media(media="print")
    assert drawing.evaluate("each => each.scrollWidth <= each.clientWidth")


@pages
def test_whoever_sees_poorly_can_read_it(opened: Open, name: str) -> None:
    """Contrast, names of controls, alternative texts, headings in order: no fault of any weight, light and dark."""
    page = opened(name)

    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page).response["violations"]
        assert [(each["id"], node["html"]) for each in found for node in each["nodes"]] == [], scheme


@pages
def test_without_scripts_all_is_there(opened: Open, name: str) -> None:
    """Photo and map are both seen, every row is listed, and no control that does nothing is shown."""
    page = opened(name, scripts=False)

    images = page.locator("main img").all()
    assert images
    assert all(image.is_visible() for image in images)
    assert all(row.is_visible() for row in page.locator("tbody tr").all())
    assert not any(control.is_visible() for control in page.locator("input, select, button").all())


@pages
def test_it_prints(opened: Open, name: str) -> None:
    """On paper there are no controls, both pictures are there, the details are open, and no table is cut off."""
    page = opened(name, width=A4)

    assert page.pdf().startswith(b"%PDF")
    page.emulate_media(media="print")

    assert not any(control.is_visible() for control in page.locator("input, select").all())
    assert page.locator("details:not([open])").count() == 0
    assert page.evaluate("Math.max(0, ...[...document.querySelectorAll('table')].map(each => each.offsetWidth))") <= A4
    assert {clip_of(page, place) for place in range(page.locator(".slider").count())} <= {"none"}


def clip_of(page: Page, slider: int = 0) -> str:
    """Return how much of a map is cut off."""
    image = page.locator(".slider").nth(slider).locator("figure + figure img")
    return str(image.evaluate("image => getComputedStyle(image).clipPath"))


def test_the_slider_leads_from_map_to_photo(opened: Open) -> None:
    """First all of the map is seen; at the left end all of the photo; the keyboard moves it."""
    page = opened("good/report.html")
    slider = page.get_by_role("slider")

    clips = []
    for key in ("End", "Home", "ArrowRight"):
        slider.press(key)
        clips.append(clip_of(page))

    assert clips == ["inset(0px 0% 0px 0px)", "inset(0px 100% 0px 0px)", "inset(0px 99% 0px 0px)"]


def names_of(page: Page) -> list[str]:
    """Return the names of the rows that are seen, from top to bottom."""
    rows = page.locator("table.rows tbody tr").all()
    return [row.locator("th").inner_text().split()[0] for row in rows if row.is_visible()]


def test_rows_are_sorted_by_a_click(opened: Open) -> None:
    """By name down again; by probability, those without one last, either way."""
    page = opened("many/index.html")
    rows = ["a-good", "b-empty", "c-partial", "d-failed", "e-not-begun"]
    name, probability = page.get_by_role("button", name="name"), page.get_by_role("button", name="model's first answer")

    name.click()
    assert names_of(page) == rows
    name.click()
    assert names_of(page) == rows[::-1]
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("name")
    probability.click()
    assert set(names_of(page)[-2:]) == {"d-failed", "e-not-begun"}


def test_rows_are_filtered_by_words_and_status(opened: Open) -> None:
    """What is typed is looked for in all of a row; a status leaves its own; how many are left is said."""
    page = opened("many/index.html")

    page.get_by_label("find in").fill("B-EMPTY")
    assert names_of(page) == ["b-empty"]
    page.get_by_label("find in").fill("")
    page.get_by_role("combobox").select_option("nothing found")

    assert names_of(page) == ["b-empty"]
    assert page.get_by_text("1 of 5 shown").is_visible()


def test_of_many_rows_the_first_hundred_are_shown(opened: Open) -> None:
    """Laying out a thousand takes seconds; all of them are looked through, sorted, and there for who asks for them."""
    page = opened("long/report.html")
    rows, more = page.locator("table.rows tbody tr:visible"), page.locator(".more")

    assert (rows.count(), more.inner_text()) == (100, "show all 250")
    assert page.get_by_text("250 found, the first 100 shown").is_visible()
    page.get_by_label("find in").fill("photo-24")
    assert (rows.count(), more.is_visible()) == (11, False)
    page.get_by_label("find in").fill("")
    page.get_by_role("combobox").select_option("done")
    assert (rows.count(), more.inner_text()) == (100, "show all 125")
    page.locator("th").get_by_role("button", name="photo").click()
    assert rows.first.locator("th").inner_text() == "photo-0"
    more.click()
    assert (rows.count(), more.is_visible()) == (125, False)


def test_many_rows_are_printed_all(opened: Open) -> None:
    """Paper has no button."""
    page = opened("long/report.html")

    page.evaluate("dispatchEvent(new Event('beforeprint'))")

    assert page.locator("table.rows tbody tr:visible").count() == 250


def test_a_picture_opens_the_report(opened: Open) -> None:
    """A thumbnail of the index leads to the photo's own page."""
    page = opened("many/index.html")

    links = page.locator("tbody a").evaluate_all("all => all.map(each => each.getAttribute('href'))")

    assert links[:3] == ["./a-good/report.html", "./a-good/report.html", "./a-good/report.html#map-1"]


def test_the_record_is_inside(opened: Open) -> None:
    """The copy of the record that the page carries is the file beside it."""
    page = opened("good/report.html")

    with page.expect_download() as download:
        page.get_by_text("the copy inside this page").click()

    assert download.value.suggested_filename == "run.json"
