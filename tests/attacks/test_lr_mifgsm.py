"""MI-FGSM on likelihood-ratio gradients, against classifiers whose boundary is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bbquery.attacks.lr_mifgsm import LrMifgsm, clipped
from bbquery.attacks.lr_mifgsm_paper import PublishedLrMifgsm
from bbquery.errors import UnknownName, UsageError
from bbquery.plan import Ask, replay
from bbquery.types import FLOAT, UINT8, Decision, Domain, Scores

if TYPE_CHECKING:
    from bbquery.attacks import AttackResult

pytestmark = pytest.mark.slow

SIDE = 16
X = np.full((SIDE, SIDE, 3), 128, np.uint8)


@dataclass
class HalfSpace:
    """A label that changes where w · (x' - x) reaches a distance (RMSE), for a smooth unit normal w; values 1 or 0."""

    distance: float
    seed: int = 0
    refuses: Callable[[np.ndarray], bool] = lambda _: False
    asked: list[np.ndarray] = field(default_factory=list)

    def __post_init__(self) -> None:
        rng = np.random.default_rng((99, self.seed))
        phases, waves = rng.uniform(0, 2 * np.pi, 3), rng.uniform(0.1, 0.4, (3, 2))
        rows, columns = np.mgrid[:SIDE, :SIDE]
        planes = [np.cos(rows * a + columns * b + phase) for (a, b), phase in zip(waves, phases, strict=True)]
        w = np.stack(planes, axis=-1)
        self.normal = w / np.sqrt(np.mean(w**2))

    def adversarial(self, image: np.ndarray) -> bool:
        projection = float(np.mean(self.normal * (image.astype(float) - X))) / 255
        return projection >= self.distance

    def __call__(self, ask: Ask) -> Scores:
        images = [ask.images[row] for row in range(len(ask.images))]
        self.asked += images
        decided = [Decision.UNDECIDED if self.refuses(i) else Decision(not self.adversarial(i)) for i in images]
        values = [math.nan if d == Decision.UNDECIDED else float(d) for d in decided]
        return Scores(np.array(decided, np.int8), np.array(values))


def distance(image: np.ndarray) -> float:
    return float(np.sqrt(np.mean((image.astype(float) - X) ** 2))) / 255


def run(attack: LrMifgsm, model: HalfSpace, seed: int = 0, domain: Domain = UINT8) -> AttackResult:
    return replay(attack.plan(X, domain, seed), model)


@pytest.mark.slow
def test_the_distance_to_a_plane_is_found_within_a_quarter() -> None:
    """Over 12 planes and seeds no result beats the true distance, and mean excess with interval is below 25 %."""
    ratios = []
    for seed in range(12):
        model = HalfSpace(0.03, seed=seed)
        result = run(LrMifgsm(queries=1500, cells=6), model, seed)
        ratios.append(result.rmse / 0.03)

    half = 2.2 * np.std(ratios, ddof=1) / np.sqrt(len(ratios))  # Student's t, 11 degrees of freedom, 95 %
    assert min(ratios) >= 1
    assert np.mean(ratios) + half < 1.25


def test_each_departure_from_the_paper_pays() -> None:
    """On the same plane the default finds what the published form, at equal queries, does not even find."""
    ours = run(LrMifgsm(queries=1000, cells=6), HalfSpace(0.05))
    published = run(PublishedLrMifgsm(queries=1000), HalfSpace(0.05))

    assert ours.rmse < 0.07
    assert published.rmse > 1.5 * ours.rmse


@pytest.mark.parametrize(
    "attack",
    [
        LrMifgsm(queries=700, cells=6),
        LrMifgsm(queries=700, noise="full", sigma=30.0),
        LrMifgsm(queries=700, cells=6, norm="linf"),
        LrMifgsm(queries=700, cells=6, ball="fixed", rmse=0.2, steps=10),
        LrMifgsm(queries=700, cells=6, centred=False, momentum=0.5, alpha=0.02, copies=60, steps=4),
        PublishedLrMifgsm(queries=700, rmse=0.2, value_weight=0.5),
    ],
    ids=repr,
)
def test_the_result_is_the_nearest_adversarial_image_that_was_asked(attack: LrMifgsm) -> None:
    """Whatever the options: of all images that left, adversarial ones, the nearest is returned, byte for byte."""
    model = HalfSpace(0.005)

    result = run(attack, model)

    adversarial = [image for image in model.asked if model.adversarial(image)]
    assert result.best is not None
    assert model.adversarial(result.best)
    assert result.rmse == pytest.approx(min(map(distance, adversarial)), abs=1e-12)
    assert result.rmse == pytest.approx(distance(result.best), abs=1e-12)
    assert all(image.dtype == np.uint8 for image in model.asked)
    assert result.queries == len(model.asked) <= attack.queries


@given(
    queries=st.integers(1, 900),
    steps=st.none() | st.integers(1, 12),
    copies=st.none() | st.integers(1, 40),
    sigma=st.none() | st.floats(1.0, 90.0),
    ball=st.sampled_from(["shrinking", "fixed"]),
    reach=st.sampled_from([0.001, 0.05, 5.0]),
)
@settings(max_examples=40)
def test_no_more_is_asked_than_allowed(
    queries: int, steps: int | None, copies: int | None, sigma: float | None, ball: str, reach: float
) -> None:
    """Any options either are refused before a query, or ask at most `queries` rows, wherever the boundary lies."""
    try:
        attack = LrMifgsm(queries=queries, steps=steps, copies=copies, sigma=sigma, ball=ball, cells=4)  # type: ignore[arg-type] # drawn from the choices
    except UsageError as error:
        assert "needs at least" in str(error)  # noqa: PT017 - either way is right
        return
    model = HalfSpace(reach)

    result = run(attack, model)

    assert len(model.asked) == result.queries <= queries


@given(stop=st.integers(0, 400))
@settings(max_examples=25)
def test_stopped_anywhere_it_returns_the_best_so_far(stop: int) -> None:
    """At any stop the result is the nearest adversarial among the rows that were answered until then."""
    model = HalfSpace(0.05)

    result = replay(LrMifgsm(queries=500, cells=6).plan(X, UINT8, 0), model, stop_after=stop)

    adversarial = [distance(image) for image in model.asked if model.adversarial(image)]
    assert len(model.asked) == result.queries == min(stop, len(model.asked))
    assert result.rmse == pytest.approx(min(adversarial, default=math.inf))
    assert (result.best is None) == (not adversarial)


def test_the_same_seed_asks_the_same_bytes_and_another_one_others() -> None:
    """A rerun is answered from a store: each image is equal to the bit."""
    first, second, other = HalfSpace(0.05), HalfSpace(0.05), HalfSpace(0.05)
    for model, seed in ((first, 3), (second, 3), (other, 4)):
        run(LrMifgsm(queries=400, cells=6), model, seed)

    assert [i.tobytes() for i in first.asked] == [i.tobytes() for i in second.asked]
    assert [i.tobytes() for i in first.asked] != [i.tobytes() for i in other.asked]


def test_what_was_not_decided_is_no_success() -> None:
    """A model that refuses to answer about what lies beyond the boundary is not fooled, and refusals are counted."""
    model = HalfSpace(0.02)
    model.refuses = model.adversarial

    result = run(LrMifgsm(queries=500, cells=6), model)

    assert result.best is None
    assert result.rmse == math.inf
    assert result.trace == ()
    assert 0 < result.undecided == sum(map(model.adversarial, model.asked))


def test_refusals_lead_nowhere() -> None:
    """A model that refuses all that is brighter at the top is attacked as well as others: silence is no evidence."""
    model = HalfSpace(0.03, seed=1)  # whose own direction is hardly refused

    def brighter_at_the_top(image: np.ndarray) -> bool:
        return bool(image[: SIDE // 2].mean() > image[SIDE // 2 :].mean() + 0.5)

    model.refuses = brighter_at_the_top
    result = run(LrMifgsm(queries=1500, cells=6), model)

    assert result.undecided > 200
    assert result.rmse < 1.3 * 0.03


def test_a_label_that_never_changes_is_left_in_peace() -> None:
    """Without any change nothing is learnt and nothing found, and every step is still recorded."""
    result = run(LrMifgsm(queries=400, cells=6, steps=3), HalfSpace(9.0))

    assert result.best is None
    assert [step.changed for step in result.steps] == [0.0, 0.0, 0.0]


def test_the_trace_only_goes_down() -> None:
    """Each point is a new best, nearer and later than the one before; the last is the result."""
    result = run(LrMifgsm(queries=600, cells=6), HalfSpace(0.05))

    queries, distances = [p.queries for p in result.trace], [p.rmse for p in result.trace]
    assert queries == sorted(set(queries))
    assert distances == sorted(set(distances), reverse=True)
    assert distances[-1] == result.rmse


def test_calibration_makes_a_part_of_the_copies_change() -> None:
    """The first step's noise changes the label of some copies and not of all."""
    result = run(LrMifgsm(queries=1200, cells=6), HalfSpace(0.04))

    assert 0.05 < result.steps[0].changed < 0.7


def test_the_noise_follows_the_share_that_changes() -> None:
    """In a fixed ball, where nothing ever changes, the noise grows step by step up to its limit."""
    result = run(LrMifgsm(queries=600, cells=6, ball="fixed", steps=5), HalfSpace(9.0))
    falling = run(LrMifgsm(queries=600, cells=6, ball="fixed", steps=5, rmse=0.4), HalfSpace(0.01))

    assert [step.sigma for step in result.steps] == sorted(step.sigma for step in result.steps)
    assert falling.steps[-1].sigma < falling.steps[0].sigma


def test_the_published_iterates_pass_through_every_distance() -> None:
    """Sign steps of a tenth of the ball, as they were sent, lie within .01, .02, ... .1: rounded towards the photo."""
    model = HalfSpace(9.0)

    run(PublishedLrMifgsm(queries=210, momentum=1e9), model)  # so that the first sign pattern is kept

    iterates = [distance(image) for image in model.asked[20::21]]
    bounds = [math.floor(255 * 0.01 * t + 1e-9) / 255 for t in range(1, 11)]
    assert iterates == pytest.approx(bounds, rel=1e-3)
    assert all(iterate <= 0.01 * t for t, iterate in enumerate(iterates, start=1))


def test_a_ball_is_a_ball() -> None:
    """Clipping leaves what is inside, and brings the rest to the surface: by length, or value by value."""
    change = np.array([[[3.0, -4.0, 0.0]]])

    assert np.array_equal(clipped(change, 10.0, "l2"), change)
    assert np.sqrt(np.mean(clipped(change, 1.0, "l2") ** 2)) == pytest.approx(1.0)
    assert np.array_equal(clipped(change, 3.5, "linf"), [[[3.0, -3.5, 0.0]]])


def test_floating_point_pixels_are_neither_rounded_nor_clipped() -> None:
    """On a float domain the boundary is met more exactly than grey levels allow."""
    model = HalfSpace(0.002)

    result = run(LrMifgsm(queries=1200, cells=6), model, domain=FLOAT)

    assert 0.002 <= result.rmse < 0.0032


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"queries": 0}, "queries"),
        ({"queries": 100}, "needs at least"),
        ({"steps": 0}, "steps"),
        ({"copies": 0}, "copies"),
        ({"rmse": 0.0}, "rmse"),
        ({"alpha": -1.0}, "alpha"),
        ({"sigma": math.inf}, "sigma"),
        ({"cells": 0}, "cells"),
        ({"value_weight": 1.5}, "value_weight"),
        ({"momentum": -0.1}, "momentum"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, float], said: str) -> None:
    """Numbers out of their range are usage errors that name the option."""
    with pytest.raises(UsageError, match=said):
        LrMifgsm(**options)  # type: ignore[arg-type] # numbers of either kind


@pytest.mark.parametrize("option", ["noise", "ball", "norm"])
def test_unknown_choices_are_refused(option: str) -> None:
    """A choice that does not exist is named, with those that do."""
    with pytest.raises(UnknownName, match=option):
        LrMifgsm(**{option: "round"})  # type: ignore[arg-type] # on purpose
