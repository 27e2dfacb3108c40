"""Output folders: named after what decides the result, claimed before anything is asked, written once."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from bbquery.commands.exit_codes import exit_code
from bbquery.errors import NotWritten, UsageError
from bbquery.jobs.identity import identity
from bbquery.jobs.names import stem
from bbquery.report.claim import claimed
from bbquery.report.pages.page import check_extra
from bbquery.specification import parse

if TYPE_CHECKING:
    import argparse
    from typing import Self

    from bbquery.errors import BbqueryError

T = TypeVar("T")

HOME = Path("bbquery-out")
LONGEST_IMAGE = 100  # bytes of an image's name in a folder's: file systems take 255 in all
LONGEST_RESULT = 8  # of the 16 characters that name what was asked
FORCE = "write into --out even if it holds files of something else, which may be overwritten"


def add_out(command: argparse._ActionsContainer, default: str) -> None:
    """Declare the output folder. default: how it is named if the option is not given."""
    command.add_argument(
        "--out", type=Path, metavar="DIR", help=f"where to write, a new folder (default: {HOME}/{default})"
    )
    command.add_argument("--force", action="store_true", help=FORCE)


def default_name(image: str, result: str, *what: str | None) -> str:
    """Return the name of the folder of a result, if the option is not given.

    what: specifications of what decides it (oracle, method, score), None left out; their names are taken.
    """
    letters = stem(image).encode(errors="replace")[:LONGEST_IMAGE].decode(errors="ignore")
    names = (parse(each)[0].replace(":", ".").replace("/", ".") for each in what if each)
    return "-".join((letters, *names, result[:LONGEST_RESULT]))


def result_of(run: str, *what: str | None) -> str:
    """Return the name of a result that is decided by more than a run's questions."""
    return identity([run, *what])


class OutputFolder:
    """The folder of one command's result: a context manager, which claims none until `claim`."""

    place: Path
    """Where the result is written; elsewhere, once that failed."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        """Check that a result could be drawn.

        Raises:
            MissingExtra: no matplotlib, or no Jinja.
        """
        self._out, self._force, self._typed = chosen.out, chosen.force, chosen.typed
        self._stack = contextlib.ExitStack()
        self._failed: BbqueryError | OSError | None = None
        check_extra()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def claim(self, name: str, result: str, inner: Mapping[str, str] | None = None) -> None:
        """Take the folder for a result before anything is asked. name: of the folder if none was typed.

        Raises:
            UsageError: it cannot be written, another process writes in it, or it holds files of something else.
        """
        wanted = claimed(self._out or HOME / name, result, force=self._force, inner=inner)
        self.place = self._stack.enter_context(wanted)

    def write(self, write: Callable[[Path], T]) -> T:
        """Write a part of the result by a function of the folder; where that fails, do it elsewhere.

        Raises:
            NotWritten: it can be written nowhere; how to write it for free.
        """
        try:
            return write(self.place)
        except (UsageError, NotWritten, OSError) as error:
            if self._failed is not None:  # elsewhere too
                raise NotWritten(self._nowhere(error)) from error
            return self._write_elsewhere(write, error)

    def _write_elsewhere(self, write: Callable[[Path], T], failed: BbqueryError | OSError) -> T:
        self._failed = failed
        try:
            elsewhere = Path(tempfile.mkdtemp(prefix=f"bbquery-{self.place.name}-"))
        except OSError as error:
            raise NotWritten(self._nowhere(error)) from error
        try:
            found = write(elsewhere)
        except (UsageError, NotWritten, OSError) as error:
            shutil.rmtree(elsewhere, ignore_errors=True)
            raise NotWritten(self._nowhere(error)) from error
        print(f"bbquery: NOT WRITTEN: {failed}\nthe result is in {elsewhere} instead; {self._rerun()}", file=sys.stderr)
        self.place = elsewhere
        return found

    def _nowhere(self, error: BbqueryError | OSError) -> str:
        return f"the result could not be written: {self._failed}; nor elsewhere: {error}\n{self._rerun()}"

    def _rerun(self) -> str:
        """Return the command that writes the result without asking."""
        kept = "what was paid for is kept; once there is room, this writes it and asks nothing twice"
        return f"{kept}:\n  {shlex.join(self._typed)}"

    def exit_code(self, error: BbqueryError | None) -> int:
        """Return the exit code of a run that ended by an error or by none, and of what became of its result."""
        return exit_code(error if self._failed is None else NotWritten())
