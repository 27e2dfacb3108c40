"""Progress bar of a run from Python: of tqdm, as a widget in a notebook that can show one, else as text."""

from __future__ import annotations

import contextlib
import sys
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def in_notebook() -> bool:
    """Whether this runs in a notebook's kernel; IPython on a terminal is none."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


@contextlib.contextmanager
def progress_bar() -> Iterator[Callable[[int, int], None]]:
    """Give a function that shows (queries answered, queries in all); nothing is shown before its first call."""
    bar = _Bar()
    try:
        yield bar.show
    finally:
        bar.close()


class _Bar:
    def __init__(self) -> None:
        self._bar: Any = None  # tqdm has no types

    def show(self, done: int, total: int) -> None:
        """Move the bar."""
        if self._bar is None:
            self._bar = _tqdm()(total=total, unit=" queries")
        if self._bar.total != total:
            began = self._bar.start_t
            self._bar.reset(total=total)  # which a widget needs to know its own end
            self._bar.start_t, self._bar.n = began, done
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()


def _tqdm() -> Any:
    """Return tqdm's class for this place, without a thread that would outlive the run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a kernel without widgets has the bar as text, and no advice
        from tqdm.auto import tqdm  # noqa: PLC0415 - it imports IPython where that is installed

    class Bar(tqdm):  # type: ignore[misc] # it has no types
        monitor_interval = 0

    return Bar
