"""The folder that a run writes into: taken before anything is asked, by one process, and never another run's.

1. A folder belongs to a result: what was asked, of what, and what was made of the answers. Its file `.bbquery-run` says
   to which; in folders of earlier versions the record beside the pictures does.
2. A folder is taken if it is new, empty, or of the same result; whatever else holds files is refused, unless forced.
3. Whoever takes it holds a lock on that file, which the operating system frees when the process ends, however it ends.
4. A run that wrote nothing leaves no folder behind that it made.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import portalocker

from bbquery.errors import UsageError
from bbquery.jobs.record_file import read
from bbquery.report.files import check_writable

if TYPE_CHECKING:
    from pathlib import Path
    from typing import IO

MARK = ".bbquery-run"
RECORDS = ("run.json", "compare.json", "attack.json", "attacks.json", "audit.json")
"""Records whose `run` is all that decides the result."""

ANOTHER = "choose another folder with --out"
LONGEST_MARK = 1000  # characters that are read of one; a name of a result has 16


@contextlib.contextmanager
def claimed(
    folder: Path, result: str, *, force: bool = False, inner: Mapping[str, str] | None = None
) -> Iterator[Path]:
    """Take a folder, made where absent, for a result, for as long as this lasts; give it.

    inner: the folders that it is to have, with the results that they are of. force: also take one with other files.

    Raises:
        UsageError: it cannot be written, another process writes in it, or it holds files of something else.
    """
    made = _absent(folder)
    check_writable(folder)
    try:
        with _locked(folder) as mark:
            for name in inner or ():
                if (folder / name).exists():  # from an earlier run, or in the way
                    check_writable(folder / name)
            if not force and _holder(folder, mark) != result:
                _refuse_files(folder, inner or {})
            _sign(folder, mark, result)
            yield folder
    finally:
        _tidy(folder, made)


def is_taken(folder: Path) -> bool:
    """Whether a process holds a folder now; nothing is written."""
    try:
        with (folder / MARK).open("rb") as file:
            portalocker.lock(file, portalocker.LOCK_SH | portalocker.LOCK_NB)
            return False
    except FileNotFoundError:
        return False
    except portalocker.LockException:
        return True


def _absent(folder: Path) -> list[Path]:
    """Return the folder and those above that are not there yet, innermost first."""
    found = []
    for each in (folder, *folder.parents):
        if os.path.exists(each):  # noqa: PTH110 - Path.exists raises for a name that is too long
            break
        found.append(each)
    return found


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[IO[str]]:
    try:
        file = (folder / MARK).open("a+", encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError(f"cannot write in {folder} ({error.strerror}): choose another output folder") from error
    with file:
        if not _lock(file, folder / MARK):
            raise UsageError(f"another process is writing in {folder}: wait until it has ended, or {ANOTHER}")
        try:
            yield file
        finally:
            if not os.fstat(file.fileno()).st_size:  # this folder was not taken after all
                with contextlib.suppress(OSError):  # not every system removes an open file
                    (folder / MARK).unlink()


def _lock(file: IO[str], path: Path) -> bool:
    """Lock a file, unless another process has it, or has just removed it; return whether we did."""
    try:
        portalocker.lock(file, portalocker.LOCK_EX | portalocker.LOCK_NB)
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except (portalocker.LockException, FileNotFoundError):
        return False


def _holder(folder: Path, mark: IO[str]) -> str:
    """Return the result that a folder belongs to; nothing where there is none, or it is not known."""
    mark.seek(0)
    return mark.read(LONGEST_MARK).strip() or _run_of(folder)


def _run_of(folder: Path) -> str:
    """Return which run the record in a folder is of; nothing without one."""
    return next((run for name in RECORDS if (run := _run(folder / name))), "")


def _run(record: Path) -> str:
    """Return which run a record is of; nothing where it is none, or one that only a newer bbquery can read."""
    try:
        return str(read(record)["run"]) if record.is_file() else ""
    except (UsageError, OSError, LookupError):
        return ""


def _refuse_files(folder: Path, inner: Mapping[str, str]) -> None:
    """Refuse a folder with files, or inner folders with files of another result."""
    found = _first_file(folder)
    if found is None:
        strange = (name for name, result in inner.items() if _run_of(folder / name) != result)
        found = next((file for name in strange if (file := _first_file(folder / name)) is not None), None)
    if found is not None:
        raise UsageError(
            f"{found.parent} holds files of something else ({found.name}), which this run might overwrite: "
            f"{ANOTHER}, or take this one with --force"
        )


def _first_file(folder: Path) -> Path | None:
    """Return the first visible file of a folder; None where there is none."""
    if not folder.is_dir():
        return None
    return min((each for each in folder.iterdir() if each.is_file() and not each.name.startswith(".")), default=None)


def _sign(folder: Path, mark: IO[str], result: str) -> None:
    try:
        mark.seek(0)
        mark.truncate()
        mark.write(result + "\n")
        mark.flush()
    except OSError as error:
        raise UsageError(f"cannot write in {folder} ({error.strerror}): choose another output folder") from error


def _tidy(folder: Path, made: list[Path]) -> None:
    """Remove the mark where nothing else was written, and the folders that were made for nothing."""
    with contextlib.suppress(OSError):  # somebody else may write there by now
        if not any(each.name != MARK for each in folder.iterdir()):
            (folder / MARK).unlink()
        for each in made:
            each.rmdir()
