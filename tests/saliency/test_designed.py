"""Designed masks find the effects of cells, know how far off they may be, and keep the rules of plans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bbquery.errors import MissingExtra, UnknownName, UsageError
from bbquery.perturb.designs import smoothed, split
from bbquery.plan import Ask, replay
from bbquery.saliency import _superpixels
from bbquery.saliency._detail import relative_detail
from bbquery.saliency.designed import PATTERN_REACH, PATTERN_SHOWN, SURROUNDINGS, Designed
from bbquery.types import UINT8, Scores
from tests.support.known_games import all_rows, exact_effects, play
from tests.support.paths import SHARED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.types import Image
    from tests.support.known_games import Value

pytestmark = pytest.mark.slow

GAMES = SHARED / "games"
EFFECTS = np.linspace(-1, 2, 16)
PHOTO = np.random.default_rng(0).integers(0, 256, (56, 70, 3), dtype=np.uint8)


def additive(visible: NDArray[np.bool_]) -> NDArray[np.float64]:
    """A score that adds up."""
    return 3 + visible @ EFFECTS


def sigmoid(latent: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-latent))


def left_half(ask: Ask) -> Scores:
    """The brightness of the left half, from 0 to 1."""
    values = np.array([float(ask.images[i][:, :35].mean()) / 255 for i in range(len(ask.images))])
    return Scores(np.ones(len(values), dtype=np.int8), values)


def test_a_score_that_adds_up_is_explained_exactly() -> None:
    """Of 16 cells whose effects add up, 32 queries tell each to a fiftieth of their range, inside its interval."""
    found = play(additive, (4, 4), Designed(queries=32, fill="black"))

    error = np.abs(found.values.ravel() - EFFECTS)
    assert error.max() < np.ptp(EFFECTS) / 50
    assert found.standard_error is not None
    assert (error <= found.interval * found.standard_error.ravel() + 1e-9).all()


def test_effects_are_in_score_though_they_add_up_on_the_logit() -> None:
    """For a probability the map is the Banzhaf value of the probability itself, computed here over all 65,536 rows."""
    rows = all_rows(16)
    values = sigmoid(rows @ (2 * EFFECTS) - 8)

    found = play(lambda visible: sigmoid(visible @ (2 * EFFECTS) - 8), (4, 4), Designed(queries=256, fill="black"))

    exact = exact_effects(values)
    assert np.corrcoef(found.values.ravel(), exact)[0, 1] > 0.99
    assert np.abs(found.values.ravel() - exact).max() < 0.1 * np.abs(exact).max()


def test_an_interaction_widens_intervals() -> None:
    """What interactions of three cells may hide counts as error: the same main effects are then less certain."""

    def with_interactions(visible: NDArray[np.bool_]) -> NDArray[np.float64]:
        s = 2.0 * visible - 1
        return np.asarray(additive(visible) + 1.5 * s[:, 0] * s[:, 1] * s[:, 2] + 1.5 * s[:, 4] * s[:, 9])

    plain, mixed = (play(value, (4, 4), Designed(queries=32, fill="black")) for value in (additive, with_interactions))

    assert plain.standard_error is not None
    assert mixed.standard_error is not None
    assert mixed.standard_error.min() > 2 * plain.standard_error.max()


@pytest.mark.skipif(not GAMES.is_dir(), reason="needs the complete games")
@pytest.mark.parametrize(("model", "shape", "least"), [("vit_b32", (4, 4), 0.9), ("resnet18", (1, 14), 0.94)])
def test_on_complete_games_it_is_right_and_knows_how_far(model: str, shape: tuple[int, int], least: float) -> None:
    """With 32 queries effects correlate with the exact ones, and 85 to 95 % of these lie in the 90 % intervals."""
    correlations, covered = [], []
    for path in sorted(GAMES.glob(f"{model}*.npz")):
        values = np.load(path)["values"].astype(float)
        for seed in (0, 1):
            found = play(_of(values), shape, Designed(queries=32, fill="black"), seed)
            exact = exact_effects(values)
            assert found.standard_error is not None
            correlations.append(np.corrcoef(found.values.ravel(), exact)[0, 1])
            covered.append(np.abs(found.values.ravel() - exact) <= found.interval * found.standard_error.ravel())

    assert np.mean(correlations) >= least
    assert 0.85 <= np.mean(covered) <= 0.95


def _of(values: NDArray[np.float64]) -> Value:
    """Return a complete game as a function of what is visible."""
    bits = 1 << np.arange(int(np.log2(len(values))))
    return lambda visible: np.asarray(values[visible @ bits])


def test_on_a_fine_grid_the_value_is_that_of_a_place_with_its_surroundings() -> None:
    """Of 100 cells with an interaction: what revealing each cell gains, summed over a place and what lies about it.

    Computed here cell by cell over 2,000 other patterns, of which any share is visible; nine in ten of these effects
    lie in the 90 % intervals, give or take.
    """
    weights = np.exp(-((np.arange(100) // 10 - 3) ** 2 + (np.arange(100) % 10 - 6) ** 2) / 6)
    centres = np.stack(np.divmod(np.arange(100.0), 10), axis=1)

    def score(visible: NDArray[np.bool_]) -> NDArray[np.float64]:
        return np.asarray(sigmoid(visible @ weights / 2 + 2.0 * visible[:, 33] * visible[:, 77] - 3))

    found = play(score, (10, 10), Designed(queries=400, fill="black"))

    rng = np.random.default_rng(9)
    drawn = smoothed(rng.choice([-1.0, 1.0], (2_000, 100)), centres, PATTERN_REACH)
    patterns = split(drawn, rng.uniform(*PATTERN_SHOWN, 2_000)) > 0
    gained = [score(patterns | cell).mean() - score(patterns & ~cell).mean() for cell in np.eye(100, dtype=bool)]
    squares = ((centres[:, None] - centres[None]) ** 2).sum(axis=-1)
    exact = np.exp(-squares / (2 * SURROUNDINGS**2)) @ gained
    assert found.standard_error is not None
    assert np.corrcoef(found.values.ravel(), exact)[0, 1] > 0.97
    inside = np.abs(found.values.ravel() - exact) <= found.interval * found.standard_error.ravel()
    assert 0.75 <= inside.mean() <= 1


def test_effects_of_small_cells_are_shared_out_by_detail() -> None:
    """Values and errors are those without detail times the photo's: what is known of the sign stays the same."""
    plain, shared = (replay(Designed(queries=40, detail=d).plan(PHOTO, UINT8, 0), left_half) for d in (False, True))

    assert plain.standard_error is not None
    assert shared.standard_error is not None
    np.testing.assert_allclose(shared.values, plain.values * relative_detail(PHOTO))
    np.testing.assert_allclose(shared.standard_error, plain.standard_error * relative_detail(PHOTO))
    assert shared.unit == f"{plain.unit}, shared out by detail: fine structure is the photo's own"


def test_effects_of_large_cells_are_told_as_they_are() -> None:
    """Up to 64 cells a value is an exact quantity of the game, and no pixel of a cell differs from another."""
    found = [
        replay(Designed(queries=40, cells=8, shape="grid", detail=d).plan(PHOTO, UINT8, 0), left_half)
        for d in (False, True)
    ]

    np.testing.assert_array_equal(found[0].values, found[1].values)
    assert len(np.unique(found[1].values)) <= 64
    assert found[0].unit == found[1].unit


def test_it_stops_once_the_map_is_stable() -> None:
    """With `until="stable"` the budget is a cap: a plain score takes a tenth of it, and the map is not partial."""
    found = play(additive, (4, 4), Designed(queries=2000, fill="black", until="stable"))

    assert found.rows <= 200
    assert not found.partial


def test_without_a_signal_it_does_not_stop_early() -> None:
    """Noise is never stable: the whole budget is asked, and the map says that it may be chance."""
    rng = np.random.default_rng(5)

    found = play(lambda visible: rng.normal(size=len(visible)), (4, 4), Designed(queries=300, until="stable"))

    assert found.rows == 300
    assert "may be chance" in found.notes[0]


def test_where_the_budget_ends_first_the_map_is_said_not_to_be_stable() -> None:
    """How near it is to a stable one; of a map that was not to be stable nothing is said."""
    rng = np.random.default_rng(5)

    few = play(lambda v: additive(v) + rng.normal(size=len(v)), (4, 4), Designed(queries=64, until="stable"))
    enough = play(additive, (4, 4), Designed(queries=2000, fill="black", until="stable"))
    all_asked = play(additive, (4, 4), Designed(queries=64))

    assert few.stability is not None
    assert 0 < few.stability.agreement < few.stability.wanted == 0.95
    assert enough.stability is not None
    assert enough.stability.stable
    assert all_asked.stability is None


@pytest.mark.parametrize("value", [0.0, 0.25, 1.0])
def test_a_score_that_never_moves_has_no_effects(value: float) -> None:
    """Exactly zero, with no error made up."""
    found = play(lambda visible: np.full(len(visible), value), (4, 4), Designed(queries=64))

    assert not found.values.any()
    assert found.notes == ()


@pytest.mark.parametrize("shape", ["smooth", "grid", "superpixels"])
def test_evidence_lies_where_the_score_looks(shape: str) -> None:
    """A score of the left half has its evidence there, with cells of any shape."""
    x = np.full((56, 70, 3), 230, np.uint8)
    x[::7, ::5] = 190

    found = replay(Designed(queries=256, shape=shape, cells=10, fill="black").plan(x, UINT8, 1), left_half)  # type: ignore[arg-type]  # one of the names

    assert found.values[:, :30].mean() > 5 * abs(found.values[:, 45:].mean())
    assert found.values[:, :30].min() > 0


@pytest.mark.parametrize(
    ("cells", "refine", "adaptive"),
    [(8, True, False), (8, None, False), (9, True, True), (9, None, True), (9, False, False)],
)
def test_it_says_whether_it_adapts(cells: int, refine: bool | None, adaptive: bool) -> None:
    """Up to 64 cells, or without refinement, no question depends on an answer."""
    method = Designed(queries=40, cells=cells, refine=refine, batch=8)

    asked = [_questions(method, sign) for sign in (1.0, -1.0)]

    assert method.adaptive is adaptive
    assert (asked[0] != asked[1]) is adaptive


def _questions(method: Designed, sign: float) -> list[bytes]:
    """Return the pixels of all that is asked, where the score is the left half's brightness, or its opposite."""
    found: list[bytes] = []

    def answer(ask: Ask) -> Scores:
        found.extend(ask.images[i].tobytes() for i in range(len(ask.images)))
        scores = left_half(ask)
        return Scores(scores.decision, sign * scores.value)

    replay(method.plan(PHOTO, UINT8, 3), answer)
    return found


@pytest.mark.parametrize(("queries", "repeat", "half"), [(64, 1, 32), (65, 1, 34), (400, 1, 200), (90, 3, 16)])
def test_the_first_half_of_the_questions_depends_on_no_answer(queries: int, repeat: int, half: int) -> None:
    """Refinement begins with whole pairs at half time, wherever steps would have ended."""
    method = Designed(queries=queries, repeat=repeat, batch=48)

    one, other = (_questions(method, sign) for sign in (1.0, -1.0))

    assert one[:half] == other[:half]
    assert not set(one[half:]) & set(other[half:])


def test_what_was_left_open_gives_way_to_sharing() -> None:
    """Without a word on refinement a method can be had whose questions several targets share; a word is kept."""
    assert Designed(queries=50).shareable() == Designed(queries=50, refine=False)
    assert Designed(queries=50, refine=True).shareable() == Designed(queries=50, refine=True)


def test_places_apart_have_effects_of_their_own() -> None:
    """A place that the score does not look at has an effect of 0, however large those elsewhere are."""
    found = replay(Designed(queries=400, fill="black").plan(np.full((56, 70, 3), 255, np.uint8), UINT8, 3), left_half)

    assert abs(found.values[:, 50:].mean()) < 0.02 * found.values[:, :30].mean()


def test_refinement_asks_where_the_effect_is() -> None:
    """Late rows tell cells of effect from those of none: they differ more within what the score looks at."""
    shown = [_left_minus_right(image) for image in _images(Designed(queries=400, refine=True, batch=100, fill="black"))]

    assert np.abs(shown[-100:]).mean() > 2 * np.abs(shown[:100]).mean()


def _images(method: Designed) -> list[Image]:
    """Return all that is asked of a white photo whose left half counts."""
    found: list[Image] = []

    def answer(ask: Ask) -> Scores:
        found.extend(ask.images[i] for i in range(len(ask.images)))
        return left_half(ask)

    replay(method.plan(np.full((56, 70, 3), 255, np.uint8), UINT8, 3), answer)
    return found


def _left_minus_right(image: Image) -> float:
    return float(image[:, :35].mean() - image[:, 35:].mean())


def test_what_a_row_hides_the_next_one_shows() -> None:
    """On a white photo before black, each pair adds up to the photo; what is visible differs from pair to pair."""
    images = _images(Designed(queries=64, cells=14, fill="black"))

    sums = [images[i].astype(int) + images[i + 1] for i in range(0, 64, 2)]

    assert all((total >= 254).all() and (total <= 256).all() for total in sums)
    shares = np.array([image.mean() / 255 for image in images])
    assert 0.25 < shares.min() < 0.4
    assert 0.6 < shares.max() < 0.75


@settings(max_examples=25)
@given(queries=st.integers(1, 120), repeat=st.integers(1, 3), batch=st.integers(1, 50), stable=st.booleans())
def test_it_never_asks_more_than_its_queries(queries: int, repeat: int, batch: int, stable: bool) -> None:
    """Repeats counted; with `until="budget"` it asks every whole mask that fits."""
    if queries < repeat:
        return
    method = Designed(queries=queries, repeat=repeat, batch=batch, cells=3, until="stable" if stable else "budget")
    asked = []

    def answer(ask: Ask) -> Scores:
        asked.append(ask.queries)
        return left_half(ask)

    found = replay(method.plan(PHOTO, UINT8, 0), answer)

    assert sum(asked) <= queries
    assert stable or sum(asked) == queries // repeat * repeat
    assert found.answered == found.rows == sum(asked) // repeat


@pytest.mark.parametrize("after", [0, 1, 3, 40, 200])
def test_every_paid_answer_counts_when_it_is_stopped(after: int) -> None:
    """Stopped anywhere it returns a map of what was answered, and says that it is partial."""
    found = play(additive, (4, 4), Designed(queries=400, fill="black", batch=64), after=after)

    assert found.answered == after
    assert found.partial
    assert np.isfinite(found.values).all()


def test_refusals_are_left_out_and_counted() -> None:
    """Rows without an answer change nothing but the count, and are told against what was visible."""

    def some(visible: NDArray[np.bool_]) -> NDArray[np.float64]:
        return np.where(visible[:, 0] & visible[:, 5], np.nan, additive(visible))

    found = play(some, (4, 4), Designed(queries=256, fill="black"))

    assert 150 < found.answered < 220
    assert sum(v.unanswered for v in found.visibility) == 256 - found.answered
    assert np.corrcoef(found.values.ravel(), EFFECTS)[0, 1] > 0.98


def test_rows_that_were_never_asked_are_no_refusals() -> None:
    """A stop in the middle of a step leaves the visibility to what was asked."""
    found = play(additive, (4, 4), Designed(queries=64, fill="black"), after=10)

    assert sum(v.asked for v in found.visibility) == 10
    assert not any(v.unanswered for v in found.visibility)


def test_repeats_weigh_rows_by_their_noise() -> None:
    """Of an oracle whose answers vary in some rows only, those count for less: the map is nearer for knowing it."""
    rng = np.random.default_rng(2)
    blurred = {True: 8.0, False: 0.05}

    def answer(ask: Ask, *, told: bool) -> Scores:
        visible = np.array([ask.images[i][..., 0].ravel() > 127 for i in range(len(ask.images))])
        noise = np.array([blurred[bool(row[3])] for row in visible])
        draws = additive(visible)[:, None] + noise[:, None] * rng.normal(size=(len(visible), 6))
        spread = draws.std(axis=1, ddof=1) if told else np.full(len(draws), np.nan)
        return Scores(np.ones(len(draws), np.int8), draws.mean(axis=1), spread, np.full(len(draws), 6))

    def error(told: bool) -> float:
        x = np.full((4, 4, 3), 255, np.uint8)
        maps = [
            replay(
                Designed(queries=6 * 96, repeat=6, fill="black").plan(x, UINT8, seed), lambda a: answer(a, told=told)
            )
            for seed in range(4)
        ]
        others = np.arange(16) != 3
        return float(np.mean([np.abs((m.values.ravel() - EFFECTS)[others]).mean() for m in maps]))

    assert error(told=True) < 0.8 * error(told=False)


def test_labels_of_zero_and_one_are_explained_too() -> None:
    """A decision by a weighted vote: its exact effects lie in the intervals, and 512 answers of 0 or 1 order them."""

    def vote(visible: NDArray[np.bool_]) -> NDArray[np.float64]:
        return (additive(visible) > 7).astype(float)

    found = play(vote, (4, 4), Designed(queries=512, fill="black"))

    exact = exact_effects(vote(all_rows(16)))
    assert found.standard_error is not None
    assert np.corrcoef(found.values.ravel(), exact)[0, 1] > 0.97
    assert (np.abs(found.values.ravel() - exact) <= found.interval * found.standard_error.ravel()).mean() > 0.8


@pytest.mark.parametrize(
    "wrong",
    [{"queries": 0}, {"cells": 0}, {"cells": 33}, {"repeat": 0}, {"batch": 0}, {"queries": 3, "repeat": 4}],
)
def test_bad_numbers_are_refused(wrong: dict[str, Any]) -> None:
    """Before anything is asked."""
    with pytest.raises(UsageError):
        Designed(**wrong)


@pytest.mark.parametrize("wrong", [{"shape": "round"}, {"fill": "purple"}, {"until": "tomorrow"}])
def test_unknown_names_are_refused_with_those_that_are_known(wrong: dict[str, Any]) -> None:
    """The message lists what can be chosen."""
    with pytest.raises(UnknownName, match=r"smooth|blur|stable"):
        Designed(**wrong)


def test_superpixels_without_their_library_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing scikit-image is told with the command that installs it."""
    monkeypatch.setitem(__import__("sys").modules, "skimage.segmentation", None)

    with pytest.raises(MissingExtra, match=r"bbquery\[superpixels\]"):
        _superpixels.superpixels(PHOTO, 10)
