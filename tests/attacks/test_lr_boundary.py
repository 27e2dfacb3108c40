"""LR-Boundary, against boundaries whose distance is known exactly, and oracles that mislead."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bbquery.attacks import lr_boundary
from bbquery.attacks._balanced import BATCH
from bbquery.attacks.lr_boundary import ESTIMATES, LrBoundary
from bbquery.errors import UsageError
from bbquery.plan import Ask, replay
from bbquery.types import FLOAT, UINT8, Decision, Scores
from tests.support.chance import Chance
from tests.support.known_boundaries import BOUNDARIES, MARGIN, hollow, plane

if TYPE_CHECKING:
    from bbquery.attacks import AttackResult

pytestmark = pytest.mark.slow

DOMAINS = {"uint8": UINT8, "float64": FLOAT}


@dataclass
class Answers:
    """Labels by a function of the pixels; keeps what was asked."""

    adversarial: Callable[[Any], bool]
    images: list[Any] = field(default_factory=list)

    def __call__(self, ask: Ask) -> Scores:
        asked = [ask.images[row] for row in range(len(ask.images))]
        self.images += asked
        crossed = np.array([self.adversarial(image.astype(np.float64)) for image in asked])
        return Scores(np.where(crossed, Decision.NOT_MET, Decision.MET).astype(np.int8), 1.0 - crossed)


def ran(photo: Any, oracle: Callable[[Ask], Scores], queries: int, seed: int = 0, start: Any = None) -> AttackResult:
    begin = None if start is None else UINT8.realise(start)
    return replay(LrBoundary(queries=queries).plan(UINT8.realise(photo), UINT8, seed, begin), oracle)


def at(found: AttackResult, queries: int) -> float:
    """Return the RMSE that had been reached by then."""
    return min((point.rmse for point in found.trace if point.queries <= queries), default=math.inf)


# --- distance ---


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize(
    ("name", "from_image"), [("plane", False), ("hollow", False), ("hollow", True), ("ball", True)]
)
def test_the_exact_distance_is_approached(name: str, from_image: bool, domain: str) -> None:
    """Within half as much again after 2,000 queries on each of 3 boundaries, and never nearer than possible."""
    reached = []
    for seed in range(3):
        boundary, kind = BOUNDARIES[name](seed), DOMAINS[domain]
        start = kind.realise(boundary.start) if from_image else None
        attack = LrBoundary(queries=2000)
        found = replay(attack.plan(kind.realise(boundary.photo), kind, seed, start), boundary)
        reached.append(255 * found.rmse / MARGIN)

    assert min(reached) >= 0.999
    assert max(reached) < 1.5


def test_a_start_image_is_asked_first() -> None:
    """It is sent exactly as given, and the next ones lie on the line from it to the photo."""
    boundary = plane(0)
    start = UINT8.realise(boundary.start)
    answers = Answers(boundary.adversarial)

    ran(boundary.photo, answers, 5, start=start)

    assert np.array_equal(answers.images[0], start)
    share = (answers.images[1] - boundary.photo) / (start - boundary.photo)
    assert np.median(share) == pytest.approx(0.75, abs=0.02)


# --- budget ---


def test_a_longer_run_begins_as_a_shorter_one() -> None:
    """What is asked does not depend on how many queries are allowed, to the bit."""
    boundary = plane(1)
    short, long = Answers(boundary.adversarial), Answers(boundary.adversarial)

    ran(boundary.photo, short, 150)
    found = ran(boundary.photo, long, 400)

    assert np.array_equal(short.images, long.images[:150])
    assert at(found, 150) > found.rmse


def test_a_budget_of_one_is_one_query() -> None:
    """The least there is can be spent, and 0 queries are refused."""
    answers = Answers(lambda _: False)

    found = ran(plane(0).photo, answers, 1)

    assert (len(answers.images), found.best) == (1, None)
    with pytest.raises(UsageError, match="queries"):
        LrBoundary(queries=0)


def test_nothing_is_asked_that_could_not_be_nearer() -> None:
    """On whole grey levels, an image that a move offers is nearer than the best so far, but for probes and doubts."""
    boundary = plane(2)
    answers = Answers(boundary.adversarial)
    x = UINT8.realise(boundary.photo).astype(np.float64)

    ran(boundary.photo, answers, 60)

    best = math.inf
    for image in answers.images:
        distance = float(np.sqrt(np.mean((image - x) ** 2)))
        assert distance < best
        if boundary.adversarial(image.astype(np.float64)):
            best = distance


def test_late_queries_go_to_estimates(monkeypatch: pytest.MonkeyPatch) -> None:
    """From `LATE` on most are copies around a base, asked in batches; before that, fewer than half."""
    monkeypatch.setattr(lr_boundary, "LATE", 300)
    boundary = hollow(0)
    sizes: list[int] = []

    def counted(ask: Ask) -> Scores:
        sizes.append(len(ask.images))
        return boundary(ask)

    ran(boundary.photo, counted, 1000)

    late = np.cumsum(sizes) > lr_boundary.LATE
    copies = np.equal(sizes, BATCH)
    share = [np.sum(np.array(sizes)[part & copies]) / np.sum(np.array(sizes)[part]) for part in (~late, late)]
    assert share[0] < 0.5
    assert share[1] > 0.9 * ESTIMATES / (ESTIMATES + 1)  # a tenth for the steps along them


# --- photos and oracles at the edge ---


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 8, 3), (8, 8, 3), (31, 12, 3)])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_small_photos_of_one_colour(shape: tuple[int, int, int], level: int) -> None:
    """Every size and brightness can be attacked: here a photo's label changes with its mean by 3 grey levels."""
    photo = np.full(shape, level, np.uint8)

    found = ran(photo, Answers(lambda image: abs(image.mean() - level) >= 3), 300)

    assert found.best is not None
    assert 255 * found.rmse >= 3


def test_a_photo_that_is_adversarial_already_costs_few_queries() -> None:
    """The clean image itself is found, at distance 0, and nothing more is asked."""
    found = ran(plane(0).photo, Answers(lambda _: True), 10_000)

    assert found.rmse == 0
    assert found.queries < 20


def test_a_label_that_never_changes_uses_up_its_queries() -> None:
    """Without any adversarial image, the budget ends the search, with none."""
    found = ran(plane(0).photo, Answers(lambda _: False), 200)

    assert (found.best, found.queries) == (None, 200)


def test_wrong_answers_do_not_hold_it() -> None:
    """With 5 % of labels drawn at random, it ends within twice the exact distance, by true labels, on 3 planes of 3.

    A wrong label can make anything look adversarial: judged are the images that truly are.
    """
    for seed in range(3):
        boundary, chance = plane(seed), Chance(seed)

        def answer(image: Any, boundary: Any = boundary, chance: Any = chance) -> bool:
            draw = chance(image)
            return bool(draw.random() < 0.5) if draw.random() < 0.05 else bool(boundary.adversarial(image))

        answers = Answers(answer)
        ran(boundary.photo, answers, 2000, seed)

        truly = [image for image in answers.images if boundary.adversarial(image.astype(np.float64))]
        nearest = min(float(np.sqrt(np.mean((image - boundary.photo) ** 2))) for image in truly)
        assert nearest < 2 * MARGIN
