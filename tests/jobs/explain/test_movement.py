"""Maps whose answers moved too little to say much are told from those that moved."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

import bbquery
from bbquery import load
from bbquery.jobs.explain.findings import findings
from bbquery.jobs.explain.movement import how_little
from bbquery.jobs.explain.result import TargetMap
from bbquery.recording import Recorded
from bbquery.report import map_picture, sentence
from bbquery.report.presenting import to_dict
from bbquery.scoring.base import nearer_is_higher
from bbquery.types import Classes, Label, Labels, SaliencyMap, Scores, Text, Vector
from oracles import function

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.ledger.ledger import Ledger
    from bbquery.types import Answer

CAT = Classes((("cat",), ("dog",)))


def moved(score: str, answers: Sequence[Answer]) -> TargetMap:
    """Return a map of "cat" whose changed copies were answered so."""
    bound = load.score(score).bind(answers[0], "cat", CAT)
    recorded = Recorded()
    recorded.add(Scores(*nearer_is_higher(bound)(answers)))
    values = np.arange(4.0).reshape(2, 2)
    sent = SaliencyMap(values, True, "score", len(answers), len(answers))
    return TargetMap("cat", values, sent, None, bound, Counter(), recorded=recorded)


def probable(*probabilities: float) -> list[Answer]:
    return [Vector(np.array([p, 1 - p])) for p in probabilities]


@pytest.mark.parametrize("form", ["probability", "log_odds", "cross_entropy"])
def test_a_probability_that_moves_less_than_a_point_is_little(form: str) -> None:
    """Whatever its form, it is judged and told in points of probability, never less than the range was."""
    assert how_little(moved(f"soft:form={form}", probable(0.9993, 0.999, 0.99912))) == (
        "changed copies differ by at most 0.03 percentage points"
    )
    assert how_little(moved(f"soft:form={form}", probable(0.50, 0.504))) == (
        "changed copies differ by at most 0.4 percentage points"
    )
    assert how_little(moved(f"soft:form={form}", probable(*[0.999] * 500, 0.98))) == ""


def test_one_copy_that_moves_far_is_not_little() -> None:
    """A single window may hide the one place that matters: no share of the copies is taken for a fluke."""
    assert how_little(moved("soft", probable(*[0.999] * 999, 0.2))) == ""


def test_other_bounded_scores_are_judged_by_their_range_and_unbounded_ones_never() -> None:
    """A margin of probabilities lies within -1 and 1; logits lie anywhere."""
    logits: list[Answer] = [Vector(np.array([9 + 1e-9 * row, 0.0])) for row in range(5)]

    assert how_little(moved("soft:form=margin", probable(0.999, 0.998))) == (
        "changed copies differ by at most 0.1 % of the range of the score"
    )
    assert how_little(moved("soft:form=margin", probable(0.999, 0.98))) == ""
    assert how_little(moved("soft:form=margin", logits)) == ""


@pytest.mark.parametrize(("others", "said"), [(3, "all but 3 of 1,000 changed copies were answered alike"), (10, "")])
def test_a_yes_or_no_that_hardly_changes_is_little(others: int, said: str) -> None:
    """All but fewer than one in a hundred were answered alike, whether that is yes or no."""
    yes, no = Text("a cat"), Text("a dog")

    assert how_little(moved("mention", [yes] * (1000 - others) + [no] * others)) == said
    assert how_little(moved("mention", [no] * (1000 - others) + [yes] * others)) == said


def test_all_alike_and_hardly_any_answer_are_told_apart() -> None:
    """Equal answers are called so; of one answer, or none, nothing is said."""
    m = moved("soft", probable(0.4, 0.4))

    assert how_little(m) == "all 2 changed copies were answered alike"
    assert how_little(moved("mention", [Text("a cat")] * 4)) == "all 4 changed copies were answered alike"
    assert how_little(moved("soft", probable(0.4))) == ""
    assert how_little(replace(m, recorded=Recorded())) == ""


def test_a_real_and_tiny_effect_is_stamped_wherever_it_is_shown(ledger: Ledger) -> None:
    """Finding, stamp, sentence, record and picture say that answers hardly moved; nothing is drawn in full colour."""
    photo = np.random.default_rng(0).integers(100, 200, (24, 32, 3), dtype=np.uint8)
    sure = lambda image: [0.999 + 3e-4 * float(image[:12].mean()) / 255, 0.0]  # noqa: E731 - as short as it can be
    oracle = function.connect(sure, answers="probabilities", classes="cat|dog", version="1")

    found = bbquery.explain(
        photo, oracle, method="designed:cells=6,queries=200", max_queries=210, verify=0, ledger=ledger
    )

    (m,) = found.maps
    assert m.chance is False  # it is real
    assert [each.kind for each in findings(found)] == ["HARDLY MOVED"]
    assert sentence.stamp(found, m) == "HARDLY MOVED"
    said = sentence.verdict(found, m)
    assert said.startswith("For “cat” (over 99.9 %) changed copies differ by at most 0.0")
    assert said.endswith(" percentage points, so this map says little.")
    assert [each["kind"] for each in to_dict(found)["warnings"]] == ["HARDLY MOVED"]
    full = replace(found, maps=(replace(m, recorded=moved("soft", probable(0.1, 0.9)).recorded),))
    pale, strong = (map_picture.map_pixels(each, each.maps[0], 64).astype(int) for each in (found, full))
    assert np.ptp(pale, axis=-1).max() < np.ptp(strong, axis=-1).max() / 2


def test_labels_are_judged_by_whether_they_are_named() -> None:
    """A list of labels without scores is a yes or a no to the target."""
    labels = [Labels(()), *[Labels((Label("cat"),))] * 499]

    assert "all but 1 of 500" in how_little(moved("label", labels))
    assert math.isinf(load.score("soft:form=margin").bind(Vector(np.array([9.0, 1.0])), "cat", CAT).about.high)
