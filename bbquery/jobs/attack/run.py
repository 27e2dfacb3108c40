"""The run that several attacks on several images are part of: what all of them have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bbquery.ledger.records import BudgetState
    from bbquery.oracle import Capabilities


@dataclass(frozen=True)
class AttackedImage:
    """One of the images. name: of its folder. source: as it was given. pixels: digest. label: the one to be lost.

    label: None where that was what the oracle said first.
    """

    name: str
    source: str
    pixels: str
    label: str | None


@dataclass(frozen=True, kw_only=True, eq=False)
class AttackRun:
    """The run that attacks are part of. run: the hash of what it asks. budget: the run's. seconds: by stage, so far.

    thresholds, linf_thresholds: of RMSE, and of the largest change; the largest first.
    """

    run: str
    images: tuple[AttackedImage, ...]
    thresholds: tuple[float, ...]
    linf_thresholds: tuple[float, ...]
    oracle: Capabilities
    seed: int
    budget: BudgetState
    seconds: dict[str, float]
