"""Admission: which photo may begin now, so that a spent cap leaves finished photos and no halves.

Theory of operation. Nothing here reaches a ledger, a clock or an oracle.

1. A photo on an oracle is an *item*. Its *promise* is the most that it may post and hold in all, from its first run on.
   While it is at work, its promise counts in the caps, and what it has posted and holds already counts once: in it.
   Once it has ended, what it has really posted and still holds counts instead.
2. An item begins only where its promise fits into what is left of its oracle's caps and of the audit's. The ledger
   keeps every item within its promise, so no item at work can meet a cap above its own, whatever ends first.
3. Items have an order: the plan's, and never that of speed. An item may begin before an earlier one of another oracle
   only where the earlier one would fit beside it: so a fast oracle leaves a slow one its share of the audit's caps.
4. What does not fit waits as long as anything may still free room: items at work, and earlier ones that have not begun.
   Else its lane has reached a cap.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from bbquery.units import NOTHING, Units, total

if TYPE_CHECKING:
    from bbquery.ledger.records import Cap

UNITS = ("queries", "tokens", "picodollars")

Decision: TypeAlias = Literal["begin", "wait", "cap"]
"""Decision about the next item of a lane."""


@dataclass(frozen=True)
class Item:
    """The next item of a lane. promise: the most it may post and hold in all. already: what it has from earlier on."""

    lane: str
    promise: Units
    already: Units = NOTHING

    @property
    def more(self) -> Units:
        """Return the most that it may still take; what it has already is counted as spent."""
        return less(self.promise, self.already)


@dataclass
class Room:
    """A cap, and what counts in it. spent: posted and held, but for items at work. promised: by those."""

    cap: Cap
    spent: Units = NOTHING
    promised: Units = NOTHING

    def fits(self, more: Units) -> bool:
        """Whether so much more fits."""
        taken = total((self.spent, self.promised, more))
        return not any(_above(getattr(taken, unit), getattr(self.cap, unit)) for unit in UNITS)

    def lacks(self, more: Units) -> str:
        """Return the unit in which so much more does not fit; empty where it does."""
        taken = total((self.spent, self.promised, more))
        return next((unit for unit in UNITS if _above(getattr(taken, unit), getattr(self.cap, unit))), "")


def _above(amount: int, cap: int | None) -> bool:
    return cap is not None and amount > cap


@dataclass
class Admission:
    """Budget left of an audit's caps and of each lane's.

    whole: the audit's. lanes: by name, in the plan's order; their `spent` counts in the whole's too.
    """

    whole: Room
    lanes: dict[str, Room]
    _at_work: dict[str, int] = field(default_factory=dict)

    @property
    def shares(self) -> bool:
        """Whether the lanes share a cap, so that the order of items of different lanes matters."""
        return len(self.lanes) > 1 and any(getattr(self.whole.cap, unit) is not None for unit in UNITS)

    def decide(self, item: Item, earlier: Iterable[Units] = ()) -> Decision:
        """Return whether a lane's next item may begin. earlier: promises of earlier items of other lanes, not begun."""
        more, before = item.more, total(earlier)
        own = self.lanes[item.lane]
        if own.fits(more) and self.whole.fits(more.plus(before)):
            return "begin"
        if not own.fits(more):
            return "wait" if self._at_work.get(item.lane) else "cap"
        return "wait" if before != NOTHING or any(self._at_work.values()) else "cap"

    def lacks(self, item: Item) -> tuple[str, str]:
        """Return which cap an item does not fit in, "the oracle" or "the audit", and the unit."""
        own = self.lanes[item.lane].lacks(item.more)
        return ("the oracle", own) if own else ("the audit", self.whole.lacks(item.more))

    def begin(self, item: Item) -> None:
        """Count an item as at work: its promise in place of what it has already."""
        for room in (self.whole, self.lanes[item.lane]):
            room.spent = less(room.spent, item.already)
            room.promised = room.promised.plus(item.promise)
        self._at_work[item.lane] = self._at_work.get(item.lane, 0) + 1

    def end(self, item: Item, spent: Units) -> None:
        """Count what an item has really posted and still holds in place of its promise."""
        for room in (self.whole, self.lanes[item.lane]):
            room.promised = less(room.promised, item.promise)
            room.spent = room.spent.plus(spent)
        self._at_work[item.lane] -= 1


def less(one: Units, other: Units) -> Units:
    """Return what is left of one amount without another."""
    return one.plus(other.times(-1))
