"""The folder of an audit: its plan as run, its record, and for each photo on each oracle a row and its files.

    plan.toml  audit.json  report.html  ORACLE/PHOTO/row.json  ORACLE/PHOTO/METHOD/…  ORACLE/PHOTO/ATTACK/…

A row is written last of a photo, whole or not at all, so what it names is there. Nothing but rows is read back.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import msgspec
import PIL.Image

from bbquery.errors import UsageError
from bbquery.jobs.audit.keeping import KeptAttack, KeptMap
from bbquery.jobs.audit.row import Row
from bbquery.report import attack, attack_headline, folder, sentence
from bbquery.report.files import check_writable, write_bytes
from bbquery.report.map_picture import map_pixels
from bbquery.report.pages import parts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bbquery.jobs.attack.result import Stress
    from bbquery.jobs.explain.result import Explanation

ROW = "row.json"
THUMBNAIL = "thumbnail.jpg"
SMALL = "-small.jpg"  # ends the name of a map's small picture
LONGEST_SIDE = 240  # pixels of a thumbnail
QUALITY = 80  # of its JPEG
LARGEST_ROW = 10_000_000  # bytes that are read of one; hundreds of maps take less


@dataclass(frozen=True)
class AuditFolder:
    """Writes and reads what comes of an audit's photos. place: the folder. command: as typed, empty from Python."""

    place: Path
    command: Sequence[str] = ()

    def row(self, oracle: str, photo: str) -> Row | None:
        """Return the row of a photo on an oracle; None where there is none that can be read."""
        return read_row(self.place / oracle / photo / ROW)

    def keep(self, row: Row) -> None:
        """Write a row, whole or not at all."""
        inner = check_writable(self.place / row.oracle / row.photo)
        write_bytes(inner / ROW, msgspec.json.encode(row))

    def receive(self, row: Row, files: Mapping[str, bytes]) -> None:
        """Write the files of a photo that another machine made, by their paths in its folder, and then its row.

        Raises:
            UsageError: a path leads out of the folder.
        """
        inner = self.place / row.oracle / row.photo
        for name, content in files.items():
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or "\\" in name:
                raise UsageError(f"a worker sent a file that lies outside the photo's folder: {name!r}")
            if name != ROW:
                write_bytes(check_writable((inner / path).parent) / path.name, content)
        self.keep(row)

    def forget(self, oracle: str, photo: str) -> None:
        """Remove the row of a photo on an oracle; its answers stay in the ledger."""
        path = self.place / oracle / photo / ROW
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise UsageError(f"cannot remove {path} ({error.strerror}): free it, or choose another folder") from error

    def folder(self, oracle: str, photo: str) -> str:
        """Return the path of a photo's folder within the audit's."""
        return f"{oracle}/{photo}"

    def thumbnail(self, oracle: str, photo: str, pixels: NDArray[np.uint8]) -> str:
        """Write a small copy of a photo (H, W, 3); return its path."""
        check_writable(self.place / oracle / photo)
        return self._small(f"{oracle}/{photo}/{THUMBNAIL}", pixels)

    def _small(self, path: str, pixels: NDArray[np.uint8]) -> str:
        """Write a small copy of a picture (H, W, 3); return its path."""
        picture, buffer = PIL.Image.fromarray(pixels), io.BytesIO()
        picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        picture.save(buffer, "JPEG", quality=QUALITY)
        write_bytes(self.place / path, buffer.getvalue())
        return path

    def explained(self, oracle: str, photo: str, part: str, found: Explanation) -> list[KeptMap]:
        """Write an explanation's files into a folder of the photo's; return what is kept of each map."""
        inner = f"{oracle}/{photo}/{part}"
        folder.write(found, folder.prepare(self.place / inner), command=self.command, source=_named(found.source))
        kept = []
        for name, m in zip(folder.names_of(found.maps), found.maps, strict=True):
            picture = self._small(f"{inner}/{name}{SMALL}", map_pixels(found, m, LONGEST_SIDE))
            said = sentence.stamp(found, m), sentence.verdict(found, m)
            kept.append(KeptMap(*said, picture, f"{inner}/{parts.REPORT}"))
        return kept

    def attacked(self, oracle: str, photo: str, part: str, found: Stress) -> KeptAttack:
        """Write an attack's files into a folder of the photo's; return what is kept of it."""
        inner = f"{oracle}/{photo}/{part}"
        attack.write(found, check_writable(self.place / inner), command=self.command, source=_named(found.source))
        there = found.found is not None and found.found.best is not None
        image = f"{inner}/{attack.PIXELS}" if there else ""
        return KeptAttack(attack_headline.headline(found), image, f"{inner}/{parts.REPORT}")


def _named(source: str) -> str:
    """Return a photo without the folders of this machine: whoever is given the audit need not know them."""
    return Path(source).name if Path(source).is_absolute() else source


def read_row(path: Path) -> Row | None:
    """Return a row; None where there is none, or one that is damaged or of another form."""
    try:
        if path.stat().st_size > LARGEST_ROW:
            return None
        return msgspec.json.decode(path.read_bytes(), type=Row)
    except (OSError, msgspec.MsgspecError):
        return None
