"""Maps of chance and maps of evidence are told apart by shuffling the answers."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pytest

import bbquery
from bbquery import load
from bbquery.jobs.explain import shuffling
from bbquery.jobs.explain.findings import findings
from bbquery.jobs.explain.shuffling import as_strong, could_be_chance, shuffled, strength
from bbquery.plan import replay
from bbquery.recording import Recorded
from bbquery.report.sentence import stamp
from bbquery.saliency.rise import Rise
from bbquery.types import UINT8, Scores
from oracles import function
from tests.support.chance import Chance

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bbquery.ledger.sqlite import Ledger

PHOTO = np.random.default_rng(0).integers(100, 200, (21, 28, 3), dtype=np.uint8)
SEED = 5


def of_chance(method: str, score: Callable[[NDArray[np.uint8]], float], *, until: int | None = None) -> bool | None:
    """Whether the map of a score could be chance. until: the row from which on nothing is answered."""
    made, recorded = load.method(method), Recorded()

    def answer(ask: bbquery.Ask) -> Scores:
        values = np.array([score(ask.images[row]) for row in range(len(ask.images))])
        values[max(0, (until or 10**9) - len(recorded.values)) :] = np.nan
        scores = Scores(np.full(len(values), -1, dtype=np.int8), values)
        recorded.add(scores)
        return scores

    found = replay(made.plan(PHOTO, UINT8, SEED), answer)
    return could_be_chance(made, PHOTO, UINT8, SEED, found=found, recorded=recorded)


class Adapting(Rise):
    """A method that asks by answers."""

    adaptive: ClassVar[bool] = True


def of_a_place(image: NDArray[np.uint8]) -> float:
    return float(image[3:9, 16:24].mean()) / 255


def test_maps_of_noise_could_be_chance() -> None:
    """Of 120 maps whose answers say nothing of the image at least 95 % are found out: of numbers, and of yes or no."""
    rng = np.random.default_rng(1)
    methods = ("rise:queries=40", "occlusion:queries=40", "spsa:queries=40")

    numbers = [of_chance(method, lambda _image: rng.random()) for method in methods for _ in range(20)]
    decisions = [of_chance(method, lambda _image: float(rng.random() < 0.3)) for method in methods for _ in range(20)]

    assert sum(map(bool, numbers + decisions)) >= 0.95 * 120


@pytest.mark.parametrize(
    "method",
    [
        "rise:queries=100",
        "rise:queries=100,form=published",
        "occlusion:queries=100",
        "lr:queries=600",
        "nes:queries=600",
    ],
)
def test_an_effect_is_no_chance(method: str) -> None:
    """A score of one place alone has a map that stands out, signed or not."""
    assert of_chance(method, of_a_place) is False


def test_pairs_are_shuffled_as_pairs() -> None:
    """What the two of a mirrored pair have in common, however large, hides no effect of what tells them apart."""
    level = itertools.cycle(np.repeat(np.random.default_rng(2).random(53), 2))

    assert of_chance("nes:queries=600", lambda image: of_a_place(image) + 10 * next(level)) is False


def test_what_was_not_answered_stays_and_pairs_stay_together() -> None:
    """An order of rows is one of the answered ones: their partners move along, in either order."""
    answered = np.array([True, True, False, True, True, True, True, True, True])

    orders = list(shuffled(answered, SEED))

    assert {tuple(sorted(order)) for order in orders} == {tuple(range(9))}
    assert {int(order[2]) for order in orders} == {2}
    assert {int(order[3]) for order in orders} == {3, 8}  # neither has a partner
    assert {int(order[0] // 2 == order[1] // 2) for order in orders} == {1}
    assert {int(order[0]) for order in orders} == {0, 1, 4, 5, 6, 7}


def test_the_same_map_is_judged_alike_every_time() -> None:
    """Orders come from the seed alone."""
    answered = np.ones(50, dtype=np.bool_)

    np.testing.assert_array_equal(list(shuffled(answered, SEED)), list(shuffled(answered, SEED)))


def test_a_strength_is_that_of_places_and_not_of_speckle() -> None:
    """Neither a constant nor a fine pattern that is the same everywhere is strong, and a place is."""
    place, speckle = np.zeros((70, 70)), np.indices((70, 70)).sum(axis=0) % 2
    place[:10, :10] = 1

    assert strength(np.full((70, 70), 3.0)) == strength(speckle * 1.0) == 0
    assert strength(place) == pytest.approx(np.sqrt(48) / 49)
    assert strength(np.array([[0.0, 1.0, 2.0]])) == pytest.approx(np.sqrt(2 / 3))  # smaller than 7 × 7


def test_shuffling_ends_as_soon_as_the_outcome_is_known() -> None:
    """At the first map that is as strong, and where the map lies far beyond the first five."""
    chance, beyond, near = (iter(each) for each in ([1.0, 2.0, 9.0], [1.0, 1.1, 0.9, 1.0, 1.0, 9.0], [1.0, 2.0] * 9))

    assert as_strong(2.0, chance)
    assert list(chance) == [9.0]
    assert not as_strong(5.0, beyond)
    assert list(beyond) == [9.0]
    assert not as_strong(2.1, near)
    assert not list(near)


def test_a_plan_that_was_stopped_is_judged_by_what_was_answered() -> None:
    """A run that ended early is replayed as far as it came."""
    assert of_chance("rise:queries=900", of_a_place, until=300) is False


def test_of_many_large_rows_the_first_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time is bounded by rows times pixels, for the map and for the shuffled ones: here the effect comes too late."""
    rows = itertools.count()
    late = lambda image: of_a_place(image) if next(rows) >= 100 else of_a_place(PHOTO)  # noqa: E731 - as short as it can be

    assert of_chance("rise:queries=600,batch=50", late) is False
    monkeypatch.setattr(shuffling, "MOST_PIXELS", 100 * 21 * 28)
    rows = itertools.count()
    assert of_chance("rise:queries=600,batch=50", late) is True


def test_a_map_with_an_error_or_of_a_method_that_adapts_is_left_alone() -> None:
    """Where errors are known, they decide; and other scores would have led a method that adapts elsewhere."""
    found = replay(Rise(queries=8).plan(PHOTO, UINT8, SEED), lambda ask: Scores.blank(len(ask.images)))
    known = dataclasses.replace(found, standard_error=found.values)

    assert could_be_chance(Rise(), PHOTO, UINT8, SEED, found=known, recorded=Recorded()) is None
    assert could_be_chance(Adapting(), PHOTO, UINT8, SEED, found=found, recorded=Recorded()) is None
    assert could_be_chance(Rise(), PHOTO, UINT8, SEED, found=found, recorded=Recorded()) is True


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
            method="rise:queries=100",
            max_queries=110,
            verify=0,
            drift_every=0,
            ledger=ledger,
        )
        for oracle in (noisy, placed)
    ]

    assert [stamp(each, each.maps[0]) for each in explained] == ["COULD BE CHANCE", ""]
    (finding,) = findings(explained[0])
    assert "the same answers, shuffled, make a map as strong" in finding.text
    assert explained[0].queries.asked == explained[1].queries.asked == 101
