"""Reading of a plan: a TOML file, a dictionary of the same form, or a plan."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from bbquery.errors import UsageError
from bbquery.jobs.audit.plan import Plan

AnyPlan: TypeAlias = "str | os.PathLike[str] | Mapping[str, Any] | Plan"
"""A plan as a person gives it: the path of its file, a dictionary of the same form, or an object."""


@dataclass(frozen=True)
class PlanFile:
    """A plan that was read. path: its file, None where it came from Python. text: what the file holds, likewise."""

    plan: Plan
    path: Path | None = None
    text: str | None = None

    @property
    def folder(self) -> Path:
        """Whence relative paths in it count: the folder of its file, or the current one."""
        return Path.cwd() if self.path is None else self.path.resolve().parent


def read(given: AnyPlan) -> PlanFile:
    """Read and check a plan.

    Raises:
        UsageError: it cannot be read, or is no plan; says file, line, key and what is wrong, of every fault.
    """
    if isinstance(given, Plan):
        return PlanFile(given)
    if isinstance(given, Mapping):
        return PlanFile(_checked(given, "plan"))
    path = Path(given)
    try:
        text = path.read_text(encoding="utf-8")
        found = tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: {error}") from error
    return PlanFile(_checked(found, str(path)), path, text)


def _checked(found: Mapping[str, Any], named: str) -> Plan:
    try:
        return msgspec.convert(found, Plan)
    except msgspec.ValidationError as error:
        raise UsageError(f"{named}: {error}") from error
