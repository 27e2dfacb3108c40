"""The process's global randomness, seeded for a library that draws from it, and put back afterwards.

Libraries of attacks draw from NumPy's global state, from NumPy generators that they make without a seed, from Python's
`random`, and from PyTorch's generator on the CPU. Other threads that draw from these meanwhile draw from the same.
"""

# ruff: noqa: NPY002 - NumPy's global state is what this is about

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.random import bit_generator

ENTROPY = "randbits"
"""What NumPy takes its bits from, for a generator that is made without a seed (`numpy.random.SeedSequence`)."""


class Randomness:
    """Global randomness that begins at a seed and goes on where it was left; `with` puts it in place for a while."""

    def __init__(self, seed: int) -> None:
        """Begin at a seed, 0 or more."""
        whole, legacy, pythons, torchs = np.random.SeedSequence(seed).spawn(4)
        self._fresh = np.random.default_rng(whole)
        self._own: list[Any] = [
            np.random.RandomState(np.random.MT19937(legacy)).get_state(),
            random.Random(_number(pythons)).getstate(),  # noqa: S311 - nothing secret is drawn
            _number(torchs),
        ]
        self._outer: list[Any] = []

    def __enter__(self) -> None:
        """Put it in place of what there is."""
        self._outer = [np.random.get_state(), random.getstate(), _torch_state(), getattr(bit_generator, ENTROPY)]
        np.random.set_state(self._own[0])
        random.setstate(self._own[1])
        _set_torch_state(self._own[2])
        setattr(bit_generator, ENTROPY, self._bits)

    def __exit__(self, *_: object) -> None:
        """Put back what there was."""
        self._own = [np.random.get_state(), random.getstate(), _torch_state()]
        np.random.set_state(self._outer[0])
        random.setstate(self._outer[1])
        _set_torch_state(self._outer[2])
        setattr(bit_generator, ENTROPY, self._outer[3])

    def _bits(self, bits: int) -> int:
        return int.from_bytes(self._fresh.bytes(-(-bits // 8)), "little") >> (-bits % 8)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed what libraries draw from, so that a second run asks the same and is free; put all back at the end.

    These are NumPy's global state and its generators that are made without a seed, Python's `random`, and PyTorch's
    generator on the CPU where it is loaded, of the whole process. seed: 0 or more.
    """
    with Randomness(seed):
        yield


def _number(sequence: np.random.SeedSequence) -> int:
    return int(sequence.generate_state(1)[0])


def _torch_state() -> Any:
    """Return the state of PyTorch's generator; None where it is not loaded, or another thread is loading it."""
    state = getattr(sys.modules.get("torch"), "get_rng_state", None)
    return None if state is None else state()


def _set_torch_state(state: Any) -> None:
    """Set PyTorch's generator to a state, or to that of a seed; nothing where it is not loaded."""
    torch: Any = sys.modules.get("torch")
    if state is not None and hasattr(torch, "set_rng_state"):
        torch.set_rng_state(torch.Generator().manual_seed(state).get_state() if isinstance(state, int) else state)
