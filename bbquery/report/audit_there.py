"""An audit that is there, whether it runs or not: read from its folder and the ledger, which are left alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from bbquery.errors import UsageError
from bbquery.jobs import record_file
from bbquery.jobs.audit.prepared import Baseline, place_of
from bbquery.jobs.audit.reading import read
from bbquery.jobs.audit.settled import settled
from bbquery.jobs.audit.summing import Standing, summary
from bbquery.ledger.records import BudgetState, Cap
from bbquery.report import audit
from bbquery.report.audit_folder import AuditFolder
from bbquery.units import NOTHING, Units

if TYPE_CHECKING:
    from collections.abc import Callable

    from bbquery.jobs.audit.summary import Summary
    from bbquery.ledger.ledger import Ledger


NO_BASELINE = "none"
UNCOMPARED = Baseline("", lambda _oracle, _photo: None)
"""The baseline of an audit that is to be compared with none, whatever it was compared with before."""

Inside = Annotated[str, msgspec.Meta(pattern=r"^(?!\.{1,2}$)[^/\0]+$")]
"""The name of a folder in a folder: a record may come from somebody else."""


class _Lane(msgspec.Struct):
    name: Inside
    ended: str


class _Record(msgspec.Struct):
    """The part of a record that is read."""

    run: str
    plan: dict[str, Any]
    photos: tuple[Inside, ...]
    oracles: tuple[_Lane, ...]
    command: tuple[str, ...]
    resume: str
    began: str
    baseline: str
    earlier: dict[str, Units] = msgspec.field(default_factory=dict)


@dataclass(frozen=True)
class There:
    """An audit's folder and its record. place: the folder."""

    place: Path
    record: dict[str, Any]

    @property
    def photos(self) -> list[str]:
        """Names of its photos, in the plan's order."""
        return [str(name) for name in self.record["photos"]]

    @property
    def baseline(self) -> str:
        """The folder of the audit that it was compared with; empty without one."""
        return str(self.record["baseline"])

    def summary(self, ledger: Ledger, before: Baseline | None = None) -> Summary:
        """Return what it comes to as it stands now."""
        plain = self.record
        plan = read(plain["plan"]).plan
        ended = {each["name"]: each["ended"] for each in plain["oracles"] if each["ended"]}
        owns = ("", *(own.name for own in plan.oracles))
        called = {own: f"audit-{plan.name}/{own}".removesuffix("/") for own in owns}
        found = ledger.budgets(list(called.values()))  # this ledger may have none, as of another machine's audit
        budgets = {own: found.get(name, BudgetState(0, name, Cap(), NOTHING, NOTHING)) for own, name in called.items()}
        rows = settled(AuditFolder(self.place).row, ledger, called[""])
        return summary(
            Standing(
                plan=plan, run=plain["run"], folder=self.place, photos=self.photos, read=rows,
                budgets=budgets, ended=ended, command=plain["command"],
                resume=plain["resume"], began=plain["began"],
                before=None if before is None else before.read, baseline="" if before is None else before.name,
                earlier=msgspec.convert(plain.get("earlier", {}), dict[str, Units]),
            )
        )  # fmt: skip


def find(given: Path) -> There:
    """Return the audit of a folder, or of a plan.

    Raises:
        UsageError: there is none, or its record is damaged.
    """
    place = given if given.is_dir() else place_of(read(given), None)
    path = place / audit.RECORD
    if not path.is_file():
        raise UsageError(f"{place} holds no audit: there is no {audit.RECORD} in it; 'bbquery audit PLAN' makes one")
    record = record_file.read(path)
    if record.get("verb") != "audit":
        raise UsageError(f"{path} is no record of an audit")
    try:
        msgspec.convert(record, _Record)
    except msgspec.ValidationError as error:
        raise UsageError(
            f"{path} is damaged ({error}): run the audit again, which pays only what is missing"
        ) from error
    return There(place, record)


def baseline(place: Path) -> Baseline:
    """Return an audit that is there, to be compared with; `UNCOMPARED` where "none" is said.

    Raises:
        UsageError: the folder holds no audit.
    """
    if str(place) == NO_BASELINE:
        return UNCOMPARED
    if not (place / audit.RECORD).is_file():
        raise UsageError(f"{place} holds no audit: there is no {audit.RECORD} in it")
    return Baseline(str(place.absolute()), AuditFolder(place).row)


def compared_with(given: Baseline | None, place: Path, told: Callable[[str], None]) -> Baseline | None:
    """Return the baseline of the audit in a folder: the given one, else that of its last run where it is still there.

    told: is given a line where it is not.
    """
    if given is not None:
        return None if given is UNCOMPARED else given
    try:
        kept = find(place).baseline
    except UsageError:
        return None
    try:
        return baseline(Path(kept)) if kept else None
    except UsageError as error:
        told(f"the baseline is gone, so nothing is compared with it: {error}; --baseline DIR names another")
        return None
