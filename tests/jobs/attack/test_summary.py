"""What attacks come to over photos: which count, how failures count, and what is told apart."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from bbquery.attacks import Point
from bbquery.jobs.attack.summary import Finding, Summary, summary
from bbquery.jobs.chance import OUTSIDE


def finding(image: str, attack: str = "a", rmse: float = math.inf, **more: Any) -> Finding:
    """Return a finding of an attack that asked 100 queries and found its image at the fiftieth."""
    found = math.isfinite(rmse)
    own: dict[str, Any] = {
        "image": image, "attack": attack, "given": f"{attack}:steps=2", "control": attack.startswith("control"),
        "status": "complete", "outcome": "adversarial" if found else "not found", "rmse": rmse, "linf": 2 * rmse,
        "queries": 100, "trace": (Point(20, 3 * rmse, 3 * rmse), Point(50, rmse, rmse)) if found else (),
        "labels": {"lynx": 5} if found else {}, "survived": None,
    }  # fmt: skip
    return Finding(**(own | more))


def of(**distances: list[float]) -> Summary:
    findings = [
        finding(f"photo-{place}", attack, rmse)
        for attack, several in distances.items()
        for place, rmse in enumerate(several)
    ]
    return summary(findings, (0.1, 0.01), linf_thresholds=(0.1,))


def test_successes_are_counted_within_each_distance() -> None:
    """Of four photos, two lie within .1 and one within .01; failures count among all."""
    (row,) = of(a=[0.005, 0.06, 0.2, math.inf]).rows

    assert [(share.value, share.n) for share in row.successes.values()] == [(0.5, 4), (0.25, 4)]
    assert row.linf_successes[0.1].value == 0.25
    assert row.median.value == pytest.approx(0.13)


def test_what_lacks_its_label_or_was_stopped_is_left_out_and_counted_apart() -> None:
    """A misclassified photo and an attack that had fewer queries are in no share, but are told."""
    findings = [
        finding("one", rmse=0.02),
        finding("two", outcome="not attacked"),
        finding("three", rmse=0.001, status="partial"),
        finding("four", status="not begun", outcome=None),
    ]

    (row,) = summary(findings, (0.1,)).rows

    assert (row.photos, row.successes[0.1].n, row.not_attacked, row.incomplete) == (1, 1, 1, 2)
    assert row.median.value == 0.02


def test_what_was_found_and_not_verified_is_infinitely_far() -> None:
    """A refuted image has a trace, and still no distance at any number of queries."""
    refuted = finding("one", rmse=0.02, outcome="refuted")

    assert np.isinf(refuted.distances(np.array([1, 60, 100]))).all()


def test_the_distance_after_some_queries_is_that_of_the_nearest_image_by_then() -> None:
    """Before the first image it is infinite; each new one counts from its own query on."""
    found = finding("one", rmse=0.02).distances(np.array([1, 19, 20, 49, 50, 100]))

    assert found.tolist() == pytest.approx([math.inf, math.inf, 0.06, 0.06, 0.02, 0.02])


def test_attacks_are_compared_on_the_photos_that_both_attacked() -> None:
    """A failure is farther than a success; the ratio is of those that both succeeded on."""
    (pair,) = of(a=[0.01, 0.02, 0.03, math.inf, 0.05], b=[0.02, 0.04, math.inf, math.inf]).pairs

    assert (pair.photos, pair.nearer) == (4, (3, 0))
    assert pair.ratio.value == pytest.approx(0.5)
    assert pair.ratio.n == 2
    assert pair.chance == pytest.approx(0.25)
    assert (pair.within[0.01].one, pair.within[0.01].other) == (1, 0)
    assert not pair.told_apart


def test_few_photos_are_never_told_apart() -> None:
    """Five photos of five may be chance; six of six are told apart, and of three attacks it takes more."""
    near, far = [0.001] * 8, [0.1] * 8

    assert not of(a=near[:5], b=far[:5]).pairs[0].told_apart
    assert of(a=near[:6], b=far[:6]).pairs[0].told_apart
    assert of(a=near[:6], b=far[:6], c=[0.01] * 6).alike
    assert not of(a=near, b=far, c=[0.01] * 8).alike


def test_equal_attacks_are_seldom_told_apart() -> None:
    """Of 200 comparisons of distances that differ by chance alone, about one in twenty at most says otherwise."""
    rng = np.random.default_rng(0)

    wrong = sum(
        of(a=rng.lognormal(-4, 1, 12).tolist(), b=rng.lognormal(-4, 1, 12).tolist()).pairs[0].told_apart
        for _ in range(200)
    )

    assert wrong <= 200 * OUTSIDE + 3


def test_controls_stand_last_and_are_not_compared() -> None:
    """A control has a row after the attacks, and no pair."""
    found = of(**{"control-blur": [0.1], "a": [0.1], "b": [0.2]})

    assert [row.attack for row in found.rows] == ["a", "b", "control-blur"]
    assert [(pair.one, pair.other) for pair in found.pairs] == [("a", "b")]
