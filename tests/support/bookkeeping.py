"""What tests of the books need: ledgers in which things were sent, and ended in every way."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING
from unittest import mock

import numpy as np

from bbquery.ledger import codec, reconcile, statements
from bbquery.ledger.records import Granted, HoldRequest, Settlement
from bbquery.ledger.sqlite_file import SqliteFile
from bbquery.ledger.store import ImageQuestion
from bbquery.types import Label, Labels, NoAnswer, Reply, Text, Token, Vector
from bbquery.units import Units

if TYPE_CHECKING:
    from bbquery.errors import Outcome
    from bbquery.ledger.accounts import Accounts
    from bbquery.ledger.ledger import Ledger
    from bbquery.ledger.reconcile import Settled, Verdict
    from bbquery.types import Answer

HOLD = Units(1, 100, 2_100_000_000)  # a query, some tokens, $0.0021
COST = Units(1, 60, 1_500_000_001)
NOON = "2026-04-13T12:00:00.000+00:00"
ANSWERS: list[Answer] = [
    Vector(np.array([0.1, 0.9])),
    Vector(np.array([0.5, np.inf])),
    Labels((Label("tiger cat", 0.25), Label("кот"))),
    Text("half a pair: \ud800 and a line\nend", (Token("cat", -0.1, (("dog", -2.5),)),)),
    NoAnswer("blocked", "filtered"),
]
"""One of every kind, with what is hard to write."""


def remember(ledger: Ledger, **identity: str | int | float | None) -> str:
    """Keep an oracle's identity; return its fingerprint."""
    fingerprint, text = codec.fingerprint(identity)
    ledger.remember_oracle(fingerprint, text)
    return fingerprint


def asked(oracle: str, number: int) -> ImageQuestion:
    """Return a question to an oracle, with its true key."""
    image = number.to_bytes(32, "big")
    return ImageQuestion(codec.answer_key(oracle, image, 0), oracle, image, 0)


def question(n: int, oracle: str = "fingerprint") -> ImageQuestion:
    """Return a question that differs from those with other numbers, to an oracle that nobody need know."""
    return ImageQuestion(n.to_bytes(32, "big"), oracle, b"image", 0)


def guard_caps(ledger: Ledger) -> None:
    """Make the database refuse any statement after which a budget has posted and held more than its cap."""
    units = ("queries", "tokens", "picodollars")
    condition = " OR ".join(f"NEW.posted_{u} + NEW.held_{u} > NEW.cap_{u}" for u in units)
    if isinstance(ledger._database.engine, SqliteFile):
        making = [
            f"CREATE TRIGGER guard AFTER UPDATE ON budget WHEN {condition}"
            " BEGIN SELECT RAISE(ABORT, 'posted + held > cap'); END"
        ]
    else:
        making = [
            "CREATE FUNCTION refuse() RETURNS TRIGGER LANGUAGE plpgsql"
            " AS $$ BEGIN RAISE EXCEPTION 'posted + held > cap'; END $$",
            f"CREATE TRIGGER guard AFTER UPDATE ON budget FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION refuse()",
        ]
    for statement in making:
        ledger._database.write(lambda c, statement=statement: c.execute(statement)).result()  # type: ignore[misc] # a default binds the loop's statement


def sent(
    ledger: Ledger,
    budget: int,
    question: ImageQuestion,
    outcome: Outcome | None = "posted",
    *,
    hold: Units = HOLD,
    cost: Units = COST,
    at: str = NOON,
    answer: Answer | None = None,
    served: str | None = None,
    reason: str | None = None,
) -> int:
    """Send at a time and let it end so, or leave it in flight (None); return the attempt."""
    return asyncio.run(_sent(ledger, HoldRequest(question, budget, hold), outcome, cost, at, answer, served, reason))


async def _sent(
    ledger: Ledger,
    request: HoldRequest,
    outcome: Outcome | None,
    cost: Units,
    at: str,
    answer: Answer | None,
    served: str | None,
    reason: str | None,
) -> int:
    with mock.patch.object(statements, "now", return_value=at):
        (granted,) = await ledger.reserve([request])
        assert isinstance(granted, Granted), granted
        if outcome == "posted":
            reply = Reply(answer or Text("a cat"), cost, served)
            done = Settlement(granted.attempt, outcome, cost, reason, request.question, reply)
            await ledger.settle([done])
        elif outcome is not None:
            await ledger.settle([Settlement(granted.attempt, outcome, reason=reason)])
    return granted.attempt


def break_disk(ledger: Ledger) -> None:
    """Let every write from now on fail, as on a broken disk."""
    engine = ledger._database.engine
    assert isinstance(engine, SqliteFile)
    engine.connection.close()


def identity_of(line: bytes) -> dict[str, object]:
    """Return the identity in a line of an exported store."""
    found: dict[str, object] = json.loads(line)["identity"]
    return found


def settle(accounts: Accounts, *verdicts: Verdict, top: int | None = None) -> list[Settled]:
    """Reconcile unknown attempts."""
    return accounts.write(lambda c: reconcile.settle(c, verdicts, top))
