"""What chance can do to a verification: exactly, and over simulated runs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import fisher_exact

from bbquery.errors import UnknownName
from bbquery.jobs.attack.attack import attack
from bbquery.jobs.attack.candidates import further, tries
from bbquery.jobs.attack.search import CLEAN_REPEATS, FOUND_REPEATS, MORE
from bbquery.jobs.attack.votes import MOST_CHANCE, Votes, adversarial, chance, verdict
from oracles import function
from tests.support import models
from tests.support.chance import Chance

if TYPE_CHECKING:
    from bbquery.jobs.attack.result import Stress
    from bbquery.ledger.ledger import Ledger

pytestmark = pytest.mark.slow

PHOTO = np.full((16, 16, 3), 100, np.uint8)
PHOTO[:, :8] += 12
FIRST = 1 + CLEAN_REPEATS


def votes(left: int, total: int) -> Votes:
    return Votes(total, total - left, left)


@pytest.mark.parametrize("clean", [(0, 6), (1, 6), (3, 16), (7, 16), (0, 0)])
@pytest.mark.parametrize("again", [(5, 5), (4, 5), (3, 5), (9, 15), (15, 15), (0, 5), (0, 0)])
def test_the_probability_is_that_of_fishers_exact_test(clean: tuple[int, int], again: tuple[int, int]) -> None:
    """It agrees with SciPy, and is 1 where nothing was counted."""
    table = [[again[0], again[1] - again[0]], [clean[0], clean[1] - clean[0]]]

    assert chance(votes(*clean), votes(*again)) == pytest.approx(fisher_exact(table, alternative="greater")[1])


def test_a_steady_oracle_needs_no_more_than_five() -> None:
    """Six answers for the label and five against are enough; three of five are not, nor any five where two differ."""
    assert chance(votes(0, 6), votes(5, 5)) == pytest.approx(1 / 462)
    assert adversarial(votes(0, 6), votes(5, 5))
    assert not adversarial(votes(0, 6), votes(3, 5))
    assert not adversarial(votes(2, 6), votes(5, 5))


def exactly(q: float) -> float:
    """Return how often a run calls chance adversarial where each answer lacks the label with probability q.

    Every image that is refuted gives way to another one, as often as may be.
    """

    def binomial(n: int) -> list[float]:
        return [math.comb(n, k) * q**k * (1 - q) ** (n - k) for k in range(n + 1)]

    def called(clean: Votes, times: int) -> float:
        total, reached = 0.0, 1.0  # reached: how often all images before are refuted
        for refuted in range(1 + further(10_000, times, clean)):
            told = {left: verdict(clean, votes(left, times), tries(refuted)) for left in range(times + 1)}
            shares = list(enumerate(binomial(times)))
            total += reached * sum(share for left, share in shares if told[left] == "adversarial")
            reached *= sum(share for left, share in shares if told[left] == "refuted")
        return total

    total = binomial(FIRST)[0] * called(votes(0, FIRST), FOUND_REPEATS)
    for left in range(1, FIRST):
        for more, share in enumerate(binomial(MORE)):
            clean = votes(left + more, FIRST + MORE)
            if clean.kept > clean.left:  # else it is not attacked
                total += binomial(FIRST)[left] * share * called(clean, FOUND_REPEATS + MORE)
    return total


def test_chance_is_called_adversarial_less_often_than_is_stated() -> None:
    """Whatever the share of answers that are chance: below 1 run in 100, and 1 in 300 at a fifth."""
    rates = [exactly(q / 100) for q in range(1, 100)]

    assert max(rates) < 0.01 < MOST_CHANCE
    assert exactly(0.2) == pytest.approx(0.0029, abs=1e-4)


def test_an_image_that_really_differs_is_called_so_beside_noise() -> None:
    """Where a fifth of the answers is chance, an image that lost its label is told from it four times of five."""
    rng, found = np.random.default_rng(0), []
    for _ in range(500):
        clean, again = rng.random(FIRST + MORE) < 0.2, rng.random(FOUND_REPEATS + MORE) < 0.8
        found.append(adversarial(votes(int(clean.sum()), len(clean)), votes(int(again.sum()), len(again))))

    assert np.mean(found) > 0.8


def noisy(seed: int, share: float, ledger: Ledger, *, real: bool) -> Stress:
    """Attack a model that answers at random so often; its label otherwise never changes, or changes at a boundary."""
    chance = Chance(seed)

    def model(image: np.ndarray) -> str:
        said = models.brighter_half(image) if real else "tabby cat"
        return "golden retriever" if chance(image).random() < share else said

    oracle = function.connect(model, answers="labels", version=f"{seed} {real}")
    return attack(PHOTO, oracle, attack="lr_mifgsm:cells=4", max_queries=220, ledger=ledger)


def test_runs_against_noise_alone_are_not_fooled(ledger: Ledger) -> None:
    """Of some whole runs on a model whose every fifth label is chance, none is called adversarial."""
    runs = [noisy(seed, 0.2, ledger, real=False) for seed in range(6)]

    assert not [run for run in runs if run.outcome == "adversarial"]
    flipped = [run for run in runs if run.votes.left and run.verification is not None]
    assert flipped
    assert {run.votes.asked for run in flipped} == {FIRST + MORE}
    assert {run.verification.asked for run in flipped if run.verification is not None} == {FOUND_REPEATS + MORE}
    assert {run.error for run in runs} == {None}


def test_a_run_with_more_verification_keeps_to_its_cap_and_its_name(ledger: Ledger) -> None:
    """The further questions come out of the attack's, and the same again asks nothing."""
    first, second = (noisy(3, 0.2, ledger, real=True) for _ in range(2))

    assert first.votes.asked == FIRST + MORE
    assert first.budget.posted.queries <= 220
    assert second.queries.sent == 0
    assert (second.run, second.outcome, second.chance) == (first.run, first.outcome, first.chance)


@pytest.mark.parametrize("answers", ["text", "labels"])
def test_a_misspelt_target_is_refused_before_a_query(answers: str, ledger: Ledger) -> None:
    """Where the classes are known, a target that is none of them costs nothing; a word of one is a target of a text."""
    asked = []

    def model(image: np.ndarray) -> str:
        asked.append(image)
        return models.brighter_half(image)

    oracle = function.connect(model, answers=answers, classes="tabby cat|golden retriever", version=answers)  # type: ignore[arg-type] # both are kinds
    with pytest.raises(UnknownName, match="did you mean 'tabby cat'"):
        attack(PHOTO, oracle, attack="lr_mifgsm:cells=4", max_queries=220, target="tabby caat", ledger=ledger)

    assert not asked
