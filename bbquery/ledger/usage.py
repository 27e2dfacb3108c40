"""A vendor's usage in a window of time, and what the ledger has of the same window."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bbquery.ledger import reports
from bbquery.units import Units, total

if TYPE_CHECKING:
    from bbquery.ledger.reconcile import Verdict

LAG = datetime.timedelta(days=1)  # vendors say that reports may be delayed, not by how much


@dataclass(frozen=True)
class Usage:
    """A vendor's report on a model from `start` to before `end`. units: those it counts; the others are zero.

    server: the address to which alone it applies, as `reports.server_of` gives it; "" for a vendor's. With one, model
    may be "": all that was asked there.
    """

    model: str
    start: datetime.datetime
    end: datetime.datetime
    amount: Units
    units: tuple[str, ...]
    server: str = ""

    @property
    def complete_from(self) -> datetime.datetime:
        """When it can be taken to have everything: a server on this machine reports at once."""
        return self.end if reports.on_this_machine(self.server) else self.end + LAG

    def plus(self, later: Usage) -> Usage:
        """Return one window of this one and a later one that follows it."""
        units = tuple(unit for unit in self.units if unit in later.units)
        return replace(self, end=later.end, amount=self.amount.plus(later.amount), units=units)


@dataclass
class Window:
    """A model's time from a report, and what the ledger has of it.

    assumed: those of the posted ones whose cost is taken to be all that was held. doubtful: attempts whose recorded
    time cannot be right. conclusion: for people.
    """

    usage: Usage
    posted: Units = field(default_factory=Units)
    assumed: list[reports.Attempt] = field(default_factory=list)
    unknowns: list[reports.Attempt] = field(default_factory=list)
    in_flight: int = 0
    doubtful: int = 0
    verdicts: list[Verdict] = field(default_factory=list)
    conclusion: str = ""

    @property
    def difference(self) -> Units:
        """Usage reported beyond what was posted; negative if less was reported."""
        return self.usage.amount.plus(self.posted.times(-1))

    @property
    def held(self) -> Units:
        """Amount held by its unknowns."""
        return total(attempt.hold for attempt in self.unknowns)

    @property
    def due(self) -> Units:
        """Usage reported beyond what is certain: what its unknowns and its assumed ones cost together."""
        return self.difference.plus(total(attempt.hold for attempt in self.assumed))
