"""Tiers: which attacks on which network, on how many photos, with how many queries."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from networks import NETWORKS

from .players import Group, is_scheduled, is_wanted, players
from .transfer import TRANSFERS

if TYPE_CHECKING:
    from .photos import Photo


Kind: TypeAlias = Literal["labels", "lists", "transfer"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""What a network answers; or that nobody asks it, and a photo that was changed for another one is shown to it."""


@dataclass(frozen=True)
class Part:
    """A part of a tier. attacks: specifications, beside those of the groups. marks: queries at which it is judged."""

    network: str
    answers: Kind
    photos: int
    marks: tuple[int, ...]
    groups: tuple[Group, ...] = ()
    attacks: tuple[str, ...] = ()

    @property
    def specifications(self) -> list[str]:
        """The attacks."""
        return list(dict.fromkeys([*players(self.groups), *self.attacks]))

    def runs(self, only: tuple[str, ...]) -> list[tuple[str, int]]:
        """Return what is run on a photo: (specification, budget). What is not planned for a budget runs once."""
        return [
            (specification, budget)
            for specification in self.specifications
            if is_wanted(specification, only)
            for budget in (self.marks if is_scheduled(specification) else (max(self.marks),))
        ]


QUICK, FULL = (250, 500, 1000), (1000, 5000, 10000)
AWARE: tuple[Group, ...] = ("ours", "aware")
TIERS = {
    "quick": (
        Part("lite0", "labels", 10, QUICK, AWARE),
        Part("lite0", "labels", 5, QUICK, ("published",)),
        Part("lite0", "lists", 10, (1000,), ("ours",)),
        Part("lite0", "lists", 5, (1000,), ("aware",)),
        Part("lite2", "labels", 5, (1000,), ("ours",)),
        Part("dogs", "labels", 5, (1000,), AWARE),
    ),
    "full": (
        Part("lite0", "labels", 50, FULL, AWARE),
        Part("lite0", "labels", 50, FULL, ("published",)),
        Part("lite0", "lists", 50, FULL, AWARE),
        Part("lite0", "lists", 50, FULL, ("published",)),
        Part("lite2", "labels", 12, FULL, AWARE),
        Part("lite2", "labels", 12, FULL, ("published",)),
        Part("dogs", "labels", 12, FULL, AWARE),
        Part("dogs", "labels", 12, FULL, ("published",)),
        Part("lite2", "transfer", 30, (1000,), attacks=TRANSFERS),
        Part("dogs", "transfer", 12, (1000,), attacks=TRANSFERS),
    ),
}


@dataclass(frozen=True)
class Run:
    """One attack on one photo, as a worker takes it."""

    part: Part
    photo: Photo
    attack: str
    budget: int


def chosen(
    tier: str,
    *,
    networks: tuple[str, ...] = tuple(NETWORKS),
    answers: tuple[Kind, ...] = KINDS,
    photos: int | None = None,
    marks: tuple[int, ...] = (),
    only: tuple[str, ...] = (),
) -> list[Part]:
    """Return the parts of a tier, narrowed to what a person chose.

    only: names of attacks, or specifications; one that no group has is added where its own attack's name plays.
    """
    found = [part for part in TIERS[tier] if part.network in networks and part.answers in answers]
    found = [replace(part, photos=photos or part.photos, marks=marks or part.marks) for part in found]
    added = tuple(name for name in only if ":" in name)
    return [replace(part, attacks=added) if "ours" in part.groups else part for part in found]
