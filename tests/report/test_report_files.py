"""Output files."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from bbquery.errors import NotWritten, UsageError
from bbquery.report.files import check_writable, whole_file, write_bytes
from tests.support.privileges import unprivileged


def test_a_file_is_written_over_the_old_one(tmp_path: Path) -> None:
    """What is written replaces what was there, and nothing else is left in the folder."""
    path = tmp_path / "map.png"
    path.write_bytes(b"old and longer")

    write_bytes(path, b"new")

    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_who_reads_meanwhile_sees_one_file_whole(tmp_path: Path) -> None:
    """A reader that opened the old file before it was replaced reads all of the old one."""
    path = tmp_path / "map.png"
    path.write_bytes(b"old")

    with path.open("rb") as reader:
        write_bytes(path, b"new and longer")
        seen = reader.read()

    assert seen == b"old"


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk costs the new file, never the old one, and leaves no part behind."""
    path = tmp_path / "map.png"
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(NotWritten, match=r"map\.png \(No space left"):
        write_bytes(path, b"new")

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("size", [10, 100_000])
def test_a_full_disk_is_named_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Wherever the disk turns out to be full, in writing, flushing or closing, the error names the file."""
    (tmp_path / "part").symlink_to("/dev/full")
    monkeypatch.setattr("bbquery.report.files._sibling", lambda _: tmp_path / "part")
    monkeypatch.setattr(Path, "open", lambda path, _: open(path, "wb"))  # noqa: PTH123, SIM115 - not what is replaced

    with pytest.raises(NotWritten, match=r"map\.png \(No space left"):
        write_bytes(tmp_path / "map.png", b"x" * size)


def test_a_file_that_is_given_up_half_way_never_appears(tmp_path: Path) -> None:
    """Whoever fails while writing piece by piece leaves the old file, and no part beside it."""
    path = tmp_path / "answers.jsonl"
    path.write_bytes(b"old")

    def interrupted() -> None:
        with whole_file(path) as write:
            write(b"one")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_has_the_usual_permissions(tmp_path: Path) -> None:
    """A written file can be read by whom the person's umask says, like any other."""
    (tmp_path / "usual").write_bytes(b"")

    write_bytes(tmp_path / "map.png", b"new")

    assert (tmp_path / "map.png").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_folder_is_not_written_over(tmp_path: Path) -> None:
    """A path that is a folder is refused with its name, and stays."""
    (tmp_path / "maps").mkdir()

    with pytest.raises(UsageError, match="maps"):
        write_bytes(tmp_path / "maps", b"new")

    assert list(tmp_path.iterdir()) == [tmp_path / "maps"]


@pytest.mark.parametrize("name", ["nowhere/map.png", "map\0.png"])
def test_a_place_that_cannot_be_is_refused(tmp_path: Path, name: str) -> None:
    """A missing folder and an impossible name are the caller's mistakes, and said to be."""
    with pytest.raises(UsageError, match="cannot write"):
        write_bytes(tmp_path / name, b"new")


def test_a_writable_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    """The proof that a folder can be written makes it, with its parents, and leaves nothing in it."""
    folder = check_writable(tmp_path / "runs" / "today")

    assert folder == tmp_path / "runs" / "today"
    assert list(folder.iterdir()) == []


def test_what_is_in_a_folder_stays(tmp_path: Path) -> None:
    """The proof does not touch what is there."""
    (tmp_path / "probe").write_bytes(b"mine")

    check_writable(tmp_path)

    assert (tmp_path / "probe").read_bytes() == b"mine"


def test_a_folder_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    """A folder without the right to write is found out before anything is paid for."""
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o500)

    with unprivileged(), pytest.raises(UsageError, match=r"locked .*Permission denied"):
        check_writable(folder)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    """A file where the folder should be is named as that."""
    (tmp_path / "results").write_bytes(b"")

    with pytest.raises(UsageError, match="results: it is a file, not a folder"):
        check_writable(tmp_path / "results")


@pytest.mark.parametrize("name", ["results/below", "x" * 300, "nul\0"])
def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path, name: str) -> None:
    """A folder below a file, a name that is too long or impossible: each is the caller's mistake."""
    (tmp_path / "results").write_bytes(b"")

    with pytest.raises(UsageError, match="cannot write in"):
        check_writable(tmp_path / name)


def test_a_pipe_or_a_device_is_not_replaced(tmp_path: Path) -> None:
    """What is no regular file, such as /dev/null, stays what it is: no file takes its place."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    with pytest.raises(UsageError, match=r"pipe \(it is a pipe or a device, give a file\)"):
        write_bytes(pipe, b"answers")

    assert pipe.is_fifo()
    assert [entry.name for entry in tmp_path.iterdir()] == ["pipe"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """What a link points to is written, and the link is not replaced by a file."""
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "answers")

    write_bytes(link, b"answers")

    assert link.is_symlink()
    assert (tmp_path / "answers").read_bytes() == b"answers"
