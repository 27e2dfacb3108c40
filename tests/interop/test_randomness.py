"""Global randomness: seeded for a while, and put back."""

# ruff: noqa: NPY002 - NumPy's global state is what this is about

from __future__ import annotations

import random
import sys
from typing import Any

import numpy as np
import pytest

from bbquery.interop import seeded
from bbquery.interop.randomness import Randomness


def drawn() -> list[Any]:
    """Draw from all that libraries draw from."""
    found = [
        np.random.normal(size=3).tolist(), np.random.RandomState().normal(size=3).tolist(),
        np.random.default_rng().normal(size=3).tolist(), random.random(),
    ]  # fmt: skip
    if "torch" in sys.modules:
        found.append(sys.modules["torch"].rand(3).tolist())
    return found


@pytest.mark.parametrize("seed", [0, 1, 2**32 + 1])
def test_a_seed_decides_all_that_is_drawn(seed: int) -> None:
    """The same seed draws the same from every source, and another seed draws something else from each."""
    with seeded(seed):
        first = drawn()
    with seeded(seed):
        again = drawn()
    with seeded(seed + 1):
        other = drawn()

    assert first == again
    assert all(one != two for one, two in zip(first, other, strict=True))


def test_what_was_there_is_put_back() -> None:
    """Afterwards each source goes on as if nothing had been drawn, also where the block fails."""
    np.random.seed(5)
    random.seed(5)
    expected = np.random.normal(), random.random()
    np.random.seed(5)
    random.seed(5)

    with pytest.raises(ZeroDivisionError), seeded(0):
        assert drawn()[0][0] / 0

    assert (np.random.normal(), random.random()) == expected
    assert np.random.RandomState().random() != np.random.RandomState().random()
    with seeded(0):
        inside = drawn()
    assert drawn() != inside


def test_it_goes_on_where_it_was_left() -> None:
    """Entered twice, it draws what one block of both would; another's draws between do not count."""
    whole, parts = Randomness(3), Randomness(3)
    with whole:
        expected = [drawn(), drawn()]

    found = []
    for _ in range(2):
        with parts:
            found.append(drawn())
        drawn()

    assert found == expected


def test_torch_is_seeded_where_it_is_loaded() -> None:
    """PyTorch's generator on the CPU begins at the seed, and goes on as before afterwards."""
    import torch

    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    with seeded(0):
        first = torch.rand(3)
    after = torch.rand(1)
    with seeded(0):
        again = torch.rand(3)

    assert torch.equal(first, again)
    assert torch.equal(after, expected)
