"""Removal of damaged answers from the store, so that they are asked again.

What is set aside goes into a file of its own, byte for byte, before it leaves the store: nothing that was paid for is
thrown away. Asking again costs a query each, so a person decides it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery.ledger import store_files

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.ledger.connection import Connection

COLUMNS = ("key", "oracle", "image", "sample", "answer", "served", "attempt", "created")
_NUMBERS = ("sample", "attempt")
_ROW = f"SELECT {', '.join(c if c in _NUMBERS else f'hex({c})' for c in COLUMNS)} FROM answer WHERE key = ?"  # noqa: S608 - constant names


@dataclass(frozen=True)
class Damaged:
    """Damaged answers by key, and oracles of unreadable identity by fingerprint, each with the reason."""

    answers: dict[bytes, str]
    oracles: dict[str, str]


def find(connection: Connection) -> Damaged:
    """Return all that is damaged in the store. Only reads."""
    found = Damaged({}, {})
    for fault in store_files.faults(connection):
        if isinstance(fault.of, bytes):
            found.answers[fault.of] = fault.text
        else:
            found.oracles[fault.of] = fault.text
    return found


def write_aside(connection: Connection, damaged: Damaged, write: Callable[[bytes], object]) -> None:
    """Write damaged answers as they are, a line of JSON each; bytes and texts in hexadecimal digits. Only reads."""
    for key, fault in damaged.answers.items():
        row = connection.execute(_ROW, (key,)).fetchone()
        write((json.dumps({"fault": fault, **dict(zip(COLUMNS, row, strict=True))}) + "\n").encode())


def remove(connection: Connection, keys: Sequence[bytes]) -> int:
    """Take answers out of the store, in the caller's transaction; what they cost stays posted. Return how many."""
    return connection.executemany("DELETE FROM answer WHERE key = ?", [(key,) for key in keys]).rowcount
