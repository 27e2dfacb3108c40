"""GeoDA: its schedule without a total, its waves, and how it begins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bbquery.attacks.geoda import Geoda
from bbquery.errors import UsageError
from bbquery.plan import Ask, replay
from bbquery.types import FLOAT, UINT8, Decision, Domain, Scores
from tests.support.known_boundaries import MARGIN, SIDE, Boundary, plane


def run(attack: Geoda, domain: Domain, seed: int = 0, *, begun: bool = True) -> tuple[Any, list[Any]]:
    """Return what it finds at a plane, and every batch that it asks."""
    boundary, batches = plane(seed), list[Any]()

    def answer(ask: Ask, boundary: Boundary = boundary) -> Scores:
        batches.append(np.stack([ask.images[row] for row in range(len(ask.images))]))
        return boundary(ask)

    start = boundary.start if begun else None
    return replay(attack.plan(domain.realise(boundary.photo), domain, seed, start=start), answer), batches


def test_probes_grow_by_a_fixed_factor() -> None:
    """Iteration t asks first × λ^(-2t/3) probes, as eq. 19 spreads them, whatever the total."""
    found, batches = run(Geoda(queries=1000, first=20), FLOAT)
    single = np.array([len(batch) == 1 for batch in batches])
    iterations = np.split(np.array([len(batch) for batch in batches]), np.flatnonzero(np.diff(single)) + 1)
    probes = [int(part.sum()) for part in iterations if part.max() > 1]

    assert probes[:5] == [round(20 * 0.6 ** (-2 * t / 3)) for t in range(5)]
    assert len(found.steps) >= 5


def test_the_normal_gathers_over_iterations() -> None:
    """Iterations of 30 probes each find a plane's normal together, where one alone knows nearly nothing of it."""
    found, _ = run(Geoda(queries=1000, first=30, growth=1.0), FLOAT)

    assert 255 * found.rmse < 2.5 * MARGIN  # from 5 times, at the start


def test_probes_are_in_the_lowest_waves() -> None:
    """With `waves` along each side, probes differ by cosines of no higher frequency, all of one length."""
    _, batches = run(Geoda(queries=120, waves=3), FLOAT)
    probes = next(batch for batch in batches if len(batch) > 1)
    waves = np.cos(np.pi * np.arange(SIDE)[:, None] * (np.arange(SIDE) + 0.5) / SIDE)
    spectrum = np.einsum("ab,nbcd,ec->naed", waves, probes - probes.mean(axis=0), waves)

    assert np.abs(spectrum[:, 3:]).max() < 1e-6 * np.abs(spectrum).max()
    assert np.abs(spectrum[:, :, 3:]).max() < 1e-6 * np.abs(spectrum).max()


def test_it_begins_with_growing_noise() -> None:
    """Without a start, Gaussian noise is asked, of 2 % more of the range from one query to the next."""
    photo = np.full((SIDE, SIDE, 3), 127, np.uint8)
    asked = list[Any]()

    def answer(ask: Ask) -> Scores:
        asked.append(ask.images[0] - 127.0)
        return Scores(np.array([Decision.MET], np.int8), np.ones(1))

    replay(Geoda(queries=8).plan(photo, FLOAT, 0), answer)

    assert [np.sqrt(np.mean(noise**2)) / 255 for noise in asked] == pytest.approx(
        [0.02 * turn for turn in range(1, 9)], rel=0.15
    )


def test_awareness_of_rounding_comes_nearer() -> None:
    """On whole grey levels, published probes are lost; with probes of a level the same queries reach a nearer image."""
    aware = [run(Geoda(queries=600), UINT8, seed)[0].rmse for seed in range(3)]
    published = [run(Geoda(queries=600, eight_bit=False), UINT8, seed)[0].rmse for seed in range(3)]

    assert max(np.array(aware) / published) < 0.8


def test_bad_options_are_refused() -> None:
    """Each is named before anything is asked."""
    with pytest.raises(UsageError, match="waves"):
        Geoda(waves=0)
    with pytest.raises(UsageError, match="growth"):
        Geoda(growth=1.5)
