"""A run that is asked as a batch, what it said, and the map of the ordinary run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

import bbquery
from bbquery.client.halt import Interrupted
from bbquery.ledger.ledger import Ledger
from bbquery.saliency.rise import Rise
from tests.support.batches_vendor import Vendor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bbquery.batches.prefetch import Prefetch
    from bbquery.client.client import Client
    from bbquery.jobs.explain.result import Explanation


PHOTO = np.random.default_rng(3).integers(0, 256, (8, 8, 3), dtype=np.uint8)
QUERIES = 40
METHOD = Rise(queries=QUERIES, batch=16, cells=3)


@dataclass
class Heard(bbquery.Watch):
    """What a run told; acts when it says a certain thing."""

    news: list[str] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    when: str = "nothing says this"
    act: Callable[[Heard], object] = lambda _: None
    client: Client | None = None
    prefetch: Prefetch | None = None

    def started(self, client: Client, queries: int, rows: int) -> None:
        self.client = client

    def batching(self, prefetch: Prefetch) -> None:
        self.prefetch = prefetch

    def batch_news(self, text: str) -> None:
        self.news.append(text)
        self._act(text)

    def batch_status(self, text: str) -> None:
        self.states.append(text)
        self._act(text)

    def _act(self, text: str) -> None:
        if self.when in text:
            self.act(self)

    def interrupt(self) -> None:
        assert self.client is not None
        self.client.halt.set(Interrupted("interrupted by a test"))


def explain(vendor: Vendor, ledger: Ledger, **options: Any) -> Explanation:
    chosen: dict[str, Any] = {"method": METHOD, "target": "left", "max_queries": 100, "verify": 0, "batch": True}
    return bbquery.explain(PHOTO, vendor, ledger=ledger, **(chosen | options))


def map_of(explanation: Explanation) -> bytes:
    return explanation.maps[0].values.tobytes()


def ordinary(tmp_path: Path) -> bytes:
    """Return the map of the ordinary run."""
    with Ledger(tmp_path / "ordinary.sqlite3") as ledger:
        return map_of(explain(Vendor(tmp_path / "other"), ledger, batch=False))
