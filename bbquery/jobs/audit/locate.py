"""Lines of the keys of a TOML file, for messages: `tomllib` reads a file, and does not say where anything stands.

The text is valid, since `tomllib` has read it: so nothing is checked here, and tokens are only followed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import TypeAlias

KeyPath: TypeAlias = "tuple[str | int, ...]"
"""Where a value stands: keys of tables and places in lists, from the top."""

DEEPEST = 8  # levels of values whose lines are kept: a plan has fewer
OPENING, CLOSING, SIGNS = frozenset("[{"), frozenset("]}"), frozenset("[]{}=,\n")
TOKEN = re.compile(
    r"""(?P<skip>[ \t\r]+|\#[^\n]*)
    |(?P<text>\"{3}(?:[^\\]|\\.)*?\"{3}\"{0,2}|'{3}.*?'{3}'{0,2}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')
    |(?P<sign>[\[\]{}=,.\n])
    |(?P<word>[^\s\[\]{}=,.\#"']+)""",
    re.VERBOSE | re.DOTALL,
)


def nesting(text: str) -> int:
    """Return how deep brackets and dotted keys nest in a text, as far as it is TOML; nothing of it has been read."""
    deepest, brackets, parts = 0, 0, 0
    for each, _ in _tokens(text):
        brackets += (each in OPENING) - (each in CLOSING)
        parts = parts + 1 if each == "." else parts * (each not in SIGNS)
        deepest = max(deepest, brackets, parts)
    return deepest


def lines(text: str) -> dict[KeyPath, int]:
    """Return the line, from 1 on, of each key and of each item of a list in a valid TOML text."""
    return _Scan(text).lines()


def line_of(found: dict[KeyPath, int], path: KeyPath) -> int:
    """Return the line of a value, or of the innermost table around it that stands somewhere; 1 where none does."""
    return next((found[path[:end]] for end in range(len(path), 0, -1) if path[:end] in found), 1)


def written(path: KeyPath) -> str:
    """Return a path as people write it: explain.methods[1]."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    """Give each token but space and comments, with its line."""
    line = 1
    for token in TOKEN.finditer(text):
        if token.lastgroup != "skip":
            yield token[0], line
        line += token[0].count("\n")


class _Scan:
    """One pass over the tokens of a text."""

    def __init__(self, text: str) -> None:
        self._tokens = [*_tokens(text), ("\n", 0)]  # ends the last statement
        self._at = 0
        self._found: dict[KeyPath, int] = {}
        self._last: dict[KeyPath, int] = {}  # of each list of tables, the place of its last one

    def lines(self) -> dict[KeyPath, int]:
        with suppress(IndexError):  # the end; where a text is read otherwise than meant, what was found till then
            self._statements()
        return self._found

    def _statements(self) -> None:
        table: KeyPath = ()
        while True:
            if self._next == "\n":
                self._at += 1
            elif self._next == "[":
                table = self._header()
            else:
                self._pair(table)

    @property
    def _next(self) -> str:
        return self._tokens[self._at][0]

    @property
    def _line(self) -> int:
        return self._tokens[self._at][1]

    def _header(self) -> KeyPath:
        """Follow `[a.b]` or `[[a.b]]`; return the path of the table that begins."""
        line, several = self._line, self._tokens[self._at + 1][0] == "["
        self._at += 2 if several else 1
        path: KeyPath = ()
        for key in self._key("]"):
            path = self._kept((*self._inner(path), key), line)
        self._at += 2 if several else 1
        if several:
            self._last[path] = self._last.get(path, -1) + 1
        return self._kept(self._inner(path), line)

    def _inner(self, path: KeyPath) -> KeyPath:
        """Return the path of the last table where a path names a list of tables; else itself."""
        return (*path, self._last[path]) if path in self._last else path

    def _pair(self, table: KeyPath) -> None:
        """Follow `a.b = value`."""
        line, path = self._line, table
        for key in self._key("="):
            path = self._kept((*path, key), line)
        self._at += 1
        self._value(path)

    def _key(self, end: str) -> list[str]:
        """Follow a dotted key up to, but not over, a sign; return its parts."""
        parts = []
        while self._next != end:
            if self._next != ".":
                parts.append(_unquoted(self._next))
            self._at += 1
        return parts[:DEEPEST]

    def _value(self, path: KeyPath) -> None:
        if self._next not in OPENING or len(path) > DEEPEST:
            self._pass()
        elif self._next == "[":
            self._items(path)
        else:
            self._inline(path)

    def _items(self, path: KeyPath) -> None:
        """Follow `[value, value]`."""
        self._at += 1
        place = 0
        while self._next != "]":
            if self._next in ",\n":
                self._at += 1
                continue
            self._kept((*path, place), self._line)
            self._value((*path, place))
            place += 1
        self._at += 1

    def _inline(self, path: KeyPath) -> None:
        """Follow `{a = value, b = value}`."""
        self._at += 1
        while self._next != "}":
            if self._next in ",\n":
                self._at += 1
            else:
                self._pair(path)
        self._at += 1

    def _pass(self) -> None:
        """Go over a value, whatever lies in it."""
        depth = int(self._next in OPENING)
        self._at += 1
        while depth or self._next not in ",]}\n":
            depth += (self._next in OPENING) - (self._next in CLOSING)
            self._at += 1

    def _kept(self, path: KeyPath, line: int) -> KeyPath:
        self._found.setdefault(path, line)
        return path


def _unquoted(key: str) -> str:
    """Return a key without its quotes; escapes in it stay, since no key that is known has any."""
    return key[1:-1] if key[0] in "\"'" else key
