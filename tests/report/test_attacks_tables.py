"""Tables and the figure of several attacks: every number has its photos and its interval, and nothing looks surer."""

from __future__ import annotations

import csv
import io
import math
import re
from typing import Any

import pytest
from matplotlib.axes import Axes

from bbquery.jobs.attack.summary import Summary, summary
from bbquery.report import attacks_table, distance_figure
from bbquery.report.figure import Page
from tests.jobs.attack.test_summary import finding, of

MANY = [0.004, 0.008, 0.02, 0.03, 0.06, 0.2, math.inf, math.inf]


def many() -> Summary:
    return of(near=[distance / 2 for distance in MANY], far=MANY, **{"control-blur": [0.1] * 8})


def test_a_row_has_successes_with_intervals_and_the_median() -> None:
    """As in papers: an attack a line, successes at each distance, the median over all photos with failures as ∞."""
    header, rows = attacks_table.header(many()), attacks_table.rows(many())

    assert header == ("attack", "photos", "≤ 0.1", "≤ 0.01", "L∞ ≤ 0.1", "median RMSE")
    assert rows[1] == (
        "far:steps=2", "8", "5: 62 % [31, 86]", "2: 25 % [7, 59]", "4: 50 % [22, 78]", "0.0450 [0.0040, ∞]",
    )  # fmt: skip
    assert rows[2][-1] == "–"  # a control asks at the distances alone


def test_a_median_of_few_photos_has_no_interval() -> None:
    """Three photos give a median, and nothing that looks like certainty."""
    assert attacks_table.rows(of(a=[0.1, 0.2, math.inf]))[0][-1] == "0.2000"
    assert attacks_table.rows(of(a=[math.inf]))[0][-1] == "∞"


def test_pairs_say_what_is_chance() -> None:
    """Each two attacks: how often nearer, the probability of chance, and the ratio with how many photos it is of."""
    ((names, photos, nearer, chance, ratio, *alone),) = attacks_table.pair_rows(many())

    assert (names, photos, nearer) == ("near:steps=2 / far:steps=2", "8", "6 : 0")
    assert chance == "P 0.03"
    assert ratio == "0.50 [0.50, 0.50], n 6"
    assert alone == ["1 : 0, P 1.00", "1 : 0, P 1.00"]


def test_one_sentence_names_what_cannot_be_told_apart() -> None:
    """Attacks that chance may order are named with their photos; where there are none, that is said."""
    alike = attacks_table.sentence(of(a=[0.1, 0.2] * 3, b=[0.2, 0.1] * 3))

    assert alike.startswith("These cannot be told apart, by the sign test at 5 %, raised for 1 pair: ")
    assert alike.endswith("a:steps=2 and b:steps=2 (6 of 6 photos, P 1.00).")
    assert attacks_table.sentence(many()).startswith("Every two attacks can be told apart")
    assert attacks_table.sentence(of(a=[0.1])) == ""


def test_too_few_photos_are_no_finding() -> None:
    """Where no result could tell two attacks apart, that is said, with how many photos it takes; ties count as none."""
    three = attacks_table.sentence(of(a=[0.1] * 3, b=[0.2] * 3))
    tied = attacks_table.sentence(of(a=[math.inf] * 8, b=[math.inf] * 8))

    assert "cannot be told apart" not in three
    assert "at least 6 photos are needed" in three
    assert "(3 of 3 photos, P 0.25)" in three
    assert "(0 of 8 photos, P 1.00)" in tied


def test_preprocessing_of_several_photos_is_one_line() -> None:
    """Treatments are summed over photos; one that was not asked, or is no success, is in no number."""
    found = [finding("one", rmse=0.1, survived=(1, 3)), finding("two", rmse=0.1, survived=(2, 4)), finding("three")]

    (line,) = attacks_table.preprocessed(summary(found, (0.1,)))
    assert "the changes of 2 photos survive 3 of 7 treatments" in line
    assert attacks_table.preprocessed(many()) == []


def test_what_is_not_counted_is_told() -> None:
    """Photos without their label and attacks that were stopped are named beside the table that leaves them out."""
    found = summary([finding("one", outcome="not attacked"), finding("two", status="partial")], (0.1,))

    (line,) = attacks_table.left_out(found)
    assert line.startswith("not counted of a:steps=2: 1 photo not attacked")
    assert line.endswith("1 photo not complete")
    assert line in attacks_table.markdown(found)


def test_markdown_holds_both_tables() -> None:
    """Every line of a table has as many cells as its head, however strange an attack's name is."""
    text = attacks_table.markdown(summary([finding("one", given="a|b\n", rmse=0.1)], (0.1,)))

    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {5}
    assert attacks_table.markdown(many()).count("| --- |") == 2


def test_the_csv_has_every_number_apart() -> None:
    """A program reads shares, their ends, and medians; infinite is inf, and what nobody knows is empty."""
    near, far, control = csv.DictReader(io.StringIO(attacks_table.table_csv(many())))

    assert (far["successes_0.1"], far["share_0.1"], far["photos"]) == ("5", "0.625", "8")
    assert (far["median_low"], far["median_high"]) == ("0.004", "inf")
    assert float(near["low_linf_0.1"]) < float(near["share_linf_0.1"]) < float(near["high_linf_0.1"])
    assert (control["control"], control["median_rmse"]) == ("True", "")  # as in the table of people
    few = next(csv.DictReader(io.StringIO(attacks_table.table_csv(of(a=[0.1])))))
    assert (few["median_rmse"], few["median_low"]) == ("0.1", "")


def said_on(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what will be written on pages and beside axes."""
    texts = list[str]()
    page, annotate = Page.text, Axes.annotate

    def text(self: Page, left: float, top: float, lines: list[str], **how: Any) -> None:
        texts.extend(lines)
        page(self, left, top, lines, **how)

    def beside(self: Axes, text: str, *place: Any, **how: Any) -> Any:
        texts.append(text)
        return annotate(self, text, *place, **how)

    monkeypatch.setattr(Page, "text", text)
    monkeypatch.setattr(Axes, "annotate", beside)
    return texts


@pytest.mark.full_pictures
@pytest.mark.parametrize(
    ("found", "said"), [(many(), "Band: 95 % interval"), (of(a=[0.1, 0.2, math.inf]), "Thin lines: single photos")]
)
def test_the_figure_names_its_lines_and_its_photos(found: Summary, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each attack has its number of photos, dotted lines have theirs, and few photos have no band."""
    texts = said_on(monkeypatch)

    png = distance_figure.draw(found, title="attacks")

    whole = " ".join(texts)
    assert png.startswith(b"\x89PNG")
    assert said in whole
    assert "RMSE 0.01" in whole
    assert "Dotted: distances at which success is counted." in whole
    assert f"{found.rows[0].photos} photos" in whole
    assert distance_figure.NOTHING not in whole
    assert png == distance_figure.draw(found, title="attacks")


def test_controls_have_words_in_the_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A control is asked at fixed distances, so it has no line; how often it succeeded stands below."""
    texts = said_on(monkeypatch)

    distance_figure.draw(many(), title="attacks")

    assert (
        "control-blur:steps=2 (no line): 8 photos, 8 adversarial at any distance, 8 within 0.1, 0 within 0.01" in texts
    )


def test_attacks_that_found_nothing_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a single adversarial image, and without a photo that counts, there is a figure that says so."""
    samples = list[int]()
    monkeypatch.setattr(distance_figure, "sample", lambda *given: samples.append(given[-1]))
    nothing = of(a=[math.inf, math.inf])
    nobody = summary([finding("one", outcome="not attacked")], (0.1,))

    assert distance_figure.draw(nothing, title="attacks").startswith(b"\x89PNG")
    assert distance_figure.draw(nobody, title="attacks").startswith(b"\x89PNG")
    assert samples == []  # no legend of a line that is not there
