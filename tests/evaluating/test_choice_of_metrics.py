from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from bbquery.errors import UnknownName, UsageError
from bbquery.evaluating.metrics import METRICS, Choice, figures, same_fill
from bbquery.metrics.boxes import Box
from bbquery.metrics.deletion_insertion import Curves

BOXES = (Box(0, 0, 2, 2),)


def test_all_that_can_be_had_is_the_default() -> None:
    """Without a box there are no metrics of boxes; with one there are all."""
    assert Choice().chosen == ("srg", "aopc", "infidelity", "mu_fidelity")
    assert Choice(boxes=BOXES).chosen == tuple(METRICS)


@pytest.mark.parametrize(
    ("names", "queries"),
    [(("srg",), 113), (("aopc",), 113), (("aopc", "srg"), 113), (("infidelity",), 129), (("r_sal",), 1), ((), 369)],
)
def test_metrics_of_the_same_curves_share_their_queries(names: tuple[str, ...], queries: int) -> None:
    """Every plan asks the whole photo, which is sent once."""
    assert Choice(names=names, boxes=BOXES).queries == queries


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


@pytest.mark.parametrize("bad", [{"steps": 0}, {"copies": 0}, {"fill": 256.0}])
def test_bad_numbers_are_refused(bad: dict[str, Any]) -> None:
    """A number out of its range is found before anything is asked."""
    with pytest.raises(UsageError, match=next(iter(bad))):
        Choice(**bad)


def test_curves_become_figures_with_their_fills_and_steps() -> None:
    """Every number says what it rests on."""
    choice = Choice(names=("aopc", "srg"), steps=2, fill=20.0)
    curves = Curves(
        np.array([0.0, 0.5, 1.0]), np.array([0.8, 0.2, 0.2]), np.array([0.1, 0.7, 0.8]), 20.0, "blur", unanswered=1
    )

    found = figures(choice, {"curves": curves}, np.zeros((2, 2)), 0)

    assert [(f.metric, f.better, f.fill, f.steps, f.queries, f.unanswered) for f in found] == [
        ("deletion", "lower", "20.0", 2, 3, 1),
        ("insertion", "higher", "blur", 2, 3, 1),
        ("srg", "higher", "20.0, blur", 2, 5, 1),
        ("aopc", "higher", "20.0", 2, 3, 1),
    ]
    assert [f.value for f in found] == pytest.approx([0.35, 0.575, 0.225, 0.5])


def test_figures_of_boxes_ask_nothing() -> None:
    """They rest on the map alone, and hide nothing."""
    values = np.array([[1.0, 2.0, 5.0, 0.0]])

    found = figures(Choice(names=("r_sal", "pointing"), boxes=(Box(0, 0, 2, 1),)), {}, values, 0)

    assert [(f.metric, f.value, f.queries, f.fill) for f in found] == [
        ("r_sal", 0.375, 0, ""),
        ("pointing", 1.0, 0, ""),
    ]
    assert not any(math.isnan(f.value) for f in found)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("grey", 127.0, True), ("grey", 127, True), ("black", 0.0, True), ("blur", "blur", True), ("blur", 127.0, False),
     ("grey", "blur", False), (20, 20.0, True), (20.0, 21.0, False)],
)  # fmt: skip
def test_a_fill_has_one_meaning_by_name_and_by_level(one: Any, other: Any, same: bool) -> None:
    """The grey that a method writes as 127.0 is the grey of a metric."""
    assert same_fill(one, other) is same
