"""Small audits in this process: tiny photos, fake oracles, and a folder whose pictures are not drawn."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from bbquery.jobs.audit.engine import Engine
from bbquery.jobs.audit.keeping import KeptAttack, KeptMap
from bbquery.jobs.audit.photos import Photo
from bbquery.jobs.audit.plan import Plan
from bbquery.jobs.watch import Watch
from bbquery.ledger.ledger import Ledger
from bbquery.report.audit_folder import AuditFolder
from bbquery.system.clock import SystemClock
from tests.support.images import saved, tiny_images

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bbquery.jobs.attack.result import Stress
    from bbquery.jobs.audit.row import Row
    from bbquery.jobs.explain.result import Explanation
    from bbquery.system.clock import Clock
    from tests.support.oracles import FakeOracle

MAPS: dict[str, Any] = {"methods": ["rise"], "max_queries": 24, "verify": 0}


class Undrawn(AuditFolder):
    """An audit's folder with rows, and without pictures."""

    def thumbnail(self, oracle: str, photo: str, pixels: object) -> str:
        return f"{oracle}/{photo}/thumbnail.jpg"

    def explained(self, oracle: str, photo: str, part: str, found: Explanation) -> list[KeptMap]:
        return [KeptMap("", f"a map of {m.target}", "", f"{oracle}/{photo}/{part}") for m in found.maps]

    def attacked(self, oracle: str, photo: str, part: str, found: Stress) -> KeptAttack:
        return KeptAttack(found.outcome, "", f"{oracle}/{photo}/{part}")


def plan_of(*oracles: str, **tables: Any) -> Plan:
    """Return a plan that asks the clean photo twice, unless tables say more."""
    own = [{"name": each, "oracle": "efficientnet"} for each in oracles]  # a name that there is; fakes are asked
    plain = {"name": "t", "photos": {"from": ["photos"]}, "oracles": own, "repeat": {"times": 2}}
    return msgspec.convert(plain | tables, Plan)  # oracles of these names there are none


def photos_in(folder: Path, n: int, *, side: int = 8, seed: int = 0) -> list[Photo]:
    """Write n photos; return them by name."""
    folder.mkdir(exist_ok=True)
    names = [f"p{place:02}" for place in range(n)]
    images = tiny_images(n, side=side, seed=seed)
    paths = [saved(folder / f"{name}.png", image) for name, image in zip(names, images, strict=True)]
    return [Photo(name, path, f"photos/{name}.png") for name, path in zip(names, paths, strict=True)]


@dataclass
class Small:
    """An audit in a folder of a test, which may run more than once."""

    place: Path
    photos: Sequence[Photo]
    watch: Watch = field(default_factory=Watch)
    clock: Clock = field(default_factory=SystemClock)

    def run(self, plan: Plan, *oracles: FakeOracle) -> tuple[list[Row], Engine]:
        """Run it; return the rows that came, in their order, and the engine."""
        return asyncio.run(self._run(plan, oracles))

    async def _run(self, plan: Plan, oracles: Sequence[FakeOracle]) -> tuple[list[Row], Engine]:
        with Ledger(self.place / "ledger.sqlite3") as ledger:
            engine = Engine(plan, self.photos, oracles, ledger, Undrawn(self.place / "out"), self.watch, self.clock)
            return [row async for row in engine.run()], engine

    def spent(self, name: str = "audit-t") -> int:
        """Return the queries that a budget has posted and holds."""
        with Ledger(self.place / "ledger.sqlite3") as ledger:
            state = ledger.budget(ledger.find_budget(name))
            return state.posted.queries + state.held.queries
