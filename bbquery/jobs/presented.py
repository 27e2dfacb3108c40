"""Presentation of every result: to be shown in a notebook, drawn, kept as files, and be plain data.

Pictures, pages and records are made by `bbquery.report`, which lies above: it is imported once one is asked for.
"""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from bbquery.shown import shown

if TYPE_CHECKING:
    import os
    from pathlib import Path
    from typing import Self

    from matplotlib.axes import Axes

    from bbquery.errors import BbqueryError

LONGEST_LINE = 190  # characters of a result in a line
LONGEST_PART = 60  # of one thing in it, such as a label or a reason


class Presented:
    """A result that can be shown, drawn, kept, and made plain data.

    call: the text of the call from Python that made it; empty where a command did.
    """

    call: str

    def called(self, call: str) -> Self:
        """Return it with the text of the call that made it."""
        found: Self = replace(cast("Any", self), call=call)  # each kind is a dataclass
        return found

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw it with matplotlib and return the axes. ax: where to; None makes a figure by pyplot.

        Nothing of pyplot's state is touched where axes are given.

        Raises:
            UsageError: ax is no axes. MissingExtra: matplotlib is not installed.
        """
        axes: Axes = _report().plot(self, ax)
        return axes

    def save(self, folder: str | os.PathLike[str], *, force: bool = False) -> list[Path]:
        """Write the files that the command line writes of it into a folder, made where absent; return their paths.

        force: also into a folder that holds files of something else.

        Raises:
            UsageError: the folder cannot be written, or holds files of something else.
            MissingExtra: a package of the extra "report" is not installed.
        """
        written: list[Path] = _report().save(self, folder, force=force)
        return written

    def to_dict(self) -> dict[str, Any]:
        """Return the content of its record, as plain data that JSON can hold: see docs/records.md."""
        plain: dict[str, Any] = _report().to_dict(self)
        return plain

    def _repr_html_(self) -> str:
        """Return it for a notebook: its figures, and its picture where the extra "report" is installed."""
        html: str = _report().html(self)
        return html


def html_of_part(said: str, result: Presented | None, error: BbqueryError | None) -> str:
    """Return one of several results for a notebook. said: which it is. error: what ended it early."""
    html: str = _report().html_of_part(said, result, error)
    return html


def in_a_line(kind: str, *parts: str) -> str:
    """Return what stands for a result in a list, a log or a cell: one line of fewer than 200 characters."""
    said = shown(f"{kind}: {', '.join(parts)}", LONGEST_LINE)
    return f"<{said}>"


def brief(text: object) -> str:
    """Return a label or a reason, cut where it is long."""
    return shown(str(text), LONGEST_PART)


def several(names: list[str]) -> str:
    """Return names in quotes, the first three of many."""
    listed = ", ".join(repr(brief(name)) for name in names[:3])
    return listed if len(names) <= 3 else f"{listed} and {len(names) - 3} more"


def ending(error: object, *, partial: bool) -> str:
    """Return how a run ended."""
    return f"partial: {brief(error)}" if partial else "complete"


def _report() -> Any:
    return importlib.import_module("bbquery.report.presenting")
