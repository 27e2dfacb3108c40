"""The answer store: each answer is paid for once. Content-addressed, never evicted.

It shares the ledger's file, so that an answer and its cost are recorded in one commit.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

from bbquery.errors import StorageFailed
from bbquery.ledger.codec import pack, unpack
from bbquery.ledger.rows import blob, execute_rows
from bbquery.types import Reply
from bbquery.units import Units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.ledger.connection import Connection


INSERT = (
    "INSERT INTO answer (oracle, served, created, key, image, sample, answer, attempt)"
    " SELECT ?, ?, ?, * FROM {rows} AS given WHERE true"  # without WHERE, ON would begin a join
    " ON CONFLICT (key) DO NOTHING"
)


class ImageQuestion(NamedTuple):
    """A question. key: hash of the rest. oracle: fingerprint. image: digest. sample: index of the repeat."""

    key: bytes
    oracle: str
    image: bytes
    sample: int


def find(connection: Connection, keys: Sequence[bytes]) -> dict[bytes, Reply]:
    """Return the replies that are stored under any of these keys."""
    marks = ", ".join("?" * len(keys))
    found = connection.execute(f"SELECT key, answer, served FROM answer WHERE key IN ({marks})", tuple(map(blob, keys)))
    return {key: reply(key, answer, served) for key, answer, served in found}


def payers(connection: Connection, keys: Sequence[bytes]) -> dict[bytes, int | None]:
    """Return of replies that are stored under any of these keys which budget paid for them; None: no attempt did."""
    marks = ", ".join("?" * len(keys))
    found = connection.execute(
        "SELECT answer.key, attempt.budget FROM answer LEFT JOIN attempt ON attempt.id = answer.attempt"
        f" WHERE answer.key IN ({marks})",
        tuple(map(blob, keys)),
    )
    return dict(found)


def reply(key: bytes, answer: bytes, served: str | None) -> Reply:
    """Return what is stored as a reply; it costs nothing any more.

    Raises:
        StorageFailed: it is damaged; names it, and what sets it aside.
    """
    try:
        return Reply(unpack(answer), Units(), served)
    except ValueError as error:
        raise StorageFailed(
            f"the stored answer {key.hex()} is damaged ({error!s:.200}): 'bbquery store verify --repair' sets it aside,"
            " and the same again then asks it once more, and pays for it once more"
        ) from error


def insert(connection: Connection, answered: Sequence[tuple[ImageQuestion, Reply, int]], now: str) -> None:
    """Keep replies to questions, with the attempts that brought them. The first one stays, should two be paid for."""
    for shared, alike in itertools.groupby(answered, lambda each: (each[0].oracle, each[1].served)):
        rows = [
            (blob(question.key), blob(question.image), question.sample, blob(pack(brought.answer)), attempt)
            for question, brought, attempt in alike
        ]
        execute_rows(connection, INSERT, rows, (*shared, now))


def remember_oracle(connection: Connection, fingerprint: str, identity: str) -> None:
    """Keep the identity behind a fingerprint."""
    connection.execute(
        "INSERT INTO oracle (fingerprint, identity) VALUES (?, ?) ON CONFLICT (fingerprint)"
        " DO UPDATE SET identity = excluded.identity WHERE oracle.identity != excluded.identity",  # if damaged
        (fingerprint, identity),
    )
