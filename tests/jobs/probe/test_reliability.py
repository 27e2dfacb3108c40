"""Components of variance: against the paper's own table, simulations of known truth, and exact cases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import scipy.stats

from bbquery.jobs.probe.reliability import Components, Looks, components, explained, interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=np.float64
)


def of_one(values: NDArray[np.float64]) -> Components:
    return components(Looks.of_values(values, np.zeros(len(values), dtype=np.int64)))


def test_it_is_the_papers_number() -> None:
    """Shrout & Fleiss 1979, tables 2 to 4: BMS 11.24, WMS 6.26, ICC(1) = .17."""
    found = of_one(SHROUT_FLEISS)

    assert found.within == pytest.approx(6.26, abs=0.005)
    assert found.between == pytest.approx((11.24 - 6.26) / 4, abs=0.005)
    assert found.reliability == pytest.approx(0.17, abs=0.005)


def simulated(rng: np.random.Generator, masks: int, between: float, within: float) -> NDArray[np.float64]:
    """Return scores of masks, of which the first third were asked twice."""
    values = rng.normal(0, between**0.5, (masks, 1)) + rng.normal(0, within**0.5, (masks, 2))
    values[masks // 3 :, 1] = np.nan
    return values


def test_unequal_numbers_of_answers_are_taken_into_account() -> None:
    """With a third of the masks asked twice, both components are right on average."""
    rng = np.random.default_rng(0)
    found = [of_one(simulated(rng, 60, 4.0, 1.0)) for _ in range(400)]

    assert np.mean([c.between for c in found]) == pytest.approx(4.0, rel=0.05)
    assert np.mean([c.within for c in found]) == pytest.approx(1.0, rel=0.05)


def test_the_interval_mostly_holds_the_truth() -> None:
    """Of 200 simulations of 50 masks with a reliability of 0.5, the bootstrap's interval holds it in about 95 %."""
    held = []
    for seed in range(200):
        values = simulated(np.random.default_rng(seed), 50, 1.0, 1.0)
        looks = Looks.of_values(values, np.zeros(50, dtype=np.int64))
        resamples = components(looks.resampled(np.random.default_rng(seed))).reliability
        found = interval(float(components(looks).reliability), resamples, 50)
        held.append(found.low <= 0.5 <= found.high)

    assert np.mean(held) > 0.88


def test_differences_between_conditions_do_not_count() -> None:
    """Masks are compared within their condition: an offset of a whole condition changes nothing."""
    rng = np.random.default_rng(1)
    values, of = simulated(rng, 30, 1.0, 1.0), np.repeat([0, 1], 15)
    moved = values + of[:, None] * 100.0

    before, after = (components(Looks.of_values(v, of)) for v in (values, moved))

    assert after.between == pytest.approx(before.between)
    assert after.within == pytest.approx(before.within)


def test_an_oracle_without_noise_is_reliable() -> None:
    """Equal answers to equal masks have a reliability of exactly 1, and so has every resample that tells something."""
    values = np.repeat(np.random.default_rng(2).normal(size=(20, 1)), 2, axis=1)
    looks = Looks.of_values(values, np.zeros(20, dtype=np.int64))

    assert components(looks).reliability == 1
    assert np.nanmin(components(looks.resampled(np.random.default_rng(0))).reliability) == 1


def test_an_oracle_that_is_all_noise_is_not() -> None:
    """Answers that have nothing to do with the mask have a reliability near 0, never below."""
    found = [of_one(np.random.default_rng(s).normal(size=(30, 2))).reliability for s in range(50)]

    assert min(found) == 0
    assert np.mean(found) < 0.15


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e9])
def test_a_score_that_never_moves_has_no_reliability(constant: float) -> None:
    """Where nothing varies there is no share of it, whatever rounding makes of equal numbers."""
    assert np.isnan(of_one(np.full((12, 2), constant)).reliability)


def test_unrepeated_looks_do_not_tell_noise() -> None:
    """Without a second answer to any mask the components are not known."""
    values = np.column_stack([np.arange(5.0), np.full(5, np.nan)])

    assert np.isnan(of_one(values).within)


def test_unanswered_masks_are_left_out() -> None:
    """A row of NaN changes nothing."""
    values = np.array([[1.0, 2.0], [5.0, 4.0], [9.0, 9.5]])
    with_gap = np.vstack([values, [[np.nan, np.nan]]])

    assert of_one(with_gap).reliability == of_one(values).reliability


def test_no_answers_at_all_tell_nothing() -> None:
    """Nothing is NaN, not an error."""
    found = of_one(np.full((4, 2), np.nan))

    assert np.isnan(found.between)
    assert np.isnan(found.reliability)
    assert not interval(float("nan"), np.array([]), 0).known


# --- what a coarse map explains ---


NONE = np.zeros(60, dtype=np.int64)


def masks(n: int, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).random((n, 9))


def test_a_linear_score_is_explained_whole() -> None:
    """A weighted sum of blocks, with an offset for each condition, is explained by a map: 1."""
    blocks, of = masks(40), np.arange(40) % 2
    scores = blocks @ np.arange(9.0) + 50.0 * of

    found = explained(scores, blocks, of)

    assert found.share == pytest.approx(1)
    assert found.chance == 0
    assert found.seen


def test_half_of_the_variance_is_found_to_be_half() -> None:
    """With as much noise as signal, the share is a half over 200 simulations of 50 masks, or a little less."""
    weights = np.arange(9.0)
    shares = []
    for seed in range(200):
        blocks = masks(50, seed)
        noise = np.random.default_rng((seed, 1)).normal(0, (weights**2).sum() ** 0.5 * (1 / 12) ** 0.5, 50)
        shares.append(explained(blocks @ weights + noise, blocks, NONE[:50]).share)

    assert 0.44 < np.mean(shares) < 0.51


def test_chance_is_explained_by_about_nothing() -> None:
    """Scores that have nothing to do with masks are explained by less than 0.1 on average, though 9 blocks fit 50."""
    found = [explained(np.random.default_rng((s, 1)).normal(size=50), masks(50, s), NONE[:50]) for s in range(200)]

    assert np.mean([each.share for each in found]) < 0.1


def test_the_probability_of_chance_is_what_scipy_says_and_keeps_its_rate() -> None:
    """It is the F test's, so chance alone is seen in 2 of 100 simulations at most, though its share be large."""
    found = []
    for seed in range(400):
        blocks, scores = masks(40, seed), np.random.default_rng((seed, 1)).normal(size=40)
        found.append(explained(scores, blocks, NONE[:40]))
        columns = np.hstack([np.ones((40, 1)), blocks])
        left = float(np.linalg.lstsq(columns, scores, rcond=None)[1][0])
        f = ((scores.var() * 40 - left) / 9) / (left / 30)
        assert found[-1].chance == pytest.approx(scipy.stats.f.sf(f, 9, 30), abs=0.015)

    assert max(each.share for each in found) > 0.3
    assert sum(each.seen for each in found) <= 14  # 8 ± 2 standard deviations


def test_too_few_masks_or_no_differences_tell_nothing() -> None:
    """Below 30 masks, and of a constant score, no share is named."""
    assert np.isnan(explained(np.arange(29.0), masks(29), NONE[:29]).share)
    assert np.isnan(explained(np.full(40, 0.3), masks(40), NONE[:40]).share)
