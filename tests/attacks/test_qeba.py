"""QEBA: the subspaces that its probes lie in, and how it meets rounding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bbquery.attacks.qeba import Qeba
from bbquery.errors import UnknownName, UsageError
from bbquery.plan import Ask, replay
from bbquery.types import FLOAT, UINT8, Scores
from tests.support.known_boundaries import SIDE, plane

FACTOR = 4
CELLS = SIDE // FACTOR
CENTRES = (np.arange(CELLS) + 0.5) * FACTOR - 0.5


def changes(noise: str) -> Any:
    """Return how probes around a point differ from one of them, (n, H, W, 3)."""
    boundary, batches = plane(0), list[Any]()

    def answer(ask: Ask) -> Scores:
        batches.append(np.stack([ask.images[row] for row in range(len(ask.images))]))
        return boundary(ask)

    attack = Qeba(queries=150, noise=noise, factor=FACTOR)  # type: ignore[arg-type] # one of them
    replay(attack.plan(boundary.photo, FLOAT, 0, start=boundary.start), answer)
    first = next(batch for batch in batches if len(batch) > 1)
    return first[1:] - first[0]


def assert_they_span(found: Any, basis: Any) -> None:
    """Changes span the products of a basis (k, H) along both axes, and nothing else."""
    projector = basis.T @ np.linalg.pinv(basis.T)
    inside = np.einsum("ab,nbcd,ec->naed", projector, found, projector)

    assert np.allclose(found, inside, rtol=0, atol=1e-6)
    assert np.linalg.matrix_rank(found[..., 0].reshape(len(found), -1), tol=1e-4) == len(basis) ** 2


def test_resized_noise_is_a_grid_enlarged_bilinearly() -> None:
    """Probes lie in the span of one tent for each cell, which NumPy's interpolation gives."""
    tents = np.stack([np.interp(np.arange(SIDE), CENTRES, cell) for cell in np.eye(CELLS)])

    assert_they_span(changes("resize"), tents)


def test_dct_noise_is_in_the_lowest_waves() -> None:
    """Probes lie in the span of the lowest cosines along each axis."""
    waves = np.cos(np.pi * np.arange(CELLS)[:, None] * (np.arange(SIDE) + 0.5) / SIDE)

    assert_they_span(changes("dct"), waves)


def test_probes_are_a_share_of_the_distance_or_a_grey_level() -> None:
    """As published a probe is 1 % of the distance; aware of rounding, it is a grey level where that is more."""
    boundary, sizes = plane(0), dict[bool, list[float]]()
    for aware in (True, False):
        attack = Qeba(queries=600, eight_bit=aware)
        found = replay(attack.plan(UINT8.realise(boundary.photo), UINT8, 0, start=boundary.start), boundary)
        sizes[aware] = [step.sigma for step in found.steps[1:]]

    assert set(sizes[True]) == {1.0}  # the start is 40 levels away
    assert all(0.01 * 8 < size < 0.01 * 60 for size in sizes[False])


def test_bad_options_are_refused() -> None:
    """Each is named before anything is asked."""
    with pytest.raises(UsageError, match="factor"):
        Qeba(factor=0)
    with pytest.raises(UnknownName, match="noise"):
        Qeba(noise="pca")  # type: ignore[arg-type] # as a person may write it
