"""The answer store: what was paid for once is never asked again. Content-addressed, never evicted.

It shares the ledger's file, so that an answer and its cost are recorded in one commit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery.codec import pack, unpack

if TYPE_CHECKING:
    import sqlite3

    from bbquery.types import Answer


@dataclass(frozen=True)
class Question:
    """What is asked. key: hash of the rest. oracle: fingerprint. image: digest. sample: index of the repeat."""

    key: bytes
    oracle: str
    image: bytes
    sample: int


def find(connection: sqlite3.Connection, key: bytes) -> Answer | None:
    """Return the answer with this key, or None."""
    row = connection.execute("SELECT answer FROM answer WHERE key = ?", (key,)).fetchone()
    return None if row is None else unpack(row[0])


def insert(connection: sqlite3.Connection, question: Question, answer: Answer, attempt: int, now: str) -> None:
    """Keep an answer. The first one stays, should two have been paid for."""
    connection.execute(
        "INSERT INTO answer (key, oracle, image, sample, answer, attempt, created) VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (key) DO NOTHING",
        (question.key, question.oracle, question.image, question.sample, pack(answer), attempt, now),
    )


def remember_oracle(connection: sqlite3.Connection, fingerprint: str, identity: str) -> None:
    """Keep the identity behind a fingerprint."""
    connection.execute(
        "INSERT INTO oracle (fingerprint, identity) VALUES (?, ?) ON CONFLICT (fingerprint) DO NOTHING",
        (fingerprint, identity),
    )
