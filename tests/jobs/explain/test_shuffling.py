"""Maps of chance and maps of evidence are told apart by shuffling the answers."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest

import bbquery
from bbquery import load
from bbquery.jobs.explain.findings import findings
from bbquery.jobs.explain.shuffling import SHUFFLES, blocks, chances, orders, probability_of_chance
from bbquery.jobs.explain.sketches import Sketches
from bbquery.plan import Yielded, step
from bbquery.report.sentence import stamp
from bbquery.types import UINT8, Scores
from oracles import function
from tests.support.chance import Chance

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bbquery.ledger.ledger import Ledger

PHOTO = np.random.default_rng(0).integers(100, 200, (21, 28, 3), dtype=np.uint8)
SEED = 5
METHODS = (
    *("rise", "occlusion", "spsa", "bgeex", "random_windows", "bayes", "integrated", "smoothgrad"),
    "designed:cells=9",
)
"""All kinds of methods: with errors and without, in pairs, at the points of a path, and two that adapt."""


def of_chance(method: str, score: Callable[[NDArray[np.uint8]], float], *, until: int = 10**6) -> bool | None:
    """Whether the map of a score could be chance. until: the row from which on nothing is answered.

    The map itself is not made, which takes the most time.
    """
    made, sketches = load.method(method), Sketches(PHOTO)
    given: list[float] = []
    plan = sketches.of(made.plan(PHOTO, UINT8, SEED))
    state = step(plan, None)
    while isinstance(state, Yielded):
        images = state.ask.images
        values = [score(images[row]) if len(given) + row < until else np.nan for row in range(len(images))]
        given += values
        if len(given) >= made.queries:
            break
        state = step(plan, Scores(np.full(len(values), -1, dtype=np.int8), np.array(values)))
    sizes = blocks(sketches.asks, adaptive=made.adaptive)
    return could_be_chance(sketches.changes, np.array(given), sizes)


def could_be_chance(
    changes: list[NDArray[np.float32]], values: NDArray[np.float64], sizes: list[int], maps: int = 1
) -> bool | None:
    """Whether one map could be chance. maps: how many the run has, of which the others show an effect."""
    found = probability_of_chance(changes, values, sizes, SEED, maps)
    return chances([found, *[0.0] * (maps - 1)])[0]


def of_a_place(image: NDArray[np.uint8]) -> float:
    return float(image[3:9, 16:24].mean()) / 255


def with_queries(method: str, queries: int) -> str:
    return f"{method}{',' if ':' in method else ':'}queries={queries}"


def test_maps_of_noise_could_be_chance() -> None:
    """Of 90 maps whose answers say nothing of the image 95 % are found out, of numbers and of yes or no."""
    rng = np.random.default_rng(1)
    methods = [with_queries(method, 40) for method in METHODS]

    numbers = [of_chance(method, lambda _: rng.random()) for method in methods for _ in range(5)]
    decisions = [of_chance(method, lambda _: float(rng.random() < 0.3)) for method in methods for _ in range(5)]

    assert sum(map(bool, numbers + decisions)) >= 0.95 * 90


@pytest.mark.parametrize("method", METHODS)
def test_an_effect_is_no_chance(method: str) -> None:
    """A score of one place alone goes with what was changed there, whatever the method asks."""
    assert of_chance(with_queries(method, 200), of_a_place) is False


def test_pairs_are_shuffled_as_pairs() -> None:
    """What the two of a mirrored pair have in common, however large, hides no effect of what tells them apart."""
    level = itertools.cycle(np.repeat(np.random.default_rng(2).random(53), 2))

    assert of_chance("nes:queries=600", lambda image: of_a_place(image) + 10 * next(level)) is False


def test_what_differs_from_point_to_point_is_no_evidence() -> None:
    """Along a path of brightness the level of a score says nothing of any place, and hides none either."""

    def level(image: NDArray[np.uint8]) -> float:
        return float(round(image.mean() / 50))

    assert of_chance("integrated:queries=400", level) is True
    assert of_chance("integrated:queries=400", lambda image: level(image) + 100 * of_a_place(image)) is False


def test_what_was_not_answered_stays_and_pairs_stay_together() -> None:
    """An order of rows is one of the answered ones: their partners move along, in either order."""
    answered = np.array([True, True, False, True, True, True, True, True, True])

    found = orders(answered, np.random.default_rng(0))

    assert found.shape == (9, 1 + SHUFFLES)
    assert list(found[:, 0]) == list(range(9))
    assert (np.sort(found, axis=0) == np.arange(9)[:, None]).all()
    assert set(found[2]) == {2}
    assert set(found[3]) == {3, 8}  # neither has a partner
    assert (found[0] // 2 == found[1] // 2).all()
    assert set(found[0]) == {0, 1, 4, 5, 6, 7}


def test_rows_are_one_block_unless_they_were_chosen_by_answers_or_for_a_point() -> None:
    """Only rows whose questions were known alike may change places; of a method that adapts, those that came nearby."""
    assert blocks([(9,), (8,), (8,)], adaptive=False) == [25]
    assert blocks([(9,), *[(8,)] * 8], adaptive=True) == [33, 32, 8]
    assert blocks([(128,), (100,), (28,)], adaptive=True) == [128, 100, 28]
    assert blocks([(1,)] * 70, adaptive=True) == [32, 32, 6]
    assert blocks([(5, 5), (5, 5)], adaptive=False) == [5, 5, 5, 5]


def test_rows_of_other_blocks_are_not_compared() -> None:
    """Where blocks alone differ, answers that follow the block are chance; within one block they are not."""
    changes = np.repeat(np.arange(20.0), 10)[:, None].astype(np.float32)
    values = changes[:, 0] + np.random.default_rng(3).random(200)

    assert could_be_chance([changes], values, [200]) is False
    assert could_be_chance([changes], values, [10] * 20) is True


def test_where_hardly_a_row_may_change_places_nothing_is_said() -> None:
    """Where half of them may, something is; a method that asks one by one is judged by what came nearby."""
    changes, values = np.zeros((20, 1), np.float32), np.arange(20.0)

    assert could_be_chance([changes], values, [8] + [1] * 12) is None
    assert could_be_chance([changes], values, [10] + [1] * 10) is True
    assert of_chance("bayes:queries=100,batch=1", of_a_place) is False


def test_the_same_map_is_judged_alike_every_time() -> None:
    """Orders come from the seed alone."""
    one, other = (orders(np.ones(50, dtype=np.bool_), np.random.default_rng(SEED)) for _ in range(2))

    np.testing.assert_array_equal(one, other)


def test_a_plan_that_was_stopped_is_judged_by_what_was_answered() -> None:
    """Rows without an answer count on neither side, and no answer at all could be chance."""
    assert of_chance("rise:queries=900", of_a_place, until=300) is False
    assert of_chance("rise:queries=90", of_a_place, until=0) is True


def test_noise_is_stamped_and_an_effect_is_not(ledger: Ledger) -> None:
    """The picture of a map of random answers says that it could be chance, after no query more; that of a place not."""
    chance = Chance(3)
    noisy = function.connect(lambda image: [chance(image).random(), 0.5], answers="scores")
    placed = function.connect(lambda image: [of_a_place(image), 0.5], answers="scores")

    explained = [
        bbquery.explain(
            PHOTO,
            oracle,
            target="0",
            method=method,
            max_queries=110,
            verify=0,
            drift_every=0,
            ledger=ledger,
        )
        for oracle in (noisy, placed)
        for method in ("rise:queries=100", "designed:queries=100,cells=6")
    ]

    assert [stamp(each, each.maps[0]) for each in explained] == ["COULD BE CHANCE", "COULD BE CHANCE", "", ""]
    assert "no better than the same answers, shuffled" in findings(explained[0])[0].text
    assert {each.queries.asked for each in explained} == {101}


def test_of_several_maps_more_must_stand_out() -> None:
    """A probability that is enough for one map is not for the least of three; what is not known stays so."""
    assert chances([0.005]) == [False]
    assert chances([0.005, 0.005, 0.9]) == [True, True, True]
    assert chances([0.003, None, 0.005]) == [False, None, False]


def test_of_runs_of_noise_hardly_any_has_a_map_that_stands_out() -> None:
    """Of 40 runs of eight maps of noise, two at most show an effect in any; each map alone would in one of 100."""
    rng = np.random.default_rng(4)
    changes = [rng.standard_normal((60, 20)).astype(np.float32)]
    found = [[probability_of_chance(changes, rng.random(60), [60], SEED, 8) for _ in range(8)] for _ in range(40)]

    assert sum(not all(chances(each)) for each in found) <= 2


def test_a_real_effect_stands_out_among_many_maps() -> None:
    """The orders suffice for the smallest probability that is asked for."""
    changes = np.random.default_rng(5).standard_normal((100, 20)).astype(np.float32)

    found = probability_of_chance([changes], changes[:, 0].astype(np.float64), [100], SEED, 32)

    assert found is not None
    assert chances([found, *[0.9] * 31])[0] is False
