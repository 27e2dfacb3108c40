"""Where a command writes its result: named after what decides it, taken before anything is asked, written once."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from blake3 import blake3

from bbquery import load
from bbquery.explanations import stem
from bbquery.report import folder
from bbquery.report.claim import claimed

if TYPE_CHECKING:
    import argparse
    from typing import Self

HOME = Path("bbquery-out")
LONGEST_IMAGE = 100  # bytes of an image's name in a folder's: file systems take 255 in all
LONGEST_RESULT = 8  # of the 16 characters that name what was asked
FORCE = "write into --out even if it holds files of something else, which may be overwritten"


def add_out(command: argparse._ActionsContainer, default: str) -> None:
    """Declare where to write. default: how a folder is named if nobody says."""
    command.add_argument(
        "--out", type=Path, metavar="DIR", help=f"where to write, a new folder (default: {HOME}/{default})"
    )
    command.add_argument("--force", action="store_true", help=FORCE)


def default_name(image: str, result: str, *what: str) -> str:
    """Return how the folder of a result is called, if nobody says.

    what: specifications of what decides it (oracle, method, score); their names are taken.
    """
    letters = stem(image).encode(errors="replace")[:LONGEST_IMAGE].decode(errors="ignore")
    names = (load.parse(each)[0].replace(":", ".").replace("/", ".") for each in what)
    return "-".join((letters, *names, result[:LONGEST_RESULT]))


def result_of(run: str, *what: str | None) -> str:
    """Return the name of a result that more decides than a run's questions."""
    return blake3(json.dumps([run, *what]).encode()).hexdigest(length=8)


class OutputFolder:
    """The folder of one command's result: a context manager, which takes none until `claim`."""

    def __init__(self, out: Path | None, *, force: bool = False) -> None:
        self._out, self._force = out, force
        self._stack = contextlib.ExitStack()
        folder.check_drawing()

    @classmethod
    def of(cls, chosen: argparse.Namespace) -> Self:
        """Return the one that was typed.

        Raises:
            MissingExtra: no matplotlib, so that no result could be drawn.
        """
        return cls(chosen.out, force=chosen.force)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def claim(self, name: str, result: str, inner: Mapping[str, str] | None = None) -> Path:
        """Take the folder for a result before anything is asked. name: of the folder if none was typed.

        Raises:
            UsageError: it cannot be written, another process writes in it, or it holds files of something else.
        """
        place = self._out or HOME / name
        return self._stack.enter_context(claimed(place, result, force=self._force, inner=inner))
