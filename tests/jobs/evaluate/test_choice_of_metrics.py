from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from bbquery.errors import UnknownName, UsageError
from bbquery.estimators.lr import LikelihoodRatio
from bbquery.jobs.evaluate.choice import Choice, same_fill
from bbquery.jobs.evaluate.montage import Photo
from bbquery.jobs.evaluate.reference import Reference
from bbquery.metrics import Box, Case
from bbquery.metrics._making import Making
from bbquery.metrics.srg import Curves, DeletionInsertion
from bbquery.saliency.rise import Rise
from bbquery.saliency.vanilla import GradientMap
from bbquery.types import UINT8

BOXES = (Box(0, 0, 2, 2),)
PHOTOS = tuple(Photo(f"{k}", np.full((8, 8, 3), k, dtype=np.uint8)) for k in range(3))
MADE = Making(GradientMap(estimator=LikelihoodRatio(queries=10)))


def test_all_that_can_be_had_is_the_default() -> None:
    """Without a box there are no metrics of boxes; with one there are all."""
    assert Choice().chosen == ("srg", "aopc", "infidelity", "mu_fidelity")
    assert Choice(boxes=BOXES).chosen == (*Choice().chosen, "r_sal", "pointing")


@pytest.mark.parametrize(
    ("names", "queries"),
    [(("srg",), 113), (("aopc",), 113), (("aopc", "srg"), 113), (("infidelity",), 129), (("r_sal",), 1), ((), 369)],
)
def test_metrics_of_the_same_curves_share_their_queries(names: tuple[str, ...], queries: int) -> None:
    """Every plan asks the whole photo, which is sent once."""
    assert Choice(names=names, boxes=BOXES).queries == queries


@pytest.mark.parametrize("name", ["repeatability", "max_sensitivity", "grid_pointing", "gradient_cosine"])
def test_what_is_dear_is_only_taken_by_name(name: str) -> None:
    """Even where all that a metric needs is there, it is not among the usual ones."""
    given: dict[str, Any] = {"made": MADE, "montage": PHOTOS, "gradient": Reference(np.eye(2)), "boxes": BOXES}

    assert name not in Choice(**given).chosen
    assert Choice(**given, names=(name,)).chosen == (name,)


@pytest.mark.parametrize(
    ("names", "queries"),
    [(("repeatability",), 41), (("max_sensitivity",), 31), (("grid_pointing",), 11), (("gradient_cosine",), 11),
     (("srg", "repeatability", "grid_pointing"), 113 + 50)],
)  # fmt: skip
def test_whole_maps_are_counted(names: tuple[str, ...], queries: int) -> None:
    """Explaining again costs as many queries as the map did, each time."""
    choice = Choice(
        names=names, made=MADE, montage=PHOTOS, gradient=Reference(np.eye(2)), repeats=4, noisy_copies=2
    )  # fmt: skip

    assert choice.queries == queries


def test_a_gradient_that_lies_in_a_file_asks_nothing() -> None:
    """Only where an estimator made the map can its gradient be asked for."""
    gradient = Reference(np.eye(2))

    assert Choice(names=("gradient_cosine",), gradient=gradient).queries == 1
    assert Choice(names=("gradient_cosine",), gradient=gradient, made=Making(Rise(queries=10))).queries == 1


@pytest.mark.parametrize(
    ("name", "told"),
    [("repeatability", "--method"), ("max_sensitivity", "--method"), ("grid_pointing", "--montage"),
     ("gradient_cosine", "--gradient")],
)  # fmt: skip
def test_what_a_metric_needs_is_asked_for(name: str, told: str) -> None:
    """The refusal names the option."""
    with pytest.raises(UsageError, match=f"{name}.*{told}"):
        Choice(names=(name,))


def test_a_montage_is_not_explained_without_a_method() -> None:
    """The other photos alone do not say how."""
    with pytest.raises(UsageError, match="--method"):
        Choice(names=("grid_pointing",), montage=PHOTOS)


@pytest.mark.parametrize("name", ["r_sal", "pointing"])
def test_a_metric_of_boxes_needs_one(name: str) -> None:
    """The refusal says how a box is given."""
    with pytest.raises(UsageError, match="--box"):
        Choice(names=(name,))


@pytest.mark.parametrize(
    ("bad", "told"),
    [({"names": ("sgr",)}, "srg"), ({"fill": "gray"}, "grey"), ({"insertion_fill": "blurr"}, "blur")],
)
def test_unknown_names_are_refused(bad: dict[str, Any], told: str) -> None:
    """The refusal says what is known."""
    with pytest.raises(UnknownName, match=told):
        Choice(**bad)


@pytest.mark.parametrize("bad", [{"steps": 0}, {"copies": 0}, {"fill": 256.0}, {"repeats": 0}, {"radius": 0.0}])
def test_bad_numbers_are_refused(bad: dict[str, Any]) -> None:
    """A number out of its range is found before anything is asked."""
    with pytest.raises(UsageError, match=next(iter(bad))):
        Choice(**bad)


def case(choice: Choice, values: Any) -> Case:
    x = np.full((*np.shape(values), 3), 90, dtype=np.uint8)
    return Case(
        x=x, domain=UINT8, values=values, in_photo=values, seed=0, given=choice.given, to_photo=lambda found: found,
        cells=lambda: [x] * (len(choice.montage) + 1),
    )  # fmt: skip


def test_curves_become_measurements_with_their_fills_and_steps() -> None:
    """Every number says what it rests on."""
    choice = Choice(names=("aopc", "srg"), steps=2, fill=20.0)
    curves = Curves(
        np.array([0.0, 0.5, 1.0]), np.array([0.8, 0.2, 0.2]), np.array([0.1, 0.7, 0.8]), 20.0, "blur", unanswered=1
    )
    (question,) = choice.questions()

    found = choice.measurements(case(choice, np.eye(2)), {question: curves})

    assert [(f.metric, f.better, f.fill, f.steps, f.queries, f.unanswered) for f in found] == [
        ("deletion", "lower", "20.0", 2, 3, 1),
        ("insertion", "higher", "blur", 2, 3, 1),
        ("srg", "higher", "20.0, blur", 2, 5, 1),
        ("aopc", "higher", "20.0", 2, 3, 1),
    ]
    assert [f.value for f in found] == pytest.approx([0.35, 0.575, 0.225, 0.5])


def test_measurements_of_boxes_ask_nothing() -> None:
    """They rest on the map alone, and hide nothing."""
    choice = Choice(names=("r_sal", "pointing"), boxes=(Box(0, 0, 2, 1),))

    found = choice.measurements(case(choice, np.array([[1.0, 2.0, 5.0, 0.0]])), {})

    assert choice.questions() == {}
    assert [(f.metric, f.value, f.queries, f.fill) for f in found] == [
        ("r_sal", 0.375, 0, ""),
        ("pointing", 1.0, 0, ""),
    ]
    assert not any(math.isnan(f.value) for f in found)


def test_an_option_of_one_metric_is_its_own() -> None:
    """A specification's option comes before the one that all share, which the other metrics keep."""
    choice = Choice(names=("srg:steps=4,fill=30", "aopc", "infidelity:side=.5", "mu_fidelity"), steps=8, copies=6)

    assert [type(metric).__name__ for metric in choice.metrics.values()] == ["Srg", "Aopc", "Infidelity", "MuFidelity"]
    assert choice.queries == 1 + 8 + 16 + 6 + 6
    assert choice.fills == [30.0, "blur", "grey"]
    assert list(choice.questions())[1] == repr(DeletionInsertion(steps=8))


def test_what_a_result_is_known_by_is_as_it_was() -> None:
    """The texts that name runs and results are those of older versions, to the letter."""
    choice = Choice(names=("srg", "repeatability", "max_sensitivity", "grid_pointing", "gradient_cosine"),
                    made=Making(GradientMap(estimator=LikelihoodRatio(queries=10)), 3), montage=PHOTOS,
                    gradient=Reference(np.eye(2)))  # fmt: skip
    estimator = repr(LikelihoodRatio(queries=10))
    made = f"Making(method=GradientMap(estimator={estimator}), seed=3)"

    assert repr(Choice()) == (
        "Choice(names=(), steps=56, copies=128, fill='grey', insertion_fill='blur', boxes=(), repeats=3, "
        "noisy_copies=3, radius=5.1, montage=(), gradient=None, made=None)"
    )
    assert list(choice.questions()) == [
        "DeletionInsertion(steps=56, deletion_fill='grey', insertion_fill='blur')",
        f"Again(metric=Repeatability(repeats=3), made={made})",
        f"Again(metric=MaxSensitivity(copies=3, radius=5.1), made={made})",
        f"InMontage(made={made}, others={PHOTOS!r})",
        f"GradientAgain(estimator={estimator}, seed=3)",
    ]
    assert list(Choice(names=("mu_fidelity", "infidelity")).questions()) == [
        "Infidelity(copies=128, side=0.25, fill='grey', scale='best')",
        "MuFidelity(copies=128, cells=9, share=0.2, fill='grey', correlation='pearson')",
    ]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("grey", 127.0, True), ("grey", 127, True), ("black", 0.0, True), ("blur", "blur", True), ("blur", 127.0, False),
     ("grey", "blur", False), (20, 20.0, True), (20.0, 21.0, False)],
)  # fmt: skip
def test_a_fill_has_one_meaning_by_name_and_by_level(one: Any, other: Any, same: bool) -> None:
    """The grey that a method writes as 127.0 is the grey of a metric."""
    assert same_fill(one, other) is same
