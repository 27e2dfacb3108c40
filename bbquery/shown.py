r"""Text from outside made safe to show: on a terminal, in a log, in a report.

An answer, a label, a model's name or an error may hold what a terminal obeys instead of showing it: escapes that
colour, erase or retitle, a carriage return that overwrites the line, marks that turn the direction of writing around, a
newline that begins a line of its own. All of that is shown by its number, as JSON writes it: `\u001b`, `\n`.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Control characters (C0, delete, C1), separators of lines and paragraphs, what is invisible (marks of direction,
# zero-width spaces, tags, soft hyphens), and halves of surrogate pairs, which no encoding has. The two joiners stay:
# Persian, Hindi and emoji are written with them.
HARMFUL = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # in any of the usual spreadsheets, some of which skip white space
NUMBER = re.compile(r"[-+]?\d+(\.\d*)?(e[-+]?\d+)?", re.IGNORECASE)
READER_LEFT = frozenset({errno.EPIPE, errno.EIO, errno.EBADF})  # a pipe's or a terminal's other end is closed
SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def shown(text: str, most: int | None = None) -> str:
    """Return text as one line that is safe to show. most: characters after which it is cut, ending with "…"."""
    cut = text if most is None or len(text) <= most else f"{text[:most]}…"
    return HARMFUL.sub(_escaped, cut)


def shown_lines(text: str) -> str:
    """Return text that is safe to show, its line breaks kept: for text of our own that quotes others."""
    return "\n".join(map(shown, text.split("\n")))


def as_json(plain: Any) -> str:
    """Return JSON for people and programs: letters of all scripts as they are, what is harmful as JSON escapes it."""
    return shown_lines(json.dumps(plain, indent=2, ensure_ascii=False))


def cell(text: str) -> str:
    """Return text as a cell of a table for programs that no spreadsheet takes for a formula.

    One that begins as a formula does gets an apostrophe before it (OWASP, "CSV injection"). A number stays one.
    """
    return f"'{text}" if text.startswith(FORMULA) and not NUMBER.fullmatch(text) else text


def _escaped(found: re.Match[str]) -> str:
    """Return a character as JSON writes it: as one or two times four digits."""
    character = found[0]
    if character in SHORT:
        return SHORT[character]
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[place : place + 4]}" for place in range(0, len(units), 4))


class SafeStream:
    """A text stream over another that escapes what is harmful, and outlives whoever reads it.

    What the other's encoding lacks is written by its number. Once the terminal or the pipe is gone, or the disk is
    full, what comes after is dropped, since a run must go on: `failed` keeps the error, unless a reader just left.
    escapes: whether line breaks are all that may move the cursor. All else is the other stream's.
    """

    def __init__(self, stream: TextIO, *, escapes: bool = True) -> None:
        self.stream = stream
        self.failed: OSError | None = None
        self._escapes, self._ended = escapes, False

    def write(self, text: str) -> int:
        """Write text, its line breaks kept."""
        safe = shown_lines(text) if self._escapes else text
        encoding = self.stream.encoding or "utf-8"
        self._attempt(lambda: self.stream.write(safe.encode(encoding, "backslashreplace").decode(encoding)))
        return len(text)

    def write_bytes(self, data: bytes) -> None:
        """Write what is no text for people, as it is."""
        self._attempt(lambda: self.stream.buffer.write(data))

    def flush(self) -> None:
        """Write what is kept back."""
        self._attempt(self.stream.flush)

    def _attempt(self, write: Callable[[], object]) -> None:
        if self._ended:
            return
        try:
            write()
        except OSError as error:
            self._ended = True
            self.failed = None if error.errno in READER_LEFT else error
            with (
                contextlib.suppress(OSError),
                Path(os.devnull).open("wb") as nothing,
            ):  # or Python complains when it ends
                os.dup2(nothing.fileno(), self.stream.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def unescaped(stream: TextIO) -> TextIO:
    """Return a stream to the same place for text of our own that moves the cursor, such as a progress bar."""
    under = stream.stream if isinstance(stream, SafeStream) else stream
    return cast("TextIO", SafeStream(under, escapes=False))


@contextlib.contextmanager
def safe_output() -> Iterator[SafeStream]:
    """Put a `SafeStream` over standard output, and give it, and one over standard error."""
    before = sys.stdout, sys.stderr
    out, err = (SafeStream(stream or io.StringIO()) for stream in before)  # None: closed before Python began
    sys.stdout, sys.stderr = cast("TextIO", out), cast("TextIO", err)
    try:
        yield out
    finally:
        out.flush()
        err.flush()
        sys.stdout, sys.stderr = before
