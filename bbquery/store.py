"""The answer store: what was paid for once is never asked again. Content-addressed, never evicted.

It shares the ledger's file, so that an answer and its cost are recorded in one commit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery.codec import pack, unpack
from bbquery.types import Reply, Units

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True)
class Question:
    """What is asked. key: hash of the rest. oracle: fingerprint. image: digest. sample: index of the repeat."""

    key: bytes
    oracle: str
    image: bytes
    sample: int


def find(connection: sqlite3.Connection, key: bytes) -> Reply | None:
    """Return the reply with this key, which costs nothing any more, or None."""
    row = connection.execute("SELECT answer, served FROM answer WHERE key = ?", (key,)).fetchone()
    return None if row is None else Reply(unpack(row[0]), Units(), row[1])


def insert(connection: sqlite3.Connection, question: Question, reply: Reply, attempt: int, now: str) -> None:
    """Keep a reply. The first one stays, should two have been paid for."""
    connection.execute(
        "INSERT INTO answer (key, oracle, image, sample, answer, served, attempt, created)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (key) DO NOTHING",
        (
            *(question.key, question.oracle, question.image, question.sample),
            *(pack(reply.answer), reply.served, attempt, now),
        ),
    )


def remember_oracle(connection: sqlite3.Connection, fingerprint: str, identity: str) -> None:
    """Keep the identity behind a fingerprint."""
    connection.execute(
        "INSERT INTO oracle (fingerprint, identity) VALUES (?, ?) ON CONFLICT (fingerprint) DO NOTHING",
        (fingerprint, identity),
    )
