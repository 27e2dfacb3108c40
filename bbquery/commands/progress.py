"""Progress of a run: a bar on a terminal; elsewhere, as in a log, a line from time to time."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from bbquery.shown import unescaped

if TYPE_CHECKING:
    from typing import Self

BAR = "{desc}{percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} queries{postfix}, {rate_noinv_fmt}, {remaining} left"
LINE = "{desc}{percentage:3.0f}% – {n_fmt}/{total_fmt} queries{postfix}, {rate_noinv_fmt}, {remaining} left"
SECONDS_BETWEEN_DRAWINGS = 0.1
SECONDS_BETWEEN_LINES = 10.0


def progress(description: str, total: int) -> Any:
    """Return what shows on standard error how many of so many queries are answered: a tqdm, or a `Lines` like it."""
    if not sys.stderr.isatty():
        return Lines(description, total)
    look = {"dynamic_ncols": True, "mininterval": SECONDS_BETWEEN_DRAWINGS, "bar_format": BAR, "unit": " queries"}
    return tqdm(desc=description, total=total, file=unescaped(sys.stderr), **look)


class Lines:
    """A line whenever enough time has passed, and one at the end; the parts of tqdm's interface that are used here."""

    def __init__(self, description: str, total: int) -> None:
        self.n, self.total = 0, total
        self._description, self._postfix = description, ""
        self._began = self._printed = time.monotonic()
        self._said = 0  # of `n`, in the last line

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.n > self._said:
            self._print()

    def set_description_str(self, text: str, refresh: bool = True) -> None:
        """Set the text that says what the queries are for."""
        self._description = text
        if refresh:
            self._print_now_and_then()

    def set_postfix_str(self, text: str, refresh: bool = True) -> None:
        """Set the status text; refresh: show it at once if it changed."""
        is_news = text != self._postfix
        self._postfix = text
        if refresh and is_news:
            self._print()

    def update(self, queries: int) -> None:
        """Count answered queries."""
        self.n += queries
        self._print_now_and_then()

    def clear(self) -> None:
        """Do nothing: a printed line stays."""

    def refresh(self) -> None:
        """Do nothing."""

    def _print_now_and_then(self) -> None:
        if time.monotonic() - self._printed >= SECONDS_BETWEEN_LINES:
            self._print()

    def _print(self) -> None:
        self._printed, self._said = time.monotonic(), self.n
        line = tqdm.format_meter(
            self.n,
            self.total,
            self._printed - self._began,
            prefix=self._description,
            postfix=self._postfix,
            unit=" queries",
            bar_format=LINE,
        )
        print(line, file=sys.stderr, flush=True)
