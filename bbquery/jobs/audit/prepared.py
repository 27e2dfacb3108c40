"""An audit that is ready to run: its plan, its photos, and its oracles, connected for as long as it lasts."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bbquery import load
from bbquery.errors import UsageError
from bbquery.jobs.audit.beforehand import unknown_labels
from bbquery.jobs.audit.engine import Engine
from bbquery.jobs.audit.photos import listing
from bbquery.jobs.audit.settled import settled
from bbquery.jobs.audit.summing import Standing, summary
from bbquery.jobs.identity import identity

if TYPE_CHECKING:
    from bbquery.jobs.audit.executor import Executor
    from bbquery.jobs.audit.keeping import Keeper
    from bbquery.jobs.audit.photos import Photo
    from bbquery.jobs.audit.reading import PlanFile
    from bbquery.jobs.audit.summary import Summary
    from bbquery.jobs.audit.summing import Read
    from bbquery.jobs.watch import Watch
    from bbquery.ledger.ledger import Ledger
    from bbquery.oracle import Oracle


OUT_OUTSIDE = "only --out may name such a folder"


def run_of(name: str) -> str:
    """Return the hash that an audit's folder is known by: the same name goes on in the same folder."""
    return identity(["audit", name])


def place_of(file: PlanFile, out: Path | None) -> Path:
    """Return the folder of an audit's results. out: as a person says, None as the plan says.

    Raises:
        UsageError: the plan says one outside its folder, links followed: a plan may come from somebody else.
    """
    if out is not None:
        return out
    faults, place = file.faults(), file.folder / (file.plan.out or f"{file.plan.name}-audit")
    if not _leads_into(place, file.folder):
        faults.add(("out",), f"lies outside the plan's folder: {OUT_OUTSIDE}")
    faults.check()
    return place


def _leads_into(place: Path, folder: Path) -> bool:
    try:
        return Path(os.path.realpath(place)).is_relative_to(os.path.realpath(folder))
    except ValueError:  # a null character, which whoever writes there refuses
        return True


@dataclass(frozen=True, eq=False)
class Prepared:
    """An audit that may run. oracles: connected, in the plan's order. began: ISO 8601, UTC."""

    file: PlanFile
    photos: Sequence[Photo]
    oracles: Sequence[Oracle]
    began: str = field(default_factory=lambda: datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"))

    @property
    def names(self) -> list[str]:
        """The photos' names, in the plan's order."""
        return [photo.name for photo in self.photos]

    def check_capped(self, advice: str) -> None:
        """See that whatever costs money has a cap in queries or dollars, its own or the audit's. advice: what to do.

        Raises:
            UsageError: an oracle has none.
        """
        whole = self.file.plan.caps.cap
        for own, oracle in zip(self.file.plan.oracles, self.oracles, strict=True):
            caps = (whole.picodollars, whole.queries, own.cap.picodollars, own.cap.queries)
            if not oracle.capabilities.price.free and all(cap is None for cap in caps):
                raise UsageError(f"queries to {own.name!r} may cost money, and nothing says how much: {advice}")

    def engine(self, ledger: Ledger, keeper: Keeper, watch: Watch, executor: Executor) -> Engine:
        """Return what runs it."""
        return Engine(self.file.plan, self.photos, self.oracles, ledger, keeper, watch, executor=executor)

    def summary(
        self,
        engine: Engine,
        folder: Path,
        *,
        command: Sequence[str] = (),
        resume: str = "",
        before: Baseline | None = None,
    ) -> Summary:
        """Return what it comes to as it stands. before: the audit that it is compared with."""
        ended = {lane.setting.name: str(lane.ended) for lane in engine.lanes if lane.ended is not None}
        ended |= {} if engine.ended is None else {"": str(engine.ended)}
        budgets = {lane.setting.name: engine.ledger.budget(lane.budget) for lane in engine.lanes}
        budgets[""] = engine.ledger.budget(engine.budget)
        read = settled(engine.keeper.row, engine.ledger, budgets[""].name)
        return summary(
            Standing(
                plan=self.file.plan, run=run_of(self.file.plan.name), folder=folder, photos=self.names,
                read=read, budgets=budgets, ended=ended, command=command, resume=resume, began=self.began,
                before=None if before is None else before.read, baseline="" if before is None else before.name,
                earlier=engine.earlier,
            )
        )  # fmt: skip


@dataclass(frozen=True)
class Baseline:
    """An audit to be compared with. name: of its folder. read: gives its rows."""

    name: str
    read: Read


@contextlib.asynccontextmanager
async def prepared(file: PlanFile) -> AsyncIterator[Prepared]:
    """Find the photos and connect the oracles; nothing is sent.

    Raises:
        UsageError: there is no photo, an oracle cannot be connected as the plan says, or it does not know a label that
            it is to explain.
    """
    photos = listing(file).photos
    async with contextlib.AsyncExitStack() as opened:
        oracles = []
        for own in file.plan.oracles:
            try:
                oracle = await load.oracle(own.oracle)
            except UsageError as error:
                raise UsageError(f"oracle {own.name!r} of the plan: {error}") from error
            opened.push_async_callback(oracle.aclose)
            oracles.append(oracle)
        faults = file.faults()
        for own, oracle in zip(file.plan.oracles, oracles, strict=True):
            for message in await asyncio.to_thread(unknown_labels, file.plan, own, oracle, photos):
                faults.add(("photos", "from"), message)
        faults.check()
        yield Prepared(file, photos, oracles)
