"""Photos of an audit, by name only: their pixels are read in their turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bbquery.metrics import Box


@dataclass(frozen=True)
class Photo:
    """A photo of an audit.

    name: of its budget and its folder; no two are alike. source: what is read, an absolute path or "sample:NAME".
    given: as the plan or the CSV file names it, or its path from the plan's folder. label: what the CSV file says that
    it shows, None where it says nothing. boxes: around that, in pixels of the photo; none where the file has none.
    """

    name: str
    source: str
    given: str
    label: str | None = None
    boxes: tuple[Box, ...] = ()
