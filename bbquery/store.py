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
    from collections.abc import Sequence


@dataclass(frozen=True)
class Question:
    """What is asked. key: hash of the rest. oracle: fingerprint. image: digest. sample: index of the repeat."""

    key: bytes
    oracle: str
    image: bytes
    sample: int


def find(connection: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, Reply]:
    """Return the replies that are stored under any of these keys; they cost nothing any more."""
    marks = ", ".join("?" * len(keys))
    rows = connection.execute(f"SELECT key, answer, served FROM answer WHERE key IN ({marks})", tuple(keys))
    return {key: Reply(unpack(answer), Units(), served) for key, answer, served in rows}


def insert(connection: sqlite3.Connection, answered: Sequence[tuple[Question, Reply, int]], now: str) -> None:
    """Keep replies to questions, with the attempts that brought them. The first one stays, should two be paid for."""
    connection.executemany(
        "INSERT INTO answer (key, oracle, image, sample, answer, served, attempt, created)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING",
        [
            (q.key, q.oracle, q.image, q.sample, pack(reply.answer), reply.served, attempt, now)
            for q, reply, attempt in answered
        ],
    )


def remember_oracle(connection: sqlite3.Connection, fingerprint: str, identity: str) -> None:
    """Keep the identity behind a fingerprint."""
    connection.execute(
        "INSERT INTO oracle (fingerprint, identity) VALUES (?, ?) ON CONFLICT (fingerprint) DO NOTHING",
        (fingerprint, identity),
    )
