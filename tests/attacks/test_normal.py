"""The normal that probes find, beside the one of a plane and a sphere."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from bbquery.attacks._normal import CHUNK, Probes, probed, unit
from bbquery.attacks._record import Record
from bbquery.plan import Ask, replay
from bbquery.types import FLOAT, UINT8, Decision, Domain, Scores

SIDE = 12
SIZE = SIDE * SIDE * 3
ROWS = 1000
AT = np.random.default_rng(1).integers(60, 190, (SIDE, SIDE, 3)).astype(np.float64)
NORMAL = unit(np.random.default_rng(2).standard_normal(AT.shape))


def found(offset: float, domain: Domain, size: float, *, rows: int = ROWS, at: Any = AT, refused: int = 0) -> Probes:
    """Probe a plane that lies `offset` grey levels RMS beyond `at`."""
    rng, asked = np.random.default_rng(3), list[Any]()

    def answer(ask: Ask) -> Scores:
        pixels = [ask.images[row].astype(np.float64) for row in range(len(ask.images))]
        beyond = np.array([np.mean((image - at) * NORMAL) > offset for image in pixels])
        decision = np.where(beyond, Decision.NOT_MET, Decision.MET).astype(np.int8)
        if refused:
            decision[(np.arange(len(pixels)) + len(asked)) % refused == 0] = Decision.UNDECIDED
        asked.extend(pixels)
        return Scores(decision, np.where(decision == Decision.UNDECIDED, np.nan, 1.0 - beyond))

    def draw(count: int) -> Any:
        return rng.standard_normal((count, *AT.shape), dtype=np.float32)

    record = Record(AT, domain, 10 * ROWS)
    return replay(probed(record, at, draw, size, rows, realised=True), answer)


def cosine(one: Any) -> float:
    return float(np.mean(unit(one) * NORMAL))


EXACT = math.sqrt(2 / math.pi * ROWS / SIZE) / math.sqrt(1 + 2 / math.pi * ROWS / SIZE)
"""Expected cosine for n signs of Gaussian directions in d dimensions: the signal √(2/π) beside chance of √(d / n)."""


@pytest.mark.parametrize(("domain", "size"), [(FLOAT, 0.01), (FLOAT, 3.0), (UINT8, 2.0)])
def test_probes_at_a_plane_find_its_normal(domain: Domain, size: float) -> None:
    """On the plane, the mean has the cosine with the normal that theory gives, centred or not, rounded or not."""
    probes = found(0.0, domain, size)

    assert cosine(probes.mean()) == pytest.approx(EXACT, abs=0.05)
    assert cosine(probes.centred()) == pytest.approx(EXACT, abs=0.05)


def test_probes_of_a_grey_level_are_aware_of_rounding() -> None:
    """At a grey level, where rounding changes a probe most, what was sent still finds the normal."""
    assert cosine(found(0.0, UINT8, 1.0).centred()) == pytest.approx(EXACT, abs=0.06)


def test_centring_helps_beside_the_boundary() -> None:
    """Off the plane most probes fall on one side; centred, they lose less of the normal."""
    probes = found(2.0 * 1.5 / math.sqrt(SIZE), FLOAT, 2.0)  # one and a half standard deviations

    assert 0.03 < 1 - np.mean(probes.scores.met) < 0.1
    assert cosine(probes.centred()) > 1.2 * cosine(probes.mean()) > 0


@pytest.mark.parametrize("rows", [1, CHUNK - 1, CHUNK, CHUNK + 1])
def test_probes_are_asked_in_chunks(rows: int) -> None:
    """Any number of probes is asked, no more and no fewer."""
    assert len(found(0.0, FLOAT, 1.0, rows=rows).scores) == rows


def test_probes_on_one_side_still_give_a_direction() -> None:
    """Where all probes are on one side, the mean of their directions counts with that sign, as published."""
    probes = found(-1e3, FLOAT, 1.0)

    assert np.array_equal(probes.centred(), probes.mean())
    assert np.array_equal(probes.signed, probes.drawn)


def test_refused_probes_count_for_neither_side() -> None:
    """Without an answer a probe is in no sum; without any, the normal is zero."""
    assert cosine(found(0.0, FLOAT, 1.0, refused=3).centred()) > 0.7
    assert not found(0.0, FLOAT, 1.0, refused=1).centred().any()


def test_probes_count_as_they_were_sent() -> None:
    """Aware of rounding, directions are sums of whole grey levels, and not what was meant."""
    levels = found(0.0, UINT8, 1.5, rows=20).drawn * 1.5

    assert np.allclose(levels, np.rint(levels), atol=1e-4)


def test_clipped_probes_are_what_was_sent() -> None:
    """At a white image probes can only darken: the mean holds no direction that could not be taken."""
    white = np.full(AT.shape, 255.0)
    probes = found(0.0, UINT8, 4.0, at=white)

    assert (probes.drawn <= 0).all()
