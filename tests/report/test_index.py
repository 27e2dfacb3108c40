"""The page on all images of a run."""

from __future__ import annotations

import re
import urllib.parse
import xml.etree.ElementTree as Xml
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import bbquery
from bbquery.client.client import QueryCounts
from bbquery.drift import Check, DriftReport
from bbquery.errors import BudgetExhausted
from bbquery.jobs.explain.series import ImageResult
from bbquery.jobs.spare import not_begun
from bbquery.ledger.records import BudgetState, Cap
from bbquery.report import index
from bbquery.units import Units
from oracles import function
from tests.support import models

PHOTO = np.random.default_rng(0).integers(0, 256, (300, 500, 3), dtype=np.uint8)
BUDGET = BudgetState(1, "p/explain-1", Cap(queries=90), Units(60, 5, 2 * 10**9), Units(queries=1))
NASTY = "<script>alert('&')</script>"
EXHAUSTED = BudgetExhausted("p/explain-1", "queries", remaining=0, needed=1, cap=90)


@pytest.fixture(scope="module")
def explanation(tmp_path_factory: pytest.TempPathFactory) -> bbquery.Explanation:
    oracle = function.connect(models.sides, classes=f"{NASTY}|right", version="1")
    with bbquery.Ledger(tmp_path_factory.mktemp("home") / "l.sqlite3") as ledger:
        found = bbquery.explain(PHOTO, oracle, target=["0", "1"], max_queries=10, ledger=ledger)
    return replace(found, queries=QueryCounts(asked=1200, sent=1100, from_store=100, unknown=0))


def result_of(explanation: bbquery.Explanation | None, name: str = "cat", *, ended: bool = False) -> ImageResult:
    rest = explanation.rest if explanation else not_begun(10, 10, Units(1), Cap(queries=10))
    return ImageResult(name, "cat.png", explanation, None if explanation else EXHAUSTED, ended_run=ended, rest=rest)


def page_of(folder: Path, *results: ImageResult) -> str:
    pictures = [Path("a b.png"), Path("right.png")]
    entries = [index.entry(r, f"{NASTY}.png", pictures if r.explanation else []) for r in results]
    path = index.write(folder, entries, budget=BUDGET, command=["bbquery", "explain", NASTY])
    assert path == folder / "index.html"
    return path.read_text(encoding="utf-8")


def cells_of(page: str) -> list[list[str]]:
    """Return the text of every cell, by image; the page is also well-formed as XML, which nothing unescaped is."""
    rows = Xml.fromstring(page).findall("body/table/tbody/tr")
    return [[" ".join(" ".join(cell.itertext()).split()) for cell in row] for row in rows]


def test_it_says_of_each_image_what_became_of_it(explanation: bbquery.Explanation, tmp_path: Path) -> None:
    """A line for each in the order given: target, status with its cause, queries, cost, drift; the sums on top."""
    partial = replace(explanation, maps=tuple(replace(m, stopped="cap") for m in explanation.maps))
    stopped = replace(result_of(partial, "dog"), error=EXHAUSTED)

    none = (result_of(None, "owl"), result_of(None, "ox", ended=True))
    page = page_of(tmp_path, result_of(explanation), stopped, *none)

    rows = cells_of(page)
    assert [row[3].split(" budget")[0] for row in rows] == ["complete", "partial", "failed", "not begun"]
    assert "raise the cap" in rows[1][3]
    assert rows[0][1].startswith(NASTY)
    assert rows[0][4:] == ["1,200 1,100 sent, 100 from the store", "free", "not checked"]
    assert [row[2].split()[0] for row in rows] == ["cat", "dog", "owl", "ox"]
    assert rows[3][4:] == ["–", "–", "–"]
    assert "4 images: 1 complete, 1 partial, 1 failed, 1 not begun" in page
    assert "60 of 90 queries (1 held), 5 tokens, $0.002" in page


def test_a_paid_image_that_drifted_says_so(explanation: bbquery.Explanation, tmp_path: Path) -> None:
    """Cost, what is held, what may have been billed, and why the model seems to have changed."""
    drift = DriftReport((Check(0, 1.0), Check(5, 0.0)), 0.0, (), ("it < moved",))
    price = replace(explanation.oracle, price=bbquery.Price())
    budget = BudgetState(1, "b", Cap(), Units(10, 0, 15 * 10**9), Units(1, 0, 10**9))
    tally = replace(explanation.queries, unknown=2)
    paid = replace(explanation, drift=drift, oracle=price, budget=budget, queries=tally)

    (row,) = cells_of(page_of(tmp_path, result_of(paid)))

    assert row[4:] == ["1,200 1,100 sent, 100 from the store, 2 unknown", "$0.015 $0.001 held", "drifted it < moved"]


def test_a_map_that_may_be_chance_says_so(explanation: bbquery.Explanation, tmp_path: Path) -> None:
    """A map that does not stand out from chance is marked below its picture; the other target's is not."""
    first, second = explanation.maps
    unsure = replace(first, sent=replace(first.sent, standard_error=np.full(first.sent.values.shape, 1e9)))
    sure = replace(second, sent=replace(second.sent, standard_error=np.full(second.sent.values.shape, 1e-9)))

    ((_, maps, *_),) = cells_of(page_of(tmp_path, result_of(replace(explanation, maps=(unsure, sure)))))

    assert maps.count("HARDLY MOVED: may be chance") == 1
    assert not maps.endswith("may be chance")


def test_a_model_that_was_checked_and_stayed_is_told_from_one_that_was_not(
    explanation: bbquery.Explanation, tmp_path: Path
) -> None:
    """That no drift was seen is said only where somebody looked."""
    checked = DriftReport((Check(0, 1.0), Check(5, 1.0)), 0.0, (), ())

    rows = cells_of(page_of(tmp_path, result_of(explanation), result_of(replace(explanation, drift=checked))))

    assert [row[6] for row in rows] == ["not checked", "no"]


def test_it_fetches_nothing(explanation: bbquery.Explanation, tmp_path: Path) -> None:
    """Every picture is inside, small, and the browser is told to load nothing else; links lead beside the page."""
    page = page_of(tmp_path, result_of(explanation, "a:b #1"))

    sources = re.findall(r'src="([^"]*)"', page)
    assert len(sources) == 3
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert max(map(len, sources)) < 60_000
    assert "default-src 'none'" in page
    assert "http:" not in page
    assert "https:" not in page
    links = [urllib.parse.unquote(link) for link in re.findall(r'href="([^"]*)"', page)]
    assert links == ["./a:b #1/a b.png", "./a:b #1/right.png", "./a:b #1/run.json"]


def test_a_name_that_is_no_text_can_be_written(explanation: bbquery.Explanation, tmp_path: Path) -> None:
    """A file's name may hold bytes that no encoding knows; the page is written all the same."""
    entries = [index.entry(result_of(None), "caf\udce9.png", [])]

    path = index.write(tmp_path, entries, budget=BUDGET, command=["caf\udce9.png"])

    assert rb"caf\udce9" in path.read_bytes()
