"""The newest approximators of Shapley values, each by the library shapiq (1.8): rivals in the part "games".

    pip install 'shapiq[proxy,shapleig]>=1.8'       # Python 3.12 or later; where it is missing they are left out

Each plays as the library sets it by default, and the values of single cells are taken: Shapley values. KernelSHAP-IQ
estimates interactions besides (of its indices SII is the one whose single values are Shapley values). PolySHAP has 137
terms for 16 cells and plays where there are more queries than that. OddSHAP's paper wants ten queries a cell, and falls
back on another method below that; the library does not. ShaplEIG chooses every set by a Gaussian process, which takes a
tenth of a second of CPU a query, and a second where they are hundreds, so it plays with few queries and one seed.
"""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .players import Ask


@dataclass(frozen=True)
class Rival:
    """An approximator of shapiq's. made: from shapiq.approximator, the cells and a seed.

    least, most: queries that it plays with. seeds: the most that it plays with.
    """

    made: Callable[[Any, int, int], Any]
    least: int = 1
    most: int = 1_000_000
    seeds: int = 1_000_000

    def __call__(self, ask: Ask, size: tuple[int, int], queries: int, seed: int) -> NDArray[np.float64]:
        """Return its values of the cells, (H * W,)."""
        approximators: Any = importlib.import_module("shapiq.approximator")
        cells = size[0] * size[1]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the libraries beneath it
            found = self.made(approximators, cells, seed % 2**31).approximate(
                queries, lambda shown: ask(np.atleast_2d(shown).astype(np.bool_))
            )
        single = found.get_n_order(1)
        return np.array([single[(cell,)] for cell in range(cells)], dtype=np.float64)


def installed() -> bool:
    """Whether shapiq is here."""
    return importlib.util.find_spec("shapiq") is not None


RIVALS = {
    "KernelSHAP-IQ": Rival(lambda of, n, seed: of.KernelSHAPIQ(n, index="SII", random_state=seed)),
    "LeverageSHAP": Rival(lambda of, n, seed: of.LeverageSHAP(n, random_state=seed)),
    "OddSHAP": Rival(lambda of, n, seed: of.OddSHAP(n, random_state=seed)),
    "PolySHAP": Rival(lambda of, n, seed: of.PolySHAP(n, random_state=seed), least=138),
    "ProxySHAP": Rival(lambda of, n, seed: of.ProxySHAP(n, max_order=1, index="SV", random_state=seed)),
    "ShaplEIG": Rival(
        lambda of, n, seed: of.ShaplEIG(n, show_progress=False, random_state=seed), least=17, most=64, seeds=1
    ),
}
