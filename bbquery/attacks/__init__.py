"""Attacks, for evaluating models that you own or may test: one algorithm a file.

Distance is between the bytes that were asked and those of the clean image, 0 to 1: RMSE = ‖x' - x‖₂ / (255 √(3HW)), or
the largest change L∞ = ‖x' - x‖∞ / 255.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image

__all__ = ["Attack", "AttackResult", "Norm", "Point", "Step"]

Norm: TypeAlias = Literal["l2", "linf"]
"""By which distance images are near: RMSE, or the largest change of a value."""


@dataclass(frozen=True)
class Point:
    """The nearest adversarial image so far: after how many rows asked, its RMSE, and its largest change."""

    queries: int
    rmse: float
    linf: float


@dataclass(frozen=True)
class Step:
    """One step, as it went. queries: rows asked when it was done. sigma: noise of its copies, in grey levels.

    changed: the share of its copies, of those decided, that were adversarial; NaN where none was decided.
    """

    queries: int
    sigma: float
    changed: float


@dataclass(frozen=True, eq=False)
class AttackResult:
    """The nearest adversarial image that was asked, exactly as it was, and the way to it.

    best: (H, W, 3) of the domain's dtype; None where no image was adversarial. rmse, linf: its distances; infinite
    without one. norm: by which of them it is the nearest. queries: rows asked. undecided: those of them without a
    decision. trace: each new best.
    """

    best: Image | None
    rmse: float
    linf: float
    norm: Norm
    queries: int
    undecided: int
    trace: tuple[Point, ...]
    steps: tuple[Step, ...]


class Attack(Protocol):
    """A frozen configuration with a plan that looks for an adversarial image; its module names it as ATTACK.

    Of a row's scores, the decision is MET while the clean label stands, so NOT_MET is adversarial and UNDECIDED is
    neither; the value is higher the nearer the answer is to the clean label.
    """

    @property
    def queries(self) -> int:
        """Number of rows it asks at most, those of the clean image not counted."""

    def plan(self, x: Image, domain: Domain, seed: int, start: Image | None = None) -> Plan[AttackResult]:
        """Ask for changed copies of x (H, W, 3) and return the nearest adversarial one.

        start: an image of x's shape that is thought to be adversarial, to begin with; it is asked like any other.
        """
