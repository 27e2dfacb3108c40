from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from bbquery import load
from bbquery.errors import UnknownName, UsageError
from bbquery.plan import Ask, replay
from bbquery.saliency._gaussian_process import NO_AVERAGES, GaussianProcess, likeliest_length_scale
from bbquery.saliency._window_states import LENGTH_SCALES
from bbquery.saliency.bayes import Acquisition, Bayes, Search, expected_improvement
from bbquery.saliency.random_windows import RandomWindows
from bbquery.types import FLOAT, UINT8, Scores
from tests.support.matern import scale_of, solved

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bbquery.perturb.windows import HiddenWindows
    from bbquery.types import Image

    Array = NDArray[np.float64]

pytestmark = pytest.mark.slow

SIZE = (8, 8)
UNIT = 224 / 8  # of a state, in a pixel of this photo
SIDES = (60.0, 100.0)
WHITE = np.full((*SIZE, 3), 255.0)
EFFECTS = np.random.default_rng(1).normal(size=SIZE)
NOISE = 1e-3


def additive(image: Image) -> float:
    """3 + Σ aₚ mₚ over the pixels p, behind black."""
    return 3.0 + float((EFFECTS * image[..., 0] / 255).sum())


class Oracle:
    """Answers with a score, and remembers what was asked: states (u, v, s), in the paper's unit, and drops."""

    def __init__(self, score: Callable[[Image], float] = additive, refused: set[int] | None = None) -> None:
        self._score, self._refused = score, refused or set()
        self.states: list[Array] = []
        self.values: list[float] = []
        self.sizes: list[int] = []

    def __call__(self, ask: Ask) -> Scores:
        copies = ask.images
        asked: HiddenWindows = getattr(copies, "_parts", [copies])[0]  # a replay that stops hands in the first rows
        for top, left, bottom, right in asked._windows[: len(copies)]:
            self.states.append(np.array([(top + bottom) / 2, (left + right) / 2, bottom - top]) * UNIT)
        start = len(self.values)
        for row in range(len(copies)):
            refused = start + row in self._refused
            self.values.append(math.nan if refused else self._score(copies[row]))
        self.sizes.append(len(copies))
        return Scores(np.zeros(len(copies), np.int8), np.array(self.values[start:]))

    @property
    def answered(self) -> list[int]:
        """Rows but the photo itself that were answered."""
        return [row for row in range(1, len(self.values)) if not math.isnan(self.values[row])]

    @property
    def drops(self) -> Array:
        """Of the answered rows: from the photo's score, or from the mean of all that was answered."""
        values = np.array(self.values)
        reference = values[0] if not math.isnan(values[0]) else np.nanmean(values)
        drops: Array = reference - values[self.answered]
        return drops


def expected(at: Array, states: Array, drops: Array, length_scale: float) -> tuple[Array, Array]:
    """Return mean, and variance in units of σ², of averages (m, g, 3) of states, from the normal equations."""
    return solved(at, states, drops, length_scale=length_scale, noise=NOISE)


def variance_of(drops: Array, states: Array, length_scale: float) -> float:
    """Return σ² by maximum likelihood."""
    return scale_of(states, drops, length_scale=length_scale, noise=NOISE)


def of_pixels(sides: tuple[float, ...] = SIDES) -> Array:
    """Return for each pixel of the photo the states of all sides around its middle."""
    middles = (np.arange(8) + 0.5) * UNIT
    return np.array([[(u, v, s) for s in sides] for u in middles for v in middles])


methods = pytest.mark.parametrize("kind", [RandomWindows, Bayes])


# --- the map ---


@methods
@pytest.mark.parametrize("sides", [SIDES, (80.0,)], ids=["u, v, s", "u, v"])
def test_the_map_is_the_posterior_mean_around_each_pixel_averaged_over_the_sides(
    kind: type[RandomWindows | Bayes], sides: tuple[float, ...]
) -> None:
    """Values and standard errors are those of the normal equations over all drops, solved at once."""
    oracle = Oracle()
    method = kind(queries=40, windows=sides, length_scale=30.0, fill="black")

    found = replay(method.plan(WHITE, FLOAT, 0), oracle)

    states = np.array(oracle.states[1:])
    mean, variance = expected(of_pixels(sides), states, oracle.drops, 30.0)
    error = np.sqrt(variance_of(oracle.drops, states, 30.0) * variance)
    assert (found.rows, found.answered, found.signed, found.notes) == (40, 40, True, ())
    assert found.standard_error is not None
    np.testing.assert_allclose(found.values, mean.reshape(SIZE), atol=1e-8)
    np.testing.assert_allclose(found.standard_error, error.reshape(SIZE), atol=1e-6)


@given(
    kind=st.sampled_from([RandomWindows, Bayes]),
    stop_after=st.integers(0, 26),
    batch=st.integers(1, 25),
    refused=st.sets(st.integers(0, 24)),
)
@settings(deadline=None, max_examples=40)
def test_stopped_anywhere_it_returns_the_map_of_exactly_the_answered_rows(
    kind: type[RandomWindows | Bayes], stop_after: int, batch: int, refused: set[int]
) -> None:
    """Stopped at any query, refusals anywhere: the map is that of the answered rows as if no other had been asked."""
    oracle = Oracle(refused=refused)
    method = kind(queries=25, windows=SIDES, length_scale=30.0, fill="black", batch=batch)

    found = replay(method.plan(WHITE, FLOAT, 3), oracle, stop_after=stop_after)

    kept = oracle.answered
    own = bool(oracle.values and not math.isnan(oracle.values[0]))
    assert (found.rows, found.answered, len(oracle.values)) == (25, len(kept) + own, min(stop_after, 25))
    assert bool(found.notes) == (bool(kept) and not own)
    assert (found.standard_error is None) == (not kept)
    if kept:
        mean, _ = expected(of_pixels(), np.array(oracle.states)[kept], oracle.drops, 30.0)
        np.testing.assert_allclose(found.values, mean.reshape(SIZE), atol=1e-6)
    else:
        assert not found.values.any()


@methods
def test_a_length_scale_can_be_left_to_the_answers(kind: type[RandomWindows | Bayes]) -> None:
    """With length_scale=None the map is that of the length scale that makes the answers likeliest."""
    oracle = Oracle()

    found = replay(kind(queries=40, windows=SIDES, length_scale=None, fill="black").plan(WHITE, FLOAT, 0), oracle)

    states = np.array(oracle.states[1:])
    likeliest = likeliest_length_scale(LENGTH_SCALES, states, oracle.drops, NOISE)
    mean, _ = expected(of_pixels(), states, oracle.drops, likeliest)
    np.testing.assert_allclose(found.values, mean.reshape(SIZE), atol=1e-6)


@methods
def test_a_score_that_never_moves_has_no_map(kind: type[RandomWindows | Bayes]) -> None:
    """All drops of a constant are exactly 0, and so is what is expected of windows that were never hidden."""
    found = replay(kind(queries=30).plan(WHITE, UINT8, 0), Oracle(lambda image: 0.1))

    assert not found.values.any()
    assert found.standard_error is not None
    assert not found.standard_error.any()


@pytest.mark.parametrize("specification", ["random_windows", "bayes", "bayes:acquisition=variance", "bayes:batch=1"])
def test_the_map_finds_a_bump(specification: str) -> None:
    """With 100 queries the map is largest within 20 pixels of where the evidence is, on a photo of 112 by 150."""
    y, x = np.mgrid[:112, :150]
    bump = np.exp(-((y - 70) ** 2 + (x - 40) ** 2) / (2 * 8**2))
    bump /= bump.sum()

    found = replay(
        load.method(specification, queries=100).plan(np.full((112, 150, 3), 255, np.uint8), UINT8, 0),
        Oracle(lambda image: float((bump * image[..., 0]).sum() / 255)),
    )

    at = np.unravel_index(int(found.values.argmax()), found.values.shape)
    assert math.dist(at, (70, 40)) < 20


@methods
def test_refusals_are_counted_by_what_could_be_seen(kind: type[RandomWindows | Bayes]) -> None:
    """Every row is counted, the refused ones as unanswered, where their share of visible pixels was."""
    oracle = Oracle(refused={2, 5, 6})

    found = replay(kind(queries=30, windows=(224.0,)).plan(WHITE, UINT8, 0), oracle)

    assert (sum(v.asked for v in found.visibility), sum(v.unanswered for v in found.visibility)) == (30, 3)
    assert found.visibility[-1].visible == 0.95  # the photo itself


# --- where it looks ---


@methods
def test_the_photo_is_asked_first(kind: type[RandomWindows | Bayes]) -> None:
    """What drops are measured from is the first row, whatever the seed."""
    first: list[Image] = []

    def answer(ask: Ask) -> Scores:
        first.append(ask.images[0])
        return Scores(np.zeros(len(ask.images), np.int8), np.zeros(len(ask.images)))

    for seed in (0, 1):
        first.clear()
        replay(kind(queries=3).plan(WHITE, UINT8, seed), answer)
        assert np.array_equal(first[0], WHITE)


def test_random_windows_lie_anywhere_on_the_photo() -> None:
    """Centres are uniform over an oblong photo and sides over those given: the means are within 5 standard errors."""
    states = RandomWindows(queries=2000, windows=SIDES)._drawn((10, 30), 0)

    expected, deviation = np.array([112, 336, 80.0]), np.array([224, 672, 0]) / math.sqrt(12) + np.array([0, 0, 20])
    assert (np.abs(states.mean(axis=0) - expected) < 5 * deviation / math.sqrt(1999)).all()
    assert (states[:, :2] >= 0).all()
    assert (states[:, :2] <= [224, 672]).all()


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("acquisition", ["ei", "variance"])
def test_each_window_is_the_one_that_tells_most(acquisition: Any, batch: int) -> None:
    """Every window after the random ones is best of all candidates by the normal equations over what was known then.

    Those of its batch that were chosen before it count as answered with 0. With batch=1 that is the paper's algorithm.
    """
    oracle = Oracle()
    method = Bayes(queries=22, acquisition=acquisition, windows=SIDES, batch=batch, initial=4, fill="black")
    replay(method.plan(WHITE, FLOAT, 0), oracle)

    states, drops = np.array(oracle.states[1:]), oracle.drops
    middles = (np.arange(16) + 0.5) * 14
    candidates = np.array([[(u, v, s)] for u in middles for v in middles for s in SIDES])
    chosen = [int(np.abs(candidates[:, 0] - state).sum(axis=1).argmin()) for state in states]
    for row in range(4, 21):
        settled = 4 + (row - 4) // batch * batch
        supposed = np.concatenate([drops[:settled], np.zeros(row - settled)])
        mean, variance = expected(candidates, states[:row], supposed, 12.0)
        error = np.sqrt(variance_of(drops[:settled], states[:settled], 12.0) * variance)
        best = max(0.0, float(drops[:settled].max()))
        told: Array = variance if acquisition == "variance" else improvement(mean, error, best)
        told[chosen[:row]] = 0.0
        assert told[chosen[row]] == pytest.approx(told.max(), rel=1e-4)


def test_what_is_refused_counts_as_expected() -> None:
    """It takes the mean of the normal equations over all answers so far, its own batch's among them; at first, 0."""
    candidates = np.random.default_rng(4).uniform(0, 60, (40, 3))
    search = Search(GaussianProcess(candidates, NO_AVERAGES, length_scale=30.0, noise=NOISE), candidates, "ei")

    for drops in ([math.nan, math.nan], [0.3, math.nan, -0.2, 0.1], [math.nan, 0.5]):
        search.at_random(len(drops), len(drops))
        search.learn(np.array(drops))

    asked, found = candidates[search._asked], np.array(search._drops)
    of_second, _ = expected(asked[3:4, None], asked[[0, 1, 2, 4, 5]], found[[0, 1, 2, 4, 5]], 30.0)
    of_third, _ = expected(asked[6:7, None], asked[[0, 1, 2, 3, 4, 5, 7]], found[[0, 1, 2, 3, 4, 5, 7]], 30.0)
    assert found[:2].tolist() == [0.0, 0.0]
    np.testing.assert_allclose(found[[3, 6]], [of_second[0], of_third[0]], atol=1e-9)
    assert (search._answered, search._best) == (4, 0.5)


def improvement(mean: Array, error: Array, best: float) -> Array:
    """Return E max(Y - best, 0) by another library's normal distribution, (n,)."""
    z = (mean - best) / error
    found: Array = (mean - best) * norm.cdf(z) + error * norm.pdf(z)
    return found


def integrated_improvement(mean: Array, error: Array, best: float) -> Array:
    """Return E max(Y - best, 0) as an integral over the normal density, (n,), by a sum over narrow steps."""
    z, step = np.linspace(-9, 9, 4001, retstep=True)
    density = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    gains = np.maximum(mean[:, None] + error[:, None] * z - best, 0)
    found: Array = (gains * density).sum(axis=1) * step
    return found


def test_expected_improvement_is_its_integral() -> None:
    """Above, at and below the best so far, for narrow and wide distributions, the closed form is the integral."""
    mean = np.repeat(np.linspace(-1, 1, 9), 4)
    error = np.tile([0.05, 0.3, 1.0, 4.0], 9)

    np.testing.assert_allclose(
        expected_improvement(mean, error, 0.25), integrated_improvement(mean, error, 0.25), atol=1e-5
    )


def test_what_is_known_for_sure_improves_by_what_it_is_above_the_best() -> None:
    """Without a deviation there is nothing to expect but the difference, if there is any."""
    found = expected_improvement(np.array([0.1, 0.5]), np.zeros(2), 0.25)

    assert found.tolist() == [0.0, 0.25]


def test_no_window_is_asked_twice() -> None:
    """Also where nothing changes, or nothing is answered, each question is a new one."""
    for oracle in (Oracle(), Oracle(lambda image: 0.5), Oracle(refused=set(range(150)))):
        replay(Bayes(queries=150, windows=SIDES, fill="black").plan(WHITE, FLOAT, 0), oracle)
        assert len({tuple(state) for state in oracle.states}) == 150


def test_variance_asks_the_same_whatever_is_answered() -> None:
    """Its questions are known at the start, refusals or not, and it says so; those of ei depend on the answers."""
    asked: dict[Any, list[list[Array]]] = {}
    acquisitions: tuple[Acquisition, ...] = ("variance", "ei")
    for acquisition in acquisitions:
        method = Bayes(queries=40, acquisition=acquisition, batch=4)
        oracles = [Oracle(), Oracle(lambda image: -additive(image)), Oracle(refused=set(range(0, 40, 3)))]
        for oracle in oracles:
            replay(method.plan(WHITE, FLOAT, 0), oracle)
        asked[method.adaptive] = [oracle.states for oracle in oracles]

    same = {adaptive: [np.array_equal(s, runs[0]) for s in runs[1:]] for adaptive, runs in asked.items()}
    assert same == {False: [True, True], True: [False, False]}


@pytest.mark.parametrize(("batch", "sizes"), [(1, [5, *[1] * 15]), (7, [5, 7, 7, 1]), (99, [5, 15])])
def test_batches_are_of_the_size_asked_for(batch: int, sizes: list[int]) -> None:
    """The photo and the random windows come at once, then batch after batch, and what is left."""
    oracle = Oracle()

    replay(Bayes(queries=20, initial=4, batch=batch).plan(WHITE, UINT8, 0), oracle)

    assert oracle.sizes == sizes


# --- options ---


@methods
@pytest.mark.parametrize(
    ("options", "kind_of_error", "says"),
    [
        ({"queries": 0}, UsageError, "queries"),
        ({"queries": 2001}, UsageError, "at most 2000 queries"),
        ({"batch": 0}, UsageError, "batch"),
        ({"windows": ()}, UsageError, "windows"),
        ({"windows": (50.0, 50.0)}, UsageError, "different"),
        ({"windows": (50.0, -1.0)}, UsageError, "each of windows"),
        ({"length_scale": 0.0}, UsageError, "length_scale"),
        ({"noise": 0.0}, UsageError, "noise"),
        ({"noise": 0.9e-8}, UsageError, "noise must be at least 1e-08"),
        ({"fill": "pink"}, UnknownName, "pink"),
    ],
    ids=str,
)
def test_bad_options_are_refused(
    kind: type[RandomWindows | Bayes], options: dict[str, Any], kind_of_error: type[UsageError], says: str
) -> None:
    """What makes no sense is refused when it is said, by the name of the option."""
    with pytest.raises(kind_of_error, match=says):
        kind(**options)


@methods
def test_windows_that_hide_everything_are_refused_before_they_are_paid_for(kind: type[RandomWindows | Bayes]) -> None:
    """Twice the photo's side hides it from wherever the middle is; a pixel less does not, from a corner."""
    with pytest.raises(UsageError, match="whole photo of 8 × 8 pixels"):
        next(kind(windows=(448.0, 450.0), fill="black").plan(WHITE, UINT8, 0))

    oracle = Oracle()
    replay(kind(windows=(450.0, 400.0), fill="black", queries=200).plan(WHITE, UINT8, 0), oracle)
    assert len(oracle.values) == 200


@pytest.mark.parametrize(
    ("options", "kind"), [({"acquisition": "ucb"}, UnknownName), ({"initial": 0}, UsageError)], ids=str
)
def test_bad_options_of_the_search_are_refused(options: dict[str, Any], kind: type[UsageError]) -> None:
    """Only known acquisitions, and at least one window to begin with."""
    with pytest.raises(kind, match=next(iter(options))):
        Bayes(**options)


def test_options_can_be_given_in_words() -> None:
    """Sides, a grey level, a name and a length scale that is left open are read from the command line's text."""
    found = load.method("bayes:windows=50|64,fill=12.5,length_scale=none,acquisition=variance,batch=3", queries=70)

    expected = Bayes(queries=70, windows=(50.0, 64.0), fill="12.5", length_scale=None, acquisition="variance", batch=3)
    assert found == expected
