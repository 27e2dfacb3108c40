"""Texts from outside, made fit for a line of ours."""

from __future__ import annotations

LONGEST = 200  # characters


def shortened(text: str, longest: int = LONGEST) -> str:
    """Return `text` on one line of printable characters, cut after `longest` of them."""
    return _cut(one_line(text), longest)


def one_line(text: str) -> str:
    """Return `text` on one line of printable characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def brief(value: object, longest: int = 80) -> str:
    """Return `value` as Python writes it, cut after `longest` characters."""
    return _cut(repr(value), longest)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}…"
