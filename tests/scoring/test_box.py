"""The score of one object of several: overlap with its box times its score, and how a target names it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbquery import load
from bbquery.errors import UnknownName, UsageError
from bbquery.images.boxes import Box
from bbquery.oracle import Capabilities
from bbquery.scoring.base import nearer_is_higher
from bbquery.scoring.box import SameObject
from bbquery.scoring.compose import Compose
from bbquery.types import Classes, Decision, Label, Labels, Text

LEFT, RIGHT, LOW = Box.of(0, 0.2, 0.4, 0.8), Box.of(0.6, 0, 1, 0.5), Box.of(0.3, 0.8, 0.7, 1)
STREET = Labels((
    Label("person", 0.95, LOW),
    Label("bicycle", 0.75, RIGHT),
    Label("Bicycle", 0.5, LEFT),
    Label("street", 0.4),
))  # fmt: skip
MOVED = Box.of(0.1, 0.2, 0.5, 0.8)  # as LEFT, three quarters of which it covers: 0.6 of the union


def bound(target: str | None = "bicycle#2", clean: Labels = STREET, **options: Any) -> Any:
    return SameObject(**options).bind(clean, target, None)


def read(answer: Any, **options: Any) -> Any:
    """Return decision and value of an answer, for the bicycle on the left."""
    decisions, values = bound(**options)([answer])
    return int(decisions[0]), float(values[0])


def capabilities(**changed: Any) -> Capabilities:
    said: dict[str, Any] = {"name": "a detector", "answers": "labels", "identity": {}, "boxes": True}
    return Capabilities(**said | changed)


# --- values ---


@pytest.mark.parametrize(
    ("answer", "decision", "value"),
    [
        (STREET, 1, 0.5),
        (Labels((Label("bicycle", 1.0, LEFT),)), 1, 1),
        (Labels((Label("bicycle", 0.5, MOVED),)), 1, 0.3),
        (Labels((Label("bicycle", 0.9, RIGHT),)), 0, 0),
        (Labels((Label("bicycle", 0.5, MOVED), Label("bicycle", 0.2, LEFT))), 1, 0.3),  # the best of them
        (Labels((Label("person", 0.9, LEFT),)), 0, 0),
        (Labels((Label("bicycle", 0.9),)), 0, 0),  # nowhere
        (Labels((Label("bicycle", 0.0, LEFT),)), 0, 0),  # not found
        (Labels(()), 0, 0),
        (Labels((Label("bicycle", None, MOVED), Label("person"))), 1, 0.6),  # no label has a score
    ],
)
def test_a_value_is_overlap_times_score(answer: Labels, decision: int, value: float) -> None:
    """Of the best detection of the class; met where one overlaps by half or more, 0 where there is none."""
    assert read(answer) == (decision, pytest.approx(value))


def test_how_much_overlap_is_enough_can_be_said() -> None:
    """The value does not change, the decision does."""
    moved = Labels((Label("bicycle", 0.5, MOVED),))

    assert read(moved, overlap=0.6) == (Decision.MET, pytest.approx(0.3))
    assert read(moved, overlap=0.61) == (Decision.NOT_MET, pytest.approx(0.3))


@pytest.mark.parametrize("score", [None, -0.5, 7.0])
def test_a_detection_whose_score_is_none_cannot_be_read(score: float | None) -> None:
    """Among labels that have scores; what lies elsewhere does not matter."""
    other = Label("person", 0.9, RIGHT)
    here, away = (Labels((Label("bicycle", score, box), other)) for box in (LEFT, RIGHT))

    decision, value = read(here)
    assert (decision, math.isnan(value)) == (Decision.UNDECIDED, True)
    assert sum(bound().unread([here, away]).values()) == 1
    assert read(away) == (Decision.NOT_MET, 0)


edges = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted)
boxes = st.builds(lambda across, down: Box.of(across[0], down[0], across[1], down[1]), edges, edges)
lists = st.lists(
    st.builds(Label, st.sampled_from(["bicycle", "person"]), st.floats(0, 1), st.none() | boxes), max_size=5
)


@given(lists, lists)
def test_a_value_is_a_share_that_more_detections_never_lower(some: list[Label], more: list[Label]) -> None:
    """0 to 1 whatever is found, in any order; a detection beside others takes nothing away."""
    few, all_ = read(Labels(tuple(some)))[1], read(Labels((*some, *more)))[1]

    assert 0 <= few <= all_ <= 1
    assert read(Labels((*more, *some)))[1] == all_


# --- targets ---


@pytest.mark.parametrize(
    ("target", "name", "box"),
    [
        (None, "person", LOW),
        ("bicycle", "bicycle", RIGHT),
        ("bicycle#1", "bicycle", RIGHT),
        ("BICYCLE #2", "BICYCLE", LEFT),
        ("bicycle@left", "bicycle", LEFT),
        ("bicycle@right", "bicycle", RIGHT),
        ("bicycle@top", "bicycle", RIGHT),
        ("bicycle@bottom", "bicycle", LEFT),
        ("bicycle[0,.2,.4,.8]", "bicycle", LEFT),
        ("dog[0.25 0 1 1]", "dog", Box(0.25, 0, 1, 1)),  # though the clean answer has none
        ("person+bicycle#3", "person+bicycle", LEFT),
    ],
)
def test_a_target_says_which_object(target: str | None, name: str, box: Box) -> None:
    """By rank of its score, by side, by its box, or the one with the highest score."""
    about = bound(target).about

    assert about.object is not None
    assert (about.object.name, about.object.box) == (name, box)


@pytest.mark.parametrize("target", ["bicycle#3", "dog", "street", "dog@left"])
def test_an_object_that_is_not_there_is_told_what_is(target: str) -> None:
    """Each with its number, its score and its box, as they may be typed."""
    with pytest.raises(UsageError) as caught:
        bound(target)

    said = str(caught.value)
    assert f"the target {target!r} is no object with a box of the first answer" in said
    assert "person#1 0.95 [0.30,0.80,0.70,1.00], bicycle#1 0.75 [0.60,0.00,1.00,0.50], Bicycle#2 0.50 [0.00" in said


@pytest.mark.parametrize("target", ["dog", None])
def test_an_answer_without_boxes_is_told_so(target: str | None) -> None:
    """Then only a box that is typed can be a target."""
    with pytest.raises(UsageError, match="No label of that answer has a box"):
        bound(target, Labels((Label("cat", 0.5),)))

    assert bound("cat[0,0,1,1]", Labels((Label("cat", 0.5),))).box == (0, 0, 1, 1)


@pytest.mark.parametrize(
    ("target", "fault"),
    [
        ("bicycle#0", "counts from 0"),
        ("bicycle[0,0,1]", "must be left, top, right and bottom"),
        ("bicycle[0,0,2,1]", "must be left, top, right and bottom"),
        ("bicycle[.5,0,.5,1]", "must be left, top, right and bottom"),
        ("bicycle[]", "must be left, top, right and bottom"),
        ("bicycle[a,b,c,d]", "must be left, top, right and bottom"),
        ("", "empty label"),
        ("person+#1", "empty label"),
    ],
)
def test_a_target_that_means_no_object_is_refused_beforehand(target: str, fault: str) -> None:
    """Before anything is sent, with how it is written."""
    with pytest.raises(UsageError, match=fault):
        SameObject().check(capabilities(), [target])


def test_a_closed_set_of_classes_is_known_beforehand() -> None:
    """A mistyped name costs no query, and a class is found by any of its names."""
    classes = Classes((("bicycle", "bike"), ("person",)), keys=("b1", "p1"))

    with pytest.raises(UnknownName):
        SameObject().check(capabilities(classes=classes), ["bicicle#2"])
    SameObject().check(capabilities(classes=classes), ["bike@left"])
    assert SameObject().bind(STREET, "bike@left", classes)([STREET])[1].tolist() == [0.5]


@pytest.mark.parametrize("changed", [{"boxes": False}, {"answers": "text"}, {"answers": "probabilities"}])
def test_answers_without_boxes_are_refused_beforehand(changed: dict[str, Any]) -> None:
    """Whoever says that there are none is not asked."""
    with pytest.raises(UsageError, match="needs labels with boxes, and a detector answers"):
        SameObject().check(capabilities(**changed), [])


@pytest.mark.parametrize("overlap", [0, -1, 1.5, math.nan])
def test_an_overlap_that_cannot_be_is_refused(overlap: float) -> None:
    """It is a share above 0."""
    with pytest.raises(UsageError, match="overlap must be above 0 and at most 1"):
        load.score(f"box:overlap={overlap}")


def test_answers_that_it_was_not_bound_to_are_refused() -> None:
    """A text, and scores that are no shares."""
    with pytest.raises(UsageError, match="needs labels with boxes"):
        SameObject().bind(Text("a bicycle"), None, None)
    with pytest.raises(UsageError, match="needs scores of 0 to 1; this oracle answered 87"):
        bound("bicycle", Labels((Label("bicycle", 87.0, LEFT),)))
    with pytest.raises(UsageError, match="bound to labels"):
        read(Text("a bicycle"))


# --- what is said of it ---


def test_each_detection_is_shown_step_by_step() -> None:
    """Overlap, score and product, then the best."""
    steps = bound().steps(Labels((Label("bicycle", 0.5, MOVED), Label("person", 0.9, LEFT))))

    assert steps == [
        "the object is 'bicycle' in [0.00,0.20,0.40,0.80]",
        "'bicycle' in [0.10,0.20,0.50,0.80]: overlap 0.6 × score 0.5 = 0.3",
        "the best of them: 0.3",
    ]


def test_the_object_is_known_through_other_scores() -> None:
    """A score with its sign turned, and a composition, are of the same object."""
    composed = Compose(of=(SameObject(), SameObject(overlap=0.9))).bind(STREET, "bicycle@left", None)

    assert composed.about.object == nearer_is_higher(bound()).about.object == bound().about.object
    assert np.array_equal(composed([STREET])[1], bound()([STREET])[1])
