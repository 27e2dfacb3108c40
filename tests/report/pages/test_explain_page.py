"""The page of an explanation, as its context and as text: what it says, and what it never does."""

from __future__ import annotations

import base64
import json
import re
import xml.etree.ElementTree as Xml
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bbquery.drift import DriftReport
from bbquery.jobs.explain.verified import nothing
from bbquery.oracle import Capabilities
from bbquery.report import cautions
from bbquery.report.explanation import record
from bbquery.report.pages import explain, parts
from bbquery.report.pages.page import rendered
from bbquery.saliency.designed import DOUBTFUL
from bbquery.types import Label, Labels, NoAnswer, Text
from tests.report.browser import site
from tests.support.explanations import explanation_of, map_of

if TYPE_CHECKING:
    import bbquery
    from bbquery.report.pages.explain import ExplainPage
    from bbquery.types import AnswerKind

NASTY = "<script>alert(1)</script>\u202e"


def context_of(explanation: bbquery.Explanation, **options: Any) -> ExplainPage:
    said = {"command": ["bbquery", "explain", "cat.png"], "source": "cat.png", "resume": ""} | options
    return explain.page(explanation, record_of(explanation), **said)


def record_of(explanation: bbquery.Explanation) -> bytes:
    return record(explanation, command=["bbquery"], source="cat.png", files={})


def page_of(explanation: bbquery.Explanation, **options: Any) -> str:
    return rendered(context_of(explanation, **options)).decode()


def test_a_good_map_is_told_from_an_empty_and_a_partial_one() -> None:
    """The first lines say which it is, in words and in the colour of the badge."""
    good, empty, partial = (context_of(made()) for made in (site.good, site.empty, site.partial))

    badges = [(page.frame.badges[0].text, page.frame.badges[0].tone) for page in (good, empty, partial)]
    assert badges == [("complete", "good"), ("nothing found", "doubt"), ("partial", "doubt")]
    assert good.frame.verdict.startswith("Red places speak for")
    assert "this map says nothing" in empty.frame.verdict
    assert [each.text for each in empty.maps[0].badges] == ["SAYS NOTHING"]
    assert not good.maps[0].badges


def test_what_was_verified_is_shown_and_what_is_missing_has_its_reason() -> None:
    """A fact has its picture and both answers; where one lacks, it says why; where none was asked, how to ask."""
    found, none = context_of(site.good()).maps[0], context_of(site.empty()).maps[0]

    (fact,) = found.facts
    assert fact.says == "25 % of the photo is enough"
    assert [line.term for line in fact.answers] == ["answer", "asked again"]
    assert fact.answers[1].text == f"{site.HOSTILE} (52 %)"
    assert found.why == "Nothing that was hidden changed it."
    assert (none.facts, "--verify" in none.why) == ((), True)


def test_what_casts_doubt_is_on_the_page() -> None:
    """Drift, what could not be read and every finding stand there, as the terminal says them."""
    drifted = replace(site.empty(), drift=DriftReport((), 0.0, (), ("it moved",), watched=True))

    kinds = [each.kind for each in context_of(drifted).frame.cautions]

    assert kinds == ["DRIFTED", "NOT MOVED"]


def test_a_doubt_that_a_finding_says_is_not_said_again_by_the_methods_note() -> None:
    """A map that could be chance says so once; a note on something else stays, and so does one without a finding."""
    noisy, clear = (
        map_of(site.LEFT, error=error, notes=(DOUBTFUL, "half of it was refused"))
        for error in (np.full_like(site.LEFT, 99.0), site.CERTAIN)
    )

    doubted, sure = ([each.kind for each in cautions.of_explanation(explanation_of(m))] for m in (noisy, clear))

    assert doubted == ["COULD BE CHANCE", "NOTE"]
    assert sure == ["NOTE", "NOTE"]


def test_advice_is_in_the_words_of_who_made_the_result() -> None:
    """A record and a page of a call from Python name its arguments; those of a command its options."""
    typed = site.empty()
    called = typed.called("found = bbquery.explain(…)")

    for result, said in ((typed, "(--score)"), (called, "(score)")):
        (warned,) = json.loads(record_of(result))["warnings"]
        (shown,) = context_of(result).frame.cautions
        assert warned["text"] == shown.text
        assert said in shown.text


def test_why_nothing_was_verified_and_notes_are_in_the_words_of_who_made_the_result() -> None:
    """Likewise of each map, in the record."""
    m = map_of(site.LEFT, error=site.CERTAIN, verified=nothing("raise --max-queries"), notes=("fewer (--method lime)",))
    typed = explanation_of(m)

    for result, said in (
        (typed, ("raise --max-queries", "fewer (--method lime)")),
        (typed.called("found = bbquery.explain(…)"), ("raise max_queries", "fewer (method lime)")),
    ):
        (target,) = json.loads(record_of(result))["targets"]
        assert (target["verified"]["why"], *target["notes"]) == said


def test_a_number_stays_on_one_line_with_its_per_cent_sign() -> None:
    """In the headline there is no break between them; elsewhere the text is as it was."""
    page = page_of(site.good())

    (headline,) = re.findall(r"<h1>(.*)</h1>", page)
    assert re.search(r"\d\u00a0%", headline)
    assert not re.search(r"\d %", headline)


def test_money_is_what_the_budget_says() -> None:
    """Spent, held and cap of each unit that was used; what is held may have been billed."""
    money = context_of(site.good()).frame.money

    assert money.rows == (("queries", "101", "0", "no cap"), ("dollars", "$0.002", "$0.001", "no cap"))
    assert any("bbquery budget reconcile" in line.text for line in money.remarks)


@pytest.mark.parametrize(
    ("answer", "kind", "lines", "text"),
    [
        (Labels((Label("tabby", 0.93), Label("cat"))), "labels", [("tabby", "0.93"), ("cat", "")], ""),
        (Labels((Label("tabby", 0.5),)), "labels", [("tabby", "0.5")], ""),
        (Labels(()), "labels", [], "no label"),
        (Text("<think>no</think>a cat"), "text", [], "a cat"),
        (NoAnswer("not allowed"), "labels", [], "no answer: not allowed"),
    ],
)
def test_every_kind_of_answer_is_shown(answer: Any, kind: AnswerKind, lines: list[tuple[str, str]], text: str) -> None:
    """Labels with their numbers where there are some, a text without its reasoning, or why there is no answer."""
    found = parts.answer(answer, Capabilities(name="a model", answers=kind, identity={}))

    assert ([(line.label, line.number) for line in found.lines], found.text) == (lines, text)


def test_a_page_is_well_formed_and_shows_markup_as_text() -> None:
    """Nothing from outside becomes markup, whichever field it is in; marks of direction are shown by their number."""
    page = page_of(site.good(), source=NASTY, command=["bbquery", "explain", NASTY], resume=NASTY)

    Xml.fromstring(page)  # fails on what is not escaped
    assert "<script>alert" not in page
    assert "\u202e" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;\\u202e") >= 3


def test_a_page_loads_nothing() -> None:
    """Every picture is inside, the policy forbids all else, and nothing names another host."""
    page = page_of(site.good())

    assert all(source.startswith("data:image/") for source in re.findall(r'src="([^"]*)"', page))
    assert "default-src &#39;none&#39;" in page
    assert re.findall(r"https?:", page) == []


def test_equal_input_gives_equal_bytes() -> None:
    """A page is a function of the result and its record."""
    explanation = site.good()
    written = record_of(explanation)

    one, other = (
        rendered(explain.page(explanation, written, command=["bbquery"], source="cat.png", resume="")) for _ in range(2)
    )
    assert one == other


def test_a_page_carries_its_record() -> None:
    """The copy inside is the record, to the byte, and its figures are on the page."""
    explanation = site.good()
    written = record_of(explanation)

    page = rendered(explain.page(explanation, written, command=["bbquery"], source="cat.png", resume="")).decode()

    (inside,) = re.findall(r'href="data:application/json;base64,([^"]*)"', page)
    assert base64.b64decode(inside) == written
    assert json.loads(written)["image"]["pixels"] in page


def test_a_page_of_a_large_photo_stays_small() -> None:
    """Pictures inside have at most 1,000 pixels a side, so that a page of one photo is below 1.5 MB."""
    noise = np.random.default_rng(0).integers(0, 256, (1600, 2400, 3), dtype=np.uint8)
    m = map_of(np.random.default_rng(1).normal(size=(1600, 2400)), error=np.full((1600, 2400), 0.1))

    found = context_of(explanation_of(m, photo=noise)).maps[0]

    assert max(found.photo.width, found.photo.height, found.map.width, found.map.height) <= 1000
    assert len(page_of(explanation_of(m, photo=noise))) < 1_500_000
