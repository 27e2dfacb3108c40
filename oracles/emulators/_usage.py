"""An emulator's usage report, as `bbquery budget reconcile --csv` reads it: what it billed since it began."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from oracles.emulators._bill import PICODOLLARS

PATH = "/usage.csv"
TYPE = "text/csv"
HEADER = "server,start,end,queries,tokens,usd"
DIGITS = 12  # after the point of a dollar, which is a picodollar


class Billed(Protocol):
    """A bill: images that were answered, tokens, and dollars in picodollars."""

    images_answered: int
    tokens: int
    picodollars: int


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@dataclass(frozen=True)
class Usage:
    """What a server billed since `began`."""

    bill: Billed
    began: datetime.datetime = field(default_factory=_now)

    def csv(self, server: str) -> str:
        """Return the report until now. server: the address at which it is asked, such as 127.0.0.1:8000."""
        bill = self.bill
        usd = f"{Decimal(bill.picodollars) / PICODOLLARS:.{DIGITS}f}"
        row = (server, self.began.isoformat(), _now().isoformat(), bill.images_answered, bill.tokens, usd)
        return f"{HEADER}\n{','.join(map(str, row))}\n"
