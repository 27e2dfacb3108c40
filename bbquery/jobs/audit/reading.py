"""Reading of a plan: a TOML file, a dictionary of the same form, or a plan."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from bbquery.errors import UsageError
from bbquery.jobs.audit.conditions import check
from bbquery.jobs.audit.faults import Faults
from bbquery.jobs.audit.locate import nesting
from bbquery.jobs.audit.plan import Plan
from bbquery.jobs.audit.structure import plan_of

MOST_BYTES = 1_000_000  # of a plan file
DEEPEST = 16  # levels of brackets, and parts of a key; a plan needs four
AT = re.compile(r" \(at line (\d+), column \d+\)$")

AnyPlan: TypeAlias = "str | os.PathLike[str] | Mapping[str, Any] | Plan"
"""A plan as a person gives it: the path of its file, a dictionary of the same form, or an object."""


@dataclass(frozen=True)
class PlanFile:
    """A plan that was read.

    path: its file, None where it came from Python. text: what the file holds, None where it is from Python or not yet
    written: then no line of it can be looked up.
    """

    plan: Plan
    path: Path | None = None
    text: str | None = None

    @property
    def folder(self) -> Path:
        """Whence relative paths in it count: the folder of its file, or the current one."""
        return Path.cwd() if self.path is None else self.path.resolve().parent

    def faults(self) -> Faults:
        """Return faults of it, none so far."""
        return Faults("plan" if self.path is None or self.text is None else str(self.path), self.text)


def read(given: AnyPlan) -> PlanFile:
    """Read and check a plan; no photo is looked at, and no oracle connected.

    Raises:
        UsageError: it cannot be read, or is no plan; says every fault, with file, line and key.
    """
    if isinstance(given, Plan):  # whose types nobody has checked
        return PlanFile(_checked(msgspec.to_builtins(given), Faults("plan")))
    if isinstance(given, Mapping):
        return PlanFile(_checked(given, Faults("plan")))
    if not isinstance(given, str | os.PathLike):
        raise UsageError(f"a plan is the path of its file, a dictionary or a Plan, not {type(given).__name__}")
    path = Path(given)
    text = _text(path)
    return PlanFile(_checked(_toml(text, path), Faults(str(path), text)), path, text)


def draft_of(text: str, path: Path) -> PlanFile:
    """Read and check the plan that a file will hold. path: of the file, which is not there yet.

    Raises:
        UsageError: as `read`, without lines, which nobody could look up.
    """
    return PlanFile(_checked(_toml(text, path), Faults("plan")), path)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path} ({error.strerror})") from error
    if len(data) > MOST_BYTES:
        raise UsageError(f"{path} is larger than {MOST_BYTES:,} bytes: no plan is; list many photos in a CSV file")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UsageError(f"{path}:{line}: this is not UTF-8, which TOML is written in") from error


def _toml(text: str, path: Path) -> dict[str, Any]:
    if nesting(text) > DEEPEST:  # before the parser, which takes minutes for a key of many parts
        raise UsageError(f"{path}: brackets or dotted keys nest deeper than {DEEPEST}: no plan does")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = AT.search(str(error))
        line, what = (at[1], str(error)[: at.start()]) if at else (text.count("\n") + 1, str(error))
        raise UsageError(f"{path}:{line}: this is not TOML: {what.removesuffix(' (at end of document)')}") from error


def _checked(found: Mapping[str, Any], faults: Faults) -> Plan:
    plan = plan_of(found, faults)
    check(plan, faults)
    return plan
