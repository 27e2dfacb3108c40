"""Saliency maps from answers alone: one algorithm a file, each with a plan that returns a `SaliencyMap`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image, SaliencyMap

__all__ = ["Method"]


class Method(Protocol):
    """A frozen configuration with a plan that returns a saliency map; its module names it as METHOD."""

    @property
    def queries(self) -> int:
        """Number of queries it asks at most, the unperturbed image not counted."""

    @property
    def adaptive(self) -> bool:
        """Whether what it asks depends on answers: if not, all its questions can be asked at once."""

    def plan(self, x: Image, domain: Domain, seed: int) -> Plan[SaliencyMap]:
        """Ask for perturbed copies of x (H, W, 3) and return the map (H, W) of the score there."""
