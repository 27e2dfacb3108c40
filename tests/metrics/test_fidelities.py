from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr

from bbquery.errors import UnknownName, UsageError
from bbquery.metrics._hidden import HiddenCopies
from bbquery.metrics.infidelity import Infidelity, Squares
from bbquery.metrics.max_sensitivity import MaxSensitivity
from bbquery.metrics.mu_fidelity import Cells, MuFidelity
from bbquery.plan import Ask, Yielded, replay, step
from bbquery.saliency import Method
from bbquery.saliency.rise import Rise
from bbquery.types import FLOAT, UINT8, SaliencyMap, Scores

if TYPE_CHECKING:
    from collections.abc import Callable

    from bbquery.plan import Plan
    from bbquery.types import Image

SIZE = (12, 16)
RNG = np.random.default_rng(8)
WHITE = np.full((*SIZE, 3), 255, dtype=np.uint8)
PHOTO = RNG.integers(0, 256, (*SIZE, 3)).astype(np.uint8)
WEIGHTS = RNG.normal(size=SIZE)
INFIDELITY = Infidelity(copies=40, fill="black")
MU = MuFidelity(copies=40, cells=4, fill="black")


def answer(score: Callable[[Image], float]) -> Callable[[Ask], Scores]:
    """Answer each row with the score of its image."""

    def answers(ask: Ask) -> Scores:
        values = np.array([score(ask.images[row]) for row in range(len(ask.images))])
        return Scores(np.zeros(len(values), dtype=np.int8), values)

    return answers


def weighed(image: Image) -> float:
    """A score that adds up over pixels."""
    return float(np.sum(WEIGHTS * image.mean(axis=-1))) / 255


def seen(image: Image) -> float:
    """The same score, with every third row refused by what it shows; the whole photo is answered."""
    return math.nan if int((image == 0).all(axis=-1).argmax()) % 3 == 1 else weighed(image)


# --- infidelity ---


@pytest.mark.parametrize("scale", ["best", "none"])
def test_the_weights_of_a_sum_have_no_infidelity(scale: Any) -> None:
    """Where the score adds up over pixels, a map of its weights foretells every loss."""
    metric = Infidelity(copies=20, fill="black", scale=scale)

    found = replay(metric.plan(WHITE, UINT8, WEIGHTS, 1), answer(weighed))

    assert found.infidelity == pytest.approx(0, abs=1e-20)
    assert found.explained == pytest.approx(1)
    assert found.scale == pytest.approx(1)


def test_a_gradient_is_multiplied_by_what_was_realised() -> None:
    """A gradient in score per grey level foretells the losses of a linear score, whatever rounding did to the fill."""
    gradient = np.repeat(WEIGHTS[..., None], 3, axis=2) / (3 * 255)
    metric = Infidelity(copies=20, fill=100.4, scale="none")

    found = replay(metric.plan(PHOTO, UINT8, gradient, 1), answer(weighed))

    assert found.infidelity == pytest.approx(0, abs=1e-20)


def test_the_best_scale_makes_units_indifferent() -> None:
    """A map in other units is as good, and the scale says what its units are."""
    one, other = (replay(INFIDELITY.plan(PHOTO, UINT8, k * WEIGHTS, 1), answer(weighed)) for k in (1.0, 50.0))

    assert other.infidelity == pytest.approx(one.infidelity)
    assert other.scale == pytest.approx(one.scale / 50)
    assert 0 < one.explained < 1


def test_a_map_that_points_the_wrong_way_explains_nothing() -> None:
    """Turning a map round is no change of units: at best it is taken for zero."""
    found = replay(INFIDELITY.plan(PHOTO, UINT8, -WEIGHTS, 1), answer(weighed))

    assert (found.scale, found.explained) == (0, 0)


def test_a_map_of_zeros_explains_nothing() -> None:
    """Its infidelity is the mean squared loss."""
    found = replay(INFIDELITY.plan(PHOTO, UINT8, np.zeros(SIZE), 1), answer(weighed))

    copies = HiddenCopies(PHOTO, np.zeros_like(PHOTO), Squares(SIZE, 0.25), copies=40, key=(1, 0))
    lost = np.array([weighed(copies[0]) - weighed(copies[row]) for row in range(1, 41)])
    assert found.infidelity == pytest.approx(np.mean(lost**2))
    assert found.explained == pytest.approx(0)
    assert found.scale == 0


def test_a_score_that_never_moves_explains_nothing() -> None:
    """No loss is foretold best by a scale of exactly 0, and no share of it is claimed."""
    found = replay(INFIDELITY.plan(PHOTO, UINT8, WEIGHTS, 1), answer(lambda _: 0.1))

    assert (found.infidelity, found.scale) == (0, 0)
    assert math.isnan(found.explained)


def test_refused_copies_are_left_out_and_counted() -> None:
    """No answer is no loss: the weights of a sum still have no infidelity."""
    found = replay(INFIDELITY.plan(WHITE, UINT8, WEIGHTS, 1), answer(seen))

    assert 0 < found.answered < found.copies == 40
    assert found.infidelity == pytest.approx(0, abs=1e-20)


@pytest.mark.parametrize("metric", [INFIDELITY, MU])
def test_without_the_photos_own_score_nothing_can_be_lost(metric: Any) -> None:
    """If the photo itself is refused, every figure is NaN."""
    whole = answer(lambda image: math.nan if (image == 255).all() else weighed(image))

    found = replay(metric.plan(WHITE, UINT8, WEIGHTS, 1), whole)

    assert found.answered == 0
    assert math.isnan(found.correlation if metric is MU else found.infidelity)


@pytest.mark.parametrize("metric", [INFIDELITY, MU])
def test_every_paid_copy_counts(metric: Any) -> None:
    """A run that is stopped rests on what was answered."""
    found = replay(metric.plan(PHOTO, UINT8, WEIGHTS, 1), answer(weighed), stop_after=11)

    assert (found.answered, found.copies) == (10, 40)
    assert math.isfinite(found.correlation if metric is MU else found.infidelity)


@given(side=st.floats(0.01, 0.99), seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_a_square_is_whole_and_of_its_side(side: float, seed: int) -> None:
    """Wherever it lies, it has the same number of pixels, at least one."""
    hidden = Squares(SIZE, side)(np.random.default_rng(seed))

    rows, columns = np.flatnonzero(hidden.any(axis=1)), np.flatnonzero(hidden.any(axis=0))
    assert len(rows) == len(columns) == max(1, round(side * 12))
    assert hidden.sum() == len(rows) * len(columns)


def test_squares_reach_every_corner() -> None:
    """A square may lie at each border."""
    hidden = np.any([Squares(SIZE, 0.5)(np.random.default_rng(seed)) for seed in range(200)], axis=0)

    assert hidden.all()


# --- µFidelity ---


def test_the_weights_of_a_sum_have_full_fidelity() -> None:
    """Where the score adds up, a map of its weights goes along with every loss, in any positive unit."""
    found = replay(MU.plan(WHITE, UINT8, 5 * WEIGHTS, 1), answer(weighed))
    reverse = replay(MU.plan(WHITE, UINT8, -WEIGHTS, 1), answer(weighed))

    assert found.correlation == pytest.approx(1)
    assert reverse.correlation == pytest.approx(-1)


@pytest.mark.parametrize(("name", "scipys"), [("pearson", pearsonr), ("spearman", spearmanr)])
def test_the_correlation_is_scipys(name: Any, scipys: Any) -> None:
    """Pearson's and Spearman's correlations agree with SciPy's, over the same losses."""
    metric = MuFidelity(copies=40, cells=4, fill="black", correlation=name)
    values = WEIGHTS + RNG.normal(size=SIZE)

    found = replay(metric.plan(PHOTO, UINT8, values, 3), answer(weighed))

    copies = HiddenCopies(PHOTO, np.zeros_like(PHOTO), Cells(SIZE, 4, 0.2), copies=40, key=(3, 0))
    lost = [weighed(PHOTO) - weighed(copies[row]) for row in range(1, 41)]
    foretold = [values[copies.hidden(row)].sum() for row in range(1, 41)]
    assert found.correlation == pytest.approx(scipys(foretold, lost).statistic)


@pytest.mark.parametrize(
    ("values", "score"), [(WEIGHTS, lambda _: 0.1), (np.zeros(SIZE), weighed), (np.ones(SIZE), weighed)]
)
def test_what_does_not_move_has_no_correlation(values: Any, score: Any) -> None:
    """A score or a map without differences goes along with nothing."""
    assert math.isnan(replay(MU.plan(PHOTO, UINT8, values, 1), answer(score)).correlation)


def test_one_answer_is_no_correlation() -> None:
    """Below two copies there is nothing to go along with."""
    assert math.isnan(replay(MU.plan(PHOTO, UINT8, WEIGHTS, 1), answer(weighed), stop_after=2).correlation)


@given(cells=st.integers(1, 12), share=st.floats(0.01, 0.99), seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_as_many_cells_are_hidden_each_time(cells: int, share: float, seed: int) -> None:
    """Whole cells, always the same number of them, at least one."""
    hidden = Cells(SIZE, cells, share)(np.random.default_rng(seed))

    row, column = (np.searchsorted(np.arange(side) * cells // side, np.arange(cells)) for side in SIZE)
    grid = hidden[np.ix_(row, column)]
    assert grid.sum() == max(1, round(share * cells**2))
    np.testing.assert_array_equal(hidden, grid[np.ix_(np.arange(12) * cells // 12, np.arange(16) * cells // 16)])


# --- max-sensitivity ---


@dataclass
class Multiple(Method):
    """A method whose map of a copy is so many times that of the photo."""

    factor: float
    queries: int = 1
    adaptive: bool = False

    def plan(self, x: Image, domain: Any, seed: int) -> Plan[SaliencyMap]:
        scores = yield Ask(x[None])
        values = seed * WEIGHTS if (x == PHOTO).all() else seed * self.factor * WEIGHTS
        return SaliencyMap(values, signed=True, unit="score", rows=1, answered=int(scores.answers.sum()))


@pytest.mark.parametrize(("factor", "away"), [(1.0, 0.0), (2.0, 1.0), (-1.0, 2.0)])
def test_the_distance_of_maps_is_a_share_of_their_length(factor: float, away: float) -> None:
    """The same map is 0 away, twice the map 1, and its reverse 2; every map is made with the same seed."""
    found = replay(MaxSensitivity(noisy_copies=2, radius=9.0).plan(PHOTO, UINT8, Multiple(factor), 1), answer(weighed))

    assert found.largest == pytest.approx(away)
    assert found.mean == pytest.approx(away)
    assert (found.copies, found.radius, found.partial) == (2, 9.0, False)


def test_a_map_of_zeros_has_no_sensitivity() -> None:
    """There is no length to be a share of."""
    found = replay(MaxSensitivity(noisy_copies=2).plan(PHOTO, UINT8, Rise(queries=4), 1), answer(lambda _: 0.5))

    assert math.isnan(found.largest)
    assert math.isnan(found.mean)


def test_maps_that_were_cut_short_are_said_to_be() -> None:
    """A stopped run still compares maps, and says that they rest on less."""
    metric = MaxSensitivity(noisy_copies=2)
    found = replay(metric.plan(PHOTO, UINT8, Rise(queries=20, batch=10), 1), answer(weighed), stop_after=40)

    assert found.partial
    assert math.isfinite(found.largest)


def test_a_map_of_each_copy_is_asked() -> None:
    """The queries are announced: a map of the photo and one of each copy."""
    metric, method = MaxSensitivity(noisy_copies=3), Rise(queries=20)
    asked = step(metric.plan(PHOTO, UINT8, method, 1), None)

    assert isinstance(asked, Yielded)
    assert asked.ask.queries == metric.queries(method) == 80


def test_copies_stay_within_the_radius() -> None:
    """No value moves by more than the radius, every copy is its own, and pixels stay pixels."""
    metric = MaxSensitivity(noisy_copies=2, radius=4.0)
    one, other = (metric.noisy(PHOTO, UINT8, copy, 0) for copy in range(2))
    moved = np.abs(metric.noisy(PHOTO, FLOAT, 0, 0) - PHOTO)

    assert one.dtype == np.uint8
    assert (one != other).any()
    assert 3.9 < moved.max() <= 4.0
    assert np.abs(one.astype(int) - PHOTO).max() <= 4


# --- what is refused ---


@pytest.mark.parametrize(
    ("made", "bad"),
    [
        (Infidelity, {"copies": 0}),
        (Infidelity, {"side": 1.0}),
        (Infidelity, {"fill": 300}),
        (MuFidelity, {"copies": 0}),
        (MuFidelity, {"cells": 0}),
        (MuFidelity, {"share": 0.0}),
        (MuFidelity, {"fill": -1}),
        (MaxSensitivity, {"noisy_copies": 0}),
        (MaxSensitivity, {"radius": 0}),
    ],
)
def test_bad_options_are_refused(made: Any, bad: dict[str, Any]) -> None:
    """A number out of its range is named in the refusal."""
    with pytest.raises(UsageError, match=next(iter(bad))):
        made(**bad)


@pytest.mark.parametrize(
    ("made", "bad"),
    [
        (Infidelity, {"fill": "gray"}),
        (Infidelity, {"scale": "half"}),
        (MuFidelity, {"fill": "gray"}),
        (MuFidelity, {"correlation": "kendall"}),
    ],
)
def test_unknown_names_are_refused(made: Any, bad: dict[str, Any]) -> None:
    """The refusal says what is known."""
    with pytest.raises(UnknownName, match="known"):
        made(**bad)


@pytest.mark.parametrize("metric", [INFIDELITY, MU])
@pytest.mark.parametrize("values", [np.zeros((16, 12)), np.zeros((*SIZE, 1)), np.full(SIZE, np.nan)])
def test_a_map_that_does_not_fit_is_refused(metric: Any, values: Any) -> None:
    """A map of another shape, or with NaN, is refused before anything is asked."""
    with pytest.raises(UsageError, match="a map"):
        step(metric.plan(PHOTO, UINT8, values, 1), None)


def test_more_cells_than_pixels_are_refused() -> None:
    """A cell has at least one pixel."""
    with pytest.raises(UsageError, match="13 cells"):
        step(MuFidelity(cells=13).plan(PHOTO, UINT8, WEIGHTS, 1), None)
