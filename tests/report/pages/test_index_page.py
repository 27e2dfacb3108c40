"""The page on all photos of a run."""

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
from bbquery.recording import Recorded
from bbquery.report.pages import index
from bbquery.types import Scores
from bbquery.units import Units
from oracles import function
from tests.support import models

PHOTO = np.random.default_rng(0).integers(0, 256, (300, 500, 3), dtype=np.uint8)
BUDGET = BudgetState(1, "p/explain-1", Cap(queries=90), Units(60, 5, 2 * 10**9), Units(queries=1))
SURE, UNSURE = 1e-9, 1e9  # standard errors
NASTY = "<script>alert('&')</script>"
EXHAUSTED = BudgetExhausted("p/explain-1", "queries", remaining=0, needed=1, cap=90)


@pytest.fixture(scope="module")
def explanation(tmp_path_factory: pytest.TempPathFactory) -> bbquery.Explanation:
    oracle = function.connect(models.sides, classes=f"{NASTY}|right", version="1")
    with bbquery.Ledger(tmp_path_factory.mktemp("home") / "l.sqlite3") as ledger:
        found = bbquery.explain(PHOTO, oracle, target=["0", "1"], max_queries=10, ledger=ledger)
    return replace(found, queries=QueryCounts(asked=1250, sent=1100, from_store=100, unknown=0, answered=1200))


def known_to(explanation: bbquery.Explanation, *errors: float) -> bbquery.Explanation:
    """Return an explanation whose maps have these standard errors everywhere, and nothing else against them."""
    moved = Recorded()
    moved.add(Scores(np.array([1, 0], np.int8), np.array([0.9, 0.1])))
    maps = [
        replace(
            m,
            sent=replace(m.sent, standard_error=np.full(m.sent.values.shape, error)),
            recorded=moved,
            chance=False,
        )
        for m, error in zip(explanation.maps, errors, strict=True)
    ]
    return replace(explanation, maps=tuple(maps))


def result_of(explanation: bbquery.Explanation | None, name: str = "cat", *, ended: bool = False) -> ImageResult:
    rest = explanation.rest if explanation else not_begun(10, 10, Units(1), Cap(queries=10))
    return ImageResult(
        name,
        "cat.png",
        explanation,
        None if explanation else EXHAUSTED,
        ended_run=ended,
        rest=rest,
        run="series",
        budget=BUDGET,
    )


def page_of(folder: Path, *results: ImageResult) -> str:
    entries = [index.entry(r, f"{NASTY}.png") for r in results]
    path = index.write(folder, entries, budget=BUDGET, command=["bbquery", "explain", NASTY], resume="raise <it>")
    assert path == folder / "index.html"
    return path.read_text(encoding="utf-8")


def cells_of(page: str) -> list[list[str]]:
    """Return the text of every cell, by photo; the page is also well-formed as XML, which nothing unescaped is."""
    rows = Xml.fromstring(page).findall(".//table[@class='rows']/tbody/tr")
    return [[" ".join(" ".join(cell.itertext()).split()) for cell in row] for row in rows]


def test_it_says_of_each_image_what_became_of_it(explanation: bbquery.Explanation, tmp_path: Path) -> None:
    """A line for each in the order given: target, status with its cause, queries, cost, drift; the sums on top."""
    explanation = known_to(explanation, SURE, SURE)
    partial = replace(explanation, maps=tuple(replace(m, stopped="cap") for m in explanation.maps))
    stopped = replace(result_of(partial, "dog"), error=EXHAUSTED)

    none = (result_of(None, "owl"), result_of(None, "ox", ended=True))
    page = page_of(tmp_path, result_of(explanation), stopped, *none)

    rows = cells_of(page)
    assert [row[2].split(" budget")[0] for row in rows] == ["complete", "partial", "failed", "not begun"]
    assert "raise the cap" in rows[1][2]
    assert rows[0][1].startswith(NASTY)
    assert rows[0][3].endswith(" %)")
    assert rows[0][4:] == ["1,200 1,100 sent, 100 from the store", "free", "not checked"]
    assert [row[0].split()[0] for row in rows] == ["cat", "dog", "owl", "ox"]
    assert rows[3][3:] == ["–", "–", "–", "–"]
    assert "4 photos: 1 complete, 1 partial, 1 failed, 1 not begun" in page
    assert "60 of 90 queries (1 held), 5 tokens, $0.002" in page
    assert "raise &lt;it&gt;" in page


def test_a_whole_run_that_found_nothing_is_not_called_complete(
    explanation: bbquery.Explanation, tmp_path: Path
) -> None:
    """Where every map could be chance the status says that nothing was found, in the colour of doubt; one is enough."""
    one, none = known_to(explanation, SURE, UNSURE), known_to(explanation, UNSURE, UNSURE)

    found = [index.entry(result_of(each), "").state for each in (one, none)]

    assert [(each.text, each.tone) for each in found] == [("complete", "good"), ("nothing found", "doubt")]
    assert "the map could be chance" in page_of(tmp_path, result_of(none))


def test_a_paid_image_that_drifted_says_so(explanation: bbquery.Explanation, tmp_path: Path) -> None:
    """Cost, what is held, what may have been billed, and why the model seems to have changed."""
    drift = DriftReport((Check(0, 1.0), Check(5, 0.0)), 0.0, (), ("it < moved",), watched=True)
    price = replace(explanation.oracle, price=bbquery.Price())
    budget = BudgetState(1, "b", Cap(), Units(10, 0, 15 * 10**9), Units(1, 0, 10**9))
    tally = replace(explanation.queries, unknown=2)
    paid = replace(explanation, drift=drift, oracle=price, budget=budget, queries=tally)

    (row,) = cells_of(page_of(tmp_path, result_of(paid)))

    assert row[4:] == ["1,200 1,100 sent, 100 from the store, 2 unknown", "$0.015, $0.001 held", "drifted it < moved"]


def test_a_map_that_may_be_chance_says_so(explanation: bbquery.Explanation, tmp_path: Path) -> None:
    """A map that does not stand out from chance is marked below its picture; the other target's is not."""
    ((_, maps, *_),) = cells_of(page_of(tmp_path, result_of(known_to(explanation, UNSURE, SURE))))

    assert maps.count("COULD BE CHANCE") == 1
    assert not maps.endswith("COULD BE CHANCE")


def test_a_model_that_was_checked_and_stayed_is_told_from_one_that_was_not(
    explanation: bbquery.Explanation, tmp_path: Path
) -> None:
    """That no drift was seen is said only where somebody looked."""
    checked = DriftReport((Check(0, 1.0), Check(5, 1.0)), 0.0, (), (), watched=True)

    rows = cells_of(page_of(tmp_path, result_of(explanation), result_of(replace(explanation, drift=checked))))

    assert [row[6] for row in rows] == ["not checked", "no"]


def test_it_fetches_nothing(explanation: bbquery.Explanation, tmp_path: Path) -> None:
    """Every picture is inside, small, and the browser is told to load nothing else; links lead beside the page."""
    page = page_of(tmp_path, result_of(explanation, "a:b #1"))

    sources = re.findall(r'src="([^"]*)"', page)
    assert len(sources) == 3
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert max(map(len, sources)) < 60_000
    assert "default-src &#39;none&#39;" in page
    assert "http:" not in page
    assert "https:" not in page
    links = [urllib.parse.unquote(link) for link in re.findall(r'href="([^"]*)"', page)]
    report = "./a:b #1/report.html"
    assert links == [report, report, f"{report}#map-1", f"{report}#map-2"]


def test_a_name_that_is_no_text_can_be_written(explanation: bbquery.Explanation, tmp_path: Path) -> None:
    """A file's name may hold bytes that no encoding knows; the page is written all the same."""
    entries = [index.entry(result_of(None), "caf\udce9.png")]

    path = index.write(tmp_path, entries, budget=BUDGET, command=["caf\udce9.png"])

    assert rb"caf\udce9" in path.read_bytes()
