"""Keeper of an audit's results, as the run sees it: `bbquery.report`, which lies above, writes files and records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bbquery.jobs.attack.result import Stress
    from bbquery.jobs.audit.row import Row
    from bbquery.jobs.explain.result import Explanation


@dataclass(frozen=True)
class KeptMap:
    """A map that was written. stamp, verdict: in words. picture, report: paths within the audit's folder."""

    stamp: str
    verdict: str
    picture: str
    report: str


@dataclass(frozen=True)
class KeptAttack:
    """An attack that was written. verdict: in words. image, report: paths in the audit's folder; image may be none."""

    verdict: str
    image: str
    report: str


class Keeper(Protocol):
    """Writes what comes of photos, and reads rows that are there. Its functions take time: call them on a thread."""

    def row(self, oracle: str, photo: str) -> Row | None:
        """Return the row of a photo on an oracle; None where there is none that can be read."""

    def keep(self, row: Row) -> None:
        """Write a row, whole or not at all: what it names is written before it."""

    def receive(self, row: Row, files: Mapping[str, bytes]) -> None:
        """Write the files of a photo that another machine made, by their paths in its folder, and then its row."""

    def forget(self, oracle: str, photo: str) -> None:
        """Remove the row of a photo on an oracle, as of something else; its answers stay in the ledger."""

    def folder(self, oracle: str, photo: str) -> str:
        """Return the path of a photo's folder within the audit's."""

    def thumbnail(self, oracle: str, photo: str, pixels: NDArray[np.uint8]) -> str:
        """Write a small copy of a photo (H, W, 3); return its path."""

    def explained(self, oracle: str, photo: str, part: str, found: Explanation) -> list[KeptMap]:
        """Write an explanation's files into a folder of the photo's; return what is kept of each map."""

    def attacked(self, oracle: str, photo: str, part: str, found: Stress) -> KeptAttack:
        """Write an attack's files into a folder of the photo's; return what is kept of it."""
