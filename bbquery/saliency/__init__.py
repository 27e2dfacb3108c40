"""Saliency maps from answers alone: one algorithm a file, each with a plan that returns a `SaliencyMap`."""

from __future__ import annotations

from dataclasses import dataclass, is_dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image, SaliencyMap

__all__ = ["Method"]


@runtime_checkable
class Method(Protocol):
    """A frozen configuration with a plan that returns a saliency map; its module names it as METHOD.

    Subclass it, so that `adaptive` and `shareable` are there where a method says nothing else. A class that is none and
    has `queries` and `plan` is taken as well (`Undeclared`).
    """

    @property
    def queries(self) -> int:
        """Number of queries it asks at most, the unperturbed image not counted."""

    @property
    def adaptive(self) -> bool:
        """Whether what it asks depends on answers: if not, all its questions can be asked at once.

        A method that does not say may adapt.
        """
        return True

    def shareable(self) -> Method:
        """Return the method whose questions several targets, or a batch, can share, where it leaves that open.

        A method that does not say leaves nothing open: it is returned as it is.
        """
        return self

    def plan(self, x: Image, domain: Domain, seed: int) -> Plan[SaliencyMap]:
        """Ask for perturbed copies of x (H, W, 3) and return the map (H, W) of the score there."""


@dataclass(frozen=True, repr=False)
class Undeclared(Method):
    """A method of another class, which does not say `adaptive` or `shareable`, with the default of what it lacks."""

    own: Any

    def __repr__(self) -> str:
        """Return what stands for the method itself, which names its runs."""
        return repr(self.own) if is_dataclass(self.own) else type(self.own).__name__

    @property
    def queries(self) -> int:
        """Number of queries it asks at most, the unperturbed image not counted."""
        return int(self.own.queries)

    @property
    def adaptive(self) -> bool:
        """Whether what it asks depends on answers, where it says that."""
        return bool(getattr(self.own, "adaptive", True))

    def shareable(self) -> Method:
        """Return the method whose questions can be shared, where it names one; else itself."""
        found = getattr(self.own, "shareable", lambda: self)()
        return found if isinstance(found, Method) else Undeclared(found)

    def plan(self, x: Image, domain: Domain, seed: int) -> Plan[SaliencyMap]:
        """Return its own plan."""
        plan: Plan[SaliencyMap] = self.own.plan(x, domain, seed)
        return plan
