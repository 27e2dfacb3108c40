"""A photo of an audit on its way to another machine, and what comes back: plain data, with no path that both must know.

The password of the ledger's server and the keys of the oracles are no part of it: each machine has its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from bbquery.errors import NotWritten
from bbquery.version import __version__

if TYPE_CHECKING:
    from bbquery.jobs.audit.budgets import Budgets
    from bbquery.jobs.audit.keeping import Keeper
    from bbquery.jobs.audit.photos import Photo
    from bbquery.jobs.audit.work import Outcome, Work

LARGEST_ANSWER = 256_000_000  # bytes of a photo's files; maps and pictures of one take some megabytes

KeeperIn: TypeAlias = "Callable[[Path], Keeper]"
"""Returns what keeps files in a folder; found by its name on the other machine."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """All that another machine must know to ask a photo.

    version: of bbquery. run: by which it is stopped. plan: as JSON, with the one oracle. ledger: its address, without a
    password. content: of the photo's file, once it is sent.
    """

    version: str = __version__
    run: str
    plan: bytes
    photo: Photo
    identity: str
    budgets: Budgets
    ledger: str
    keeper: KeeperIn
    content: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Answer:
    """Result of a photo. files: by their paths in its folder. beware: what a person must be told."""

    outcome: Outcome
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    beware: tuple[str, ...] = ()


def task_of(work: Work, run: str, keeper: KeeperIn) -> Task:
    """Return a photo's work as a task, without the content of its file."""
    asking = work.asking
    plan = msgspec.structs.replace(asking.plan, oracles=(asking.setting,))
    return Task(
        run=run, plan=msgspec.json.encode(plan), photo=asking.photo, identity=work.identity, budgets=work.budgets,
        ledger=str(work.ledger.place), keeper=keeper,
    )  # fmt: skip


def files_in(folder: Path) -> dict[str, bytes]:
    """Return the files of a photo by their paths in its folder, with "/".

    Raises:
        NotWritten: they are too large to be sent.
    """
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    if (size := sum(path.stat().st_size for path in paths)) > LARGEST_ANSWER:
        raise NotWritten(f"the files of a photo take {size:,} bytes: at most {LARGEST_ANSWER:,} are sent")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
