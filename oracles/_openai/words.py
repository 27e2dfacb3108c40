"""What a server said, made fit for a line of ours."""

from __future__ import annotations

MESSAGE_LENGTH = 200


def shortened(said: str, longest: int = MESSAGE_LENGTH) -> str:
    """Return `said` on one line of printable characters, cut after `longest`."""
    line = printable(said)
    return line if len(line) <= longest else f"{line[:longest]}…"


def printable(said: str) -> str:
    """Return `said` on one line of printable characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in said).split())
