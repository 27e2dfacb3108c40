"""Attacks beside the exact distance, where the boundary is a plane or a sphere: each new file is tested.

Every attack is given the same start, several times as far as the nearest change. A new attack needs one line in WITHIN.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from bbquery import load
from bbquery.plan import replay
from bbquery.types import FLOAT, UINT8, Domain
from tests.support.known_boundaries import BOUNDARIES, MARGIN, Boundary

QUERIES = 1000


@dataclass(frozen=True)
class Within:
    """At most so many times the exact distance after 1,000 queries, with pixels of floats and with 8-bit ones."""

    float64: float
    uint8: float


WITHIN = {
    "boundary": Within(5.1, 3.3),
    "cgba": Within(1.3, 1.3),
    "cgba_h": Within(1.3, 1.3),
    "geoda": Within(3.3, 5.1),  # its base is off the boundary where all values of a start's change round alike
    "hsja": Within(1.7, 1.7),
    "lr_boundary": Within(1.5, 1.5),
    "lr_mifgsm": Within(2.5, 2.3),
    "lr_mifgsm_paper": Within(7.6, 7.6),
    "mig": Within(9.2, 9.2),  # its start: a label alone is constant around the photo, and has no gradient
    "opt": Within(4.4, 3.6),
    "qeba": Within(1.3, 1.3),
    "rays": Within(7.4, 7.4),
    "signopt": Within(2.8, 2.8),
    "surfree": Within(1.6, 1.7),
    "triangle": Within(2.6, 2.6),
    "ttba": Within(1.3, 1.3),
}


def ratio(name: str, boundary: Boundary, domain: Domain, seed: int) -> float:
    """Return the distance that an attack reaches over the exact one."""
    attack = load.attack(name, queries=QUERIES)
    photo, start = domain.realise(boundary.photo), domain.realise(boundary.start)
    found = replay(attack.plan(photo, domain, seed, start=start), boundary)
    return 255 * (found.rmse if found.norm == "l2" else found.trace[-1].linf) / boundary.exact[found.norm]


@pytest.mark.parametrize("domain", [FLOAT, UINT8], ids=["float64", "uint8"])
@pytest.mark.parametrize("shape", BOUNDARIES)
@pytest.mark.parametrize("name", load.names("attack"))
def test_it_comes_near_to_the_exact_distance(name: str, shape: str, domain: Domain) -> None:
    """At a plane, and at a sphere from within and from without, 1,000 queries reach a stated multiple of the exact."""
    reached = ratio(name, BOUNDARIES[shape](3), domain, seed=0)

    assert 0.99 <= reached <= getattr(WITHIN[name], domain.dtype)


@pytest.mark.parametrize("shape", BOUNDARIES)
def test_the_start_is_far_beyond_the_boundary(shape: str) -> None:
    """The start is adversarial, and shrunk along its own ray it is still more than twice the exact distance away."""
    boundary = BOUNDARIES[shape](3)
    outwards = boundary.start - boundary.photo

    shares = [s for s in np.linspace(0, 1, 400) if boundary.adversarial(boundary.photo + s * outwards)]

    assert boundary.adversarial(boundary.start)
    assert min(shares) * np.sqrt(np.mean(outwards**2)) > 2 * MARGIN
