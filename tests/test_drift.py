"""A model that changes while it is asked is noticed; one that is merely noisy is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import scipy.stats

import bbquery
from bbquery.drift import FIRST_CHECKS, change_point, checks_for, two_sided
from bbquery.errors import UsageError
from bbquery.types import NoAnswer, Reply, Vector
from tests.support.chance import Chance
from tests.support.oracles import FakeOracle, brightness

if TYPE_CHECKING:
    from collections.abc import Callable

    from bbquery.ledger.ledger import Ledger
    from bbquery.types import Image

PHOTO = np.full((8, 8, 3), 200, np.uint8)


def changing(change: Callable[[int, Vector], Reply]) -> FakeOracle:
    """Answer by brightness, changed by how many images were answered before."""
    count = iter(range(10**6))
    return FakeOracle(remote=True, reply=lambda image: change(next(count), brightness(image)))


def shifted(answer: Vector, by: float) -> Reply:
    return Reply(Vector(np.clip(answer.values + np.array([by, -by]), 0, 1)))


def explain(oracle: FakeOracle, ledger: Ledger, **options: Any) -> bbquery.Explanation:
    chosen: dict[str, Any] = {"target": "bright", "max_queries": 130, "drift_every": 40, "method": "rise"}
    return bbquery.explain(PHOTO, oracle, **(chosen | {"ledger": ledger} | options))


def test_a_steady_model_does_not_drift_and_the_checks_are_charged(ledger: Ledger) -> None:
    """The checks at the start, between and at the end are queries like any other, within the cap."""
    explanation = explain(changing(lambda _, a: Reply(a, served="v1")), ledger)

    assert not explanation.drift.drifted
    assert explanation.drift.noise == 0
    assert len(explanation.drift.checks) >= 1 + FIRST_CHECKS + 1 + 1
    assert explanation.queries.sent <= 130
    assert explanation.budget.posted.queries == explanation.queries.sent


def test_a_model_that_is_replaced_is_noticed_with_figures(ledger: Ledger) -> None:
    """A shift after 60 answers marks the result, and says when and by how much."""
    explanation = explain(changing(lambda n, a: shifted(a, 0.1 if n >= 60 else 0.0)), ledger)

    (reason,) = explanation.drift.reasons
    assert "0.884314" in reason
    assert "0.784314" in reason


def test_noise_is_measured_and_not_taken_for_drift(ledger: Ledger) -> None:
    """A model whose equal answers differ by a hundredth does not drift by as much."""
    chance = Chance(2)

    def noisy(image: Image) -> Reply:
        return shifted(brightness(image), float(chance(image).normal(0, 0.01)))

    explanation = explain(FakeOracle(remote=True, reply=noisy), ledger)

    assert explanation.drift.noise > 0.001
    assert not explanation.drift.drifted


def test_the_probability_of_a_t_is_that_of_scipy() -> None:
    """For odd and even degrees of freedom, near 0 and far from it."""
    for free in range(1, 12):
        for t in (0.0, 0.1, 1.0, 3.0, 20.0):
            assert two_sided(t, free) == pytest.approx(2 * scipy.stats.t.sf(t, free), abs=1e-12)


def test_chance_is_called_drift_once_in_a_hundred_runs() -> None:
    """Of 2,000 series of eight noisy values, no more than 1 % and its error are called changed, whatever the noise."""
    rng = np.random.default_rng(0)
    found = [change_point(rng.normal(0.5, 0.01, 8), 3) for _ in range(2000)]

    assert sum(place is not None for place in found) <= 20 + 3 * 20**0.5


def test_a_change_amid_noise_is_found_where_it_happened() -> None:
    """Ten standard deviations are seen by three values before and three after, and the place is the right one."""
    rng = np.random.default_rng(1)
    found = [change_point(np.append(rng.normal(0.5, 0.01, 3), rng.normal(0.6, 0.01, 3)), 3) for _ in range(200)]

    assert found.count(3) >= 190


def test_another_version_is_drift_even_if_the_values_agree(ledger: Ledger) -> None:
    """A new fingerprint in the middle of a run is named."""
    explanation = explain(changing(lambda n, a: Reply(a, served="v1" if n < 50 else "v2")), ledger)

    assert explanation.drift.served == ("v1", "v2")
    assert "v1, v2" in explanation.drift.reasons[0]


def test_a_second_run_repeats_the_checks_for_nothing(ledger: Ledger) -> None:
    """Checks are stored under their own samples, so an identical run sends nothing and reports the same versions."""
    explain(changing(lambda _, a: Reply(a, served="v1")), ledger)

    again = explain(changing(lambda _, a: Reply(a, served="v9")), ledger)

    assert again.queries.sent == 0
    assert again.drift.served == ("v1",)


@pytest.mark.parametrize(("unread", "drifted"), [({4}, True), ({1, 4}, False), ({1, 2}, False), ({1, 2, 3}, False)])
def test_an_answer_that_cannot_be_scored_is_drift_where_all_could_be(
    ledger: Ledger, unread: set[int], drifted: bool
) -> None:
    """A model that falls silent on the unperturbed image has changed, unless it was silent now and then at first."""
    looks = iter(range(100))

    def silent_at_times(image: np.ndarray) -> Reply:
        is_silent = np.array_equal(image, PHOTO) and next(looks) in unread
        return Reply(NoAnswer("filtered") if is_silent else brightness(image))

    explanation = explain(FakeOracle(remote=True, reply=silent_at_times), ledger)

    assert explanation.drift.drifted == drifted
    assert all("could not be scored" in reason for reason in explanation.drift.reasons)


def test_checks_can_be_switched_off(ledger: Ledger) -> None:
    """With 0 nothing but the clean image and the method's queries is asked."""
    explanation = explain(changing(lambda _, a: Reply(a)), ledger, drift_every=0, method="rise:queries=129")

    assert explanation.queries.asked == 130
    assert len(explanation.drift.checks) == 1


def test_a_local_model_is_not_checked(ledger: Ledger) -> None:
    """What cannot change behind our back is not asked again."""
    first, again = (bbquery.explain(PHOTO, FakeOracle(), max_queries=50, ledger=ledger) for _ in range(2))

    assert len(first.drift.checks) == 1
    assert not first.drift.watched
    assert not again.drift.watched


def test_the_checks_must_fit_into_the_budget(ledger: Ledger) -> None:
    """A method that leaves no room for them is refused, and the figures are given."""
    with pytest.raises(UsageError, match="checks for drift 6: 136"):
        explain(changing(lambda _, a: Reply(a)), ledger, method="rise:queries=129")


def test_negative_intervals_are_refused(ledger: Ledger) -> None:
    """An interval below zero is a usage error."""
    with pytest.raises(UsageError, match="make no sense"):
        explain(changing(lambda _, a: Reply(a)), ledger, drift_every=-1)


def test_the_number_of_checks_is_known_beforehand() -> None:
    """Start and end, and one for every so many queries; none where switched off."""
    assert checks_for(1000, 200) == FIRST_CHECKS + 1 + 5
    assert checks_for(1000, 0) == 0
