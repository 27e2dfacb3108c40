from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bbquery.errors import UsageError
from bbquery.perturb.baselines import blurred
from bbquery.perturb.smooth_binary import SmoothBinaryMasks
from bbquery.plan import Ask, replay
from bbquery.saliency.bgeex import BinaryGeex, HalfSharpCopies, path
from bbquery.types import FLOAT, UINT8, Scores
from tests.support.known_scores import answer, linear

if TYPE_CHECKING:
    from bbquery.types import Domain, Image, SaliencyMap

PHOTO = np.random.default_rng(5).integers(0, 256, (16, 20, 3)).astype(np.uint8)
HIDDEN = blurred(PHOTO, 1.0)


def run(score: Any, *, queries: int = 400, domain: Domain = FLOAT, seed: int = 0) -> SaliencyMap:
    return replay(BinaryGeex(queries=queries).plan(domain.realise(PHOTO), domain, seed), answer(score))


def copies(domain: Domain = UINT8, rows: int = 8) -> HalfSharpCopies:
    masks = SmoothBinaryMasks((16, 20), 2.0)
    return HalfSharpCopies(PHOTO.astype(np.float64), HIDDEN, masks, domain, start=0.3, rows=rows, key=(1, 0))


@pytest.mark.parametrize("domain", [UINT8, FLOAT], ids=lambda d: d.dtype)
def test_a_copy_shows_one_side_of_its_mask_and_the_next_the_other(domain: Domain) -> None:
    """Where the sign is 1 a copy is x(α), elsewhere the blur; its partner has the same α and the opposite sign."""
    pair = copies(domain)

    for row in range(len(pair)):
        shown = domain.realise(HIDDEN + path(0.3, row // 2) * (PHOTO - HIDDEN))
        expected = np.where(pair.realised(row)[..., None] > 0, shown, domain.realise(HIDDEN)).astype(np.float64)
        # in float32, a value that lies between two grey levels may be rounded to the other
        np.testing.assert_allclose(pair[row], expected, atol=1.0 if domain is UINT8 else 1e-9)
        assert np.mean(pair[row] == expected) > 0.999 or domain is FLOAT
        np.testing.assert_array_equal(pair.realised(row ^ 1), -pair.realised(row))
    with pytest.raises(IndexError, match="row 8 of 8"):
        pair[8]


@pytest.mark.parametrize("pairs", [4, 16, 64, 500])
def test_the_whole_path_is_covered_by_any_number_of_pairs(pairs: int) -> None:
    """α reaches from 0 to 1 from the start on: no gap is wider than three times the mean one."""
    places = np.sort([path(0.37, pair) for pair in range(pairs)])

    gaps = np.diff([*places, places[0] + 1])
    assert gaps.max() < 3 / pairs
    assert 0 <= places[0] <= places[-1] < 1


def test_a_run_asks_every_part_of_the_path() -> None:
    """Batches go on where the last one ended: the sharpness asked is spread evenly over 0 to 1."""
    contrast = PHOTO - HIDDEN
    found: list[float] = []

    def note(ask: Ask) -> Scores:
        rows = [(ask.images[row] - HIDDEN)[..., 0] / contrast[..., 0] for row in range(0, len(ask.images), 2)]
        found.extend(float(np.nanmax(row)) for row in rows)
        return Scores.blank(len(ask.images))

    replay(BinaryGeex(queries=200, batch=31).plan(PHOTO.astype(np.float64), FLOAT, 2), note)

    assert len(found) == 100
    histogram = np.histogram(found, bins=5, range=(0, 1))[0]
    assert histogram.min() >= 18


def test_the_map_of_a_linear_score_is_what_masks_correlate_with() -> None:
    """For f = Σ a (v - x°) the mean of f sign is Σ_k E[α sᵢ bₖ] aₖ (x - x°)ₖ, with E[α sᵢ bₖ] = P(sᵢ = sₖ)/2 - ¼."""
    a = np.zeros(PHOTO.shape)
    a[8, 10] = np.sign(PHOTO[8, 10] - HIDDEN[8, 10])

    found = run(linear(a), queries=2000)

    gain = np.abs(PHOTO[8, 10] - HIDDEN[8, 10]).sum()
    contrast = np.abs(PHOTO - HIDDEN).mean(axis=-1) / 255
    assert found.values[8, 10] == pytest.approx(0.25 * gain * contrast[8, 10], rel=0.08)
    away = np.hypot(*np.meshgrid(np.arange(16) - 8, np.arange(20) - 10, indexing="ij"))
    smooth = 8.0 * 16 / 224
    agreement = np.arcsin(np.exp(-(away**2) / (4 * smooth**2))) / np.pi  # P(same sign) - ½ of a Gaussian field
    expected = agreement / 2 * gain * contrast
    assert np.abs(found.values - expected).max() < 6 * np.max(found.standard_error)  # type: ignore[arg-type] # it is there


def test_positive_is_evidence_for_the_target() -> None:
    """A score that rises with what the blur lacks has a positive map there, and its negative a negative one."""
    a = np.zeros(PHOTO.shape)
    a[4:8, 4:8] = (PHOTO - HIDDEN)[4:8, 4:8]

    plain, turned = run(linear(a)), run(linear(-a))

    assert plain.signed
    assert plain.values[4:8, 4:8].mean() > 0
    np.testing.assert_allclose(turned.values, -plain.values, atol=1e-12)


def test_what_the_path_alone_does_cancels() -> None:
    """A score of how sharp the whole photo is, whichever half, tells nothing of its parts: the map is exactly 0."""
    contrast = (PHOTO - HIDDEN)[..., 0]

    def sharpness(image: Image) -> float:
        return round(float(np.nanmax((image - HIDDEN)[..., 0] / contrast)), 6)

    assert np.abs(run(sharpness, queries=100).values).max() < 1e-6


def test_the_standard_error_is_the_spread_over_seeds() -> None:
    """What a map says of its own chance error is what repeating it with other seeds shows."""
    a = np.random.default_rng(2).normal(size=PHOTO.shape)

    maps = [run(linear(a), queries=60, seed=seed) for seed in range(40)]

    told = np.sqrt(np.mean([np.square(found.standard_error) for found in maps], axis=0))  # type: ignore[arg-type] # there
    shown = np.std([found.values for found in maps], axis=0, ddof=1)
    assert np.sqrt((shown**2).mean() / (told**2).mean()) == pytest.approx(1.0, abs=0.12)


def test_below_two_pairs_there_is_no_standard_error() -> None:
    """One pair has no spread: None rather than a number that means nothing."""
    assert run(linear(np.ones(PHOTO.shape)), queries=2).standard_error is None


def test_masks_are_smooth_half_visible_and_stationary() -> None:
    """Every pixel is visible half of the time, and agrees with a neighbour as a Gaussian field of that smoothness does.

    Smoothed by a deviation of s, values at a distance d correlate by exp(-d² / 4s²), and signs agree with probability
    ½ + asin(r) / π.
    """
    rows, smooth = 1500, 3.0
    masks = SmoothBinaryMasks((12, 15), smooth)
    drawn = np.stack([masks.draw((1, 0), row, rows) for row in range(rows)])

    assert np.abs(drawn.mean(axis=0) - 0.5).max() < 5 * 0.5 / math.sqrt(rows)
    for apart in (1, 3, 6):
        agree = (drawn[:, :, apart:] == drawn[:, :, :-apart]).mean(axis=0)
        expected = 0.5 + math.asin(math.exp(-(apart**2) / (4 * smooth**2))) / math.pi
        assert np.abs(agree - expected).max() < 5 * 0.5 / math.sqrt(rows)


@pytest.mark.parametrize("bad", [{"queries": 0}, {"smooth": 0.0}, {"blur": -1.0}, {"batch": 0}])
def test_values_that_cannot_work_are_refused(bad: dict[str, Any]) -> None:
    """A constructor value out of range is a UsageError that names it."""
    with pytest.raises(UsageError, match=f"{next(iter(bad))} must be"):
        BinaryGeex(**bad)
