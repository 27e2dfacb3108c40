"""HopSkipJump: what it asks, and how it meets rounding, beside what the paper says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bbquery.attacks.hsja import Hsja
from bbquery.errors import UnknownName, UsageError
from bbquery.plan import replay
from bbquery.types import FLOAT, UINT8, Domain
from tests.support.known_boundaries import BOUNDARIES, Boundary, plane

if TYPE_CHECKING:
    from bbquery.attacks import Norm

SEEDS = range(3)


def run(attack: Hsja, boundary: Boundary, domain: Domain, seed: int = 0) -> Any:
    return replay(attack.plan(domain.realise(boundary.photo), domain, seed, start=boundary.start), boundary)


@pytest.mark.parametrize(("norm", "power"), [("l2", 1.0), ("linf", 1.5)])
def test_probes_grow_as_published(norm: Norm, power: float) -> None:
    """Iteration t asks 100 √t probes; the first are of L2 .1, later ones (L2) a d-th of the distance by the norm."""
    boundary = plane(0)
    found = run(Hsja(queries=1500, norm=norm), boundary, FLOAT)
    between = np.diff([0, *(step.queries for step in found.steps)])
    values = boundary.photo.size

    assert len(found.steps) >= 5
    for iteration, asked in enumerate(between, start=1):
        assert int(100 * np.sqrt(iteration)) <= asked <= int(100 * np.sqrt(iteration)) + 45  # and bisection and steps
    assert found.steps[0].sigma == pytest.approx(0.1 * 255 / np.sqrt(values))
    reached = 255 * (found.rmse if norm == "l2" else found.linf)
    assert found.steps[-1].sigma * values**power == pytest.approx(reached, rel=0.3)


@pytest.mark.parametrize("shape", BOUNDARIES)
def test_the_largest_change_comes_near_to_the_exact(shape: str) -> None:
    """With norm=linf, 1,000 queries reach 2.3 times the exact L∞ distance, and 3,000 reach 1.6 times."""
    boundary = BOUNDARIES[shape](3)
    near, nearer = (run(Hsja(queries=queries, norm="linf"), boundary, FLOAT) for queries in (1000, 3000))

    assert near.norm == "linf"
    assert 255 * near.linf <= 2.3 * boundary.exact["linf"]
    assert 0.99 * boundary.exact["linf"] <= 255 * nearer.linf <= 1.6 * boundary.exact["linf"]


def test_awareness_of_rounding_comes_nearer() -> None:
    """On whole grey levels, published probes are lost; with probes of a level the same queries reach a nearer image."""
    aware = [run(Hsja(queries=1000), plane(seed), UINT8, seed).rmse for seed in SEEDS]
    published = [run(Hsja(queries=1000, eight_bit=False), plane(seed), UINT8, seed).rmse for seed in SEEDS]

    assert max(np.array(aware) / published) < 0.8


def test_bad_options_are_refused() -> None:
    """Each is named before anything is asked."""
    with pytest.raises(UsageError, match="gamma"):
        Hsja(gamma=0)
    with pytest.raises(UsageError, match="evaluations"):
        Hsja(evaluations=0)
    with pytest.raises(UnknownName, match="norm"):
        Hsja(norm="l1")  # type: ignore[arg-type] # as a person may write it
