"""When the nearest image is refuted: the next nearest is asked again, within what was set aside."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bbquery.attacks import AttackResult, Point
from bbquery.jobs.attack.attack import attack
from bbquery.jobs.attack.candidates import FURTHER, RUNG, Candidates, further
from bbquery.jobs.attack.votes import Votes
from bbquery.plan import Ask, Plan, replay
from bbquery.types import Decision, Scores
from oracles import function
from tests.support import models
from tests.support.chance import Chance
from tests.support.counted import Counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from bbquery.ledger.ledger import Ledger
    from bbquery.types import Image

pytestmark = pytest.mark.slow

PHOTO = np.full((16, 16, 3), 100, np.uint8)
PHOTO[:, :8] += 12
CAP = 400


class Erring:
    """A model that is wrong of the first `errors` images that lie nearer than `nearer` grey levels, once of each."""

    def __init__(self, nearer: float, errors: int) -> None:
        self._nearer, self._errors, self._seen = nearer, errors, set[bytes]()

    def __call__(self, image: Image) -> str:
        said = models.brighter_half(image)
        near = 0 < float(np.sqrt(np.mean(np.subtract(image, PHOTO, dtype=float) ** 2))) < self._nearer
        if near and said == "tabby cat" and len(self._seen) < self._errors and image.tobytes() not in self._seen:
            self._seen.add(image.tobytes())
            return "golden retriever"
        return said


def run(model: Callable[..., Any], ledger: Ledger, **options: Any) -> Any:
    usual: dict[str, Any] = {"attack": "surfree", "max_queries": CAP, "ledger": ledger}
    return attack(PHOTO, function.connect(model, answers="labels", version=str(options.get("seed"))), **usual | options)


def test_where_the_nearest_image_is_refuted_a_farther_one_is_verified(ledger: Ledger) -> None:
    """The result is an image that really lost its label, was asked, and is farther than all that were refuted."""
    model = Counted(Erring(8.0, 3))

    stress = run(model, ledger)

    assert stress.outcome == "adversarial"
    assert stress.refuted
    assert all(each.votes == Votes(5, 5, 0) for each in stress.refuted)
    distances = [each.rmse for each in stress.refuted]
    assert distances == sorted(distances)
    assert distances[-1] < stress.rmse == stress.found.rmse
    assert models.brighter_half(stress.found.best) != "tabby cat"
    assert sum(np.array_equal(image, stress.found.best) for image in model.shown) == 6
    assert stress.found.trace[-1].rmse == stress.rmse
    assert [point.rmse for point in stress.found.trace] == sorted((p.rmse for p in stress.found.trace), reverse=True)
    assert stress.chance == pytest.approx((1 + FURTHER) / 462)
    assert model.calls == stress.queries.sent <= CAP
    assert stress.error is None


def test_the_same_run_again_verifies_the_same_and_asks_nothing(ledger: Ledger) -> None:
    """Which images were refuted, and which was not, comes from the store."""
    model = Erring(8.0, 3)
    first, second = (run(model, ledger) for _ in range(2))

    assert second.queries.sent == 0
    assert (second.run, second.refuted, second.rmse) == (first.run, first.refuted, first.rmse)


def test_where_all_are_refuted_so_is_the_result(ledger: Ledger) -> None:
    """As many as were set aside for are asked again; the nearest of them is reported, and is no success."""
    model = Counted(Erring(1000.0, 10_000))
    stress = run(model, ledger, max_queries=900)

    assert stress.outcome == "refuted"
    assert 1 < len(stress.refuted) <= 1 + FURTHER
    assert (stress.found.rmse, stress.verification) == (stress.refuted[0].rmse, Votes(5, 5, 0))
    assert model.calls <= 900


def test_chance_in_the_answers_leaves_results(ledger: Ledger) -> None:
    """With 5 % random labels most runs report an image that really lost its label, and none one that did not."""

    def model(seed: int) -> Callable[[Image], str]:
        chance = Chance(seed)
        return lambda image: "golden retriever" if chance(image).random() < 0.05 else models.brighter_half(image)

    runs = [run(model(seed), ledger, max_queries=600, seed=seed) for seed in range(5)]
    found = [each for each in runs if each.outcome == "adversarial"]

    assert len(found) >= 3
    assert all(models.brighter_half(each.found.best) != "tabby cat" for each in found)
    assert any(each.refuted for each in found)
    assert max(each.queries.sent for each in runs) <= 600


def test_little_is_set_aside() -> None:
    """Nothing of a short search, four candidates of a long one; nothing where chance decides a good deal."""
    steady, errs, wavers = Votes(6, 6, 0), Votes(16, 15, 1), Votes(16, 13, 3)

    assert [further(queries, 5, steady) for queries in (10, 124, 125, 250, 500, 10_000)] == [0, 0, 1, 2, 4, 4]
    assert [further(queries, 15, errs) for queries in (10, 149, 150, 600, 10_000)] == [0, 0, 1, 4, 4]
    assert further(10_000, 15, wavers) == 0


def asked(count: int) -> Plan[AttackResult]:
    """Ask so many images, the first the farthest, and return the nearest."""
    x = np.zeros((4, 4, 3), np.uint8)
    levels = range(count, 0, -1)
    for level in levels:
        yield Ask((x + np.uint8(level))[None])
    points = tuple(Point(row + 1, level / 255, level / 255) for row, level in enumerate(levels))
    return AttackResult(
        best=x + np.uint8(1), rmse=1 / 255, linf=1 / 255, norm="l2", queries=count, undecided=0, trace=points, steps=()
    )


def test_few_images_are_kept_at_clearly_different_distances() -> None:
    """Of 250 only five are, the nearest of their rungs; as a result each ends its trace at itself."""
    kept = Candidates(np.zeros((4, 4, 3), np.uint8))
    found = replay(kept.of(asked(250)), lambda ask: Scores(np.array([Decision.NOT_MET], np.int8), np.zeros(1)))

    beyond = kept.beyond(found)

    assert [each.point.rmse * 255 for each in beyond] == pytest.approx([2, 3, 4, 5])
    assert all(each.image.max() == round(each.point.linf * 255) for each in beyond)
    assert beyond[1].reported(found).trace[-2:] == (Point(247, 4 / 255, 4 / 255), Point(248, 3 / 255, 3 / 255))
    assert beyond[1].reported(found).queries == 250
    assert all(later.point.rmse / sooner.point.rmse > RUNG for sooner, later in itertools.pairwise(beyond))
