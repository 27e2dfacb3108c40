"""What is said of a map before somebody believes it."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

import bbquery
from bbquery.jobs.explain.findings import decided, findings, of_map, refused
from bbquery.jobs.explain.result import TargetMap
from bbquery.recording import Recorded
from bbquery.scoring.soft import Soft
from bbquery.types import NoAnswer, SaliencyMap, Scores, Vector, Visibility
from oracles import function
from tests.support.cells_method import Cells

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.ledger.ledger import Ledger

PHOTO = np.random.default_rng(0).integers(180, 256, (40, 60, 3), dtype=np.uint8)
SOFT_ANSWER = Vector(np.array([0.5, 0.5]))
SOFT = Soft().bind(SOFT_ANSWER, "0", None)


def found(
    values: NDArray[np.float64], error: float | NDArray[np.float64] | None = None, *, scores: list[float] | None = None,
    visibility: tuple[Visibility, ...] = (), notes: tuple[str, ...] = (),
) -> TargetMap:  # fmt: skip
    """A map with this standard error, its scores and what its method says."""
    known = None if error is None else np.broadcast_to(np.asarray(error, dtype=np.float64), values.shape)
    sent = SaliencyMap(values, True, "score", 100, 100, known, 2.0, visibility, notes)
    recorded = Recorded()
    recorded.add(Scores(np.full(len(scores or []), -1, dtype=np.int8), np.array(scores or [], dtype=np.float64)))
    return TargetMap("cat", values, sent, None, SOFT, Counter(), known, 100, recorded)


def kinds(m: TargetMap, noise: float = math.nan) -> list[str]:
    return [each.kind for each in of_map(m, noise)]


def test_a_map_without_a_change_is_not_moved() -> None:
    """Where every answer scored the same, nothing else is said of the map's size."""
    assert kinds(found(np.zeros((4, 4)), 0.0, scores=[0.5, 0.5])) == ["NOT MOVED"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1.9] * 9 + [2.1], ["COULD BE CHANCE"]),  # a tenth beyond the half width of 2, none beyond twice that
        ([1.9] * 8 + [2.1] * 2, []),  # a fifth
        ([1.9] * 9 + [4.1], []),  # one that stands out
        ([-1.9] * 9 + [-4.1], []),  # against the target as well
    ],
)
def test_a_map_within_its_interval_could_be_chance(values: list[float], said: list[str]) -> None:
    """What chance alone gives is said to be that: a tenth decided, and nothing that stands out."""
    assert kinds(found(np.array([values]), 1.0)) == said


def test_copies_without_an_answer_are_said_with_the_first_reason() -> None:
    """A filter's veto or an unreadable answer ends no run, and is not silent either."""
    m = found(np.arange(4.0).reshape(2, 2))
    m.unanswered.add([NoAnswer("gave 400: flagged", "filtered"), SOFT_ANSWER, None, NoAnswer("html", "unreadable")])

    (finding,) = of_map(m)

    assert finding.kind == "NO ANSWER"
    assert "2 of 100 copies got no answer (1 filtered, 1 unreadable)" in finding.text
    assert "because of gave 400: flagged; the map rests on the others" in finding.text


def test_a_value_without_error_is_decided() -> None:
    """Where nothing is uncertain, whatever is not 0 is known; unknown pixels do not count."""
    m = found(np.array([[1.0, 0.0, np.nan, 3.0]]), np.array([[0.0, 0.0, 1.0, np.nan]]))

    assert decided(m.sent) == 0.5
    assert math.isnan(decided(found(np.ones((2, 2))).sent))


@pytest.mark.parametrize(("noise", "said"), [(1.1, ["COULD BE CHANCE"]), (0.9, []), (0.0, []), (math.nan, [])])
def test_without_an_interval_the_noise_of_one_image_is_the_measure(noise: float, said: list[str]) -> None:
    """Scores that vary by 1, unanswered ones apart, are nothing where one image asked again varies by more."""
    scores = [0.0, 1.0, 2.0, np.nan]

    assert kinds(found(np.arange(4.0).reshape(2, 2), scores=scores), noise) == said


@pytest.mark.parametrize(("chance", "said"), [(True, ["COULD BE CHANCE"]), (False, []), (None, [])])
@pytest.mark.parametrize("error", [None, 1e-6])
def test_a_map_that_shuffled_answers_match_is_said(chance: bool | None, error: float | None, said: list[str]) -> None:
    """Answers that go with what was changed no better than shuffled ones may be chance, whatever errors say."""
    assert kinds(replace(found(np.arange(4.0).reshape(2, 2), error), chance=chance)) == said


@pytest.mark.parametrize(
    ("ranges", "visible"),
    [
        ([(0.15, 50, 40), (0.55, 100, 10), (0.95, 50, 5)], "15 %"),
        ([(0.15, 50, 5), (0.55, 100, 10), (0.95, 50, 40)], "95 %"),
        ([(0.15, 50, 5), (0.55, 100, 10), (0.95, 50, 5)], ""),  # the same everywhere
        ([(0.15, 5000, 700), (0.55, 5000, 500)], ""),  # certain, but little
        ([(0.15, 3, 3), (0.55, 3, 1)], ""),  # much, but not certain
        ([(0.55, 100, 100)], ""),  # nothing to compare with
        ([], ""),
    ],
)
def test_refusals_that_depend_on_what_is_visible_are_told(ranges: list[tuple[float, int, int]], visible: str) -> None:
    """A range is named where clearly more of its copies went unanswered than of all others."""
    said = refused([Visibility(*each) for each in ranges])

    assert (f"about {visible.replace(' ', '')}" in said) if visible else said == ""


def test_the_method_s_own_notes_come_last() -> None:
    """A map's size first, then refusals, then what its method has to say."""
    ranges = (Visibility(0.1, 50, 50), Visibility(0.9, 50, 0))

    assert kinds(found(np.full((3, 3), 0.1), 1.0, visibility=ranges, notes=("x",))) == ["NOT MOVED", "REFUSED", "NOTE"]


def test_an_explanation_carries_what_its_method_found(ledger: Ledger) -> None:
    """Refusals against visibility, notes and the standard error of a run reach the person, in the photo's size."""

    def shy(image: NDArray[np.uint8]) -> list[float] | None:
        return None if image.mean() < 165 else [image.mean() / 256, 0.0]

    explanation = bbquery.explain(
        PHOTO, function.connect(shy, height=20, width=20, crop=0.5), method=Cells(note="beware"), max_queries=300,
        ledger=ledger,
    )  # fmt: skip

    assert [(each.kind, each.target) for each in findings(explanation)] == [("REFUSED", "0"), ("NOTE", "0")]
    (m,) = explanation.maps
    assert m.standard_error is not None
    assert m.standard_error.shape == PHOTO.shape[:2]
    np.testing.assert_array_equal(np.isnan(m.standard_error), np.isnan(m.values))
    assert m.asked == 200


def test_the_noise_of_another_target_s_score_is_not_taken(ledger: Ledger) -> None:
    """How much one image asked again varies is measured of the first target alone."""
    explanation = bbquery.explain(
        PHOTO, function.connect(lambda x: [x.mean(), x.std()], answers="scores"), target=["0", "1"], max_queries=40,
        method="rise", ledger=ledger,
    )  # fmt: skip
    noisy = bbquery.Explanation(**(vars(explanation) | {"drift": replace(explanation.drift, noise=1e9)}))

    said = [each.target for each in findings(noisy) if "than one image asked again" in each.text]
    assert said == ["0"]
