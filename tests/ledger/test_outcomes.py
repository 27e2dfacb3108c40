"""How attempts are settled, and what is said of a bill above its hold."""

from __future__ import annotations

from dataclasses import dataclass

from bbquery.ledger.outcomes import above_hold
from bbquery.ledger.store import ImageQuestion
from bbquery.types import Reply, Text
from bbquery.units import Units


@dataclass(frozen=True)
class Held:
    """An attempt."""

    hold: Units
    attempt: int = 1
    question: ImageQuestion = ImageQuestion(b"", "", b"", 0)  # noqa: RUF009 - a tuple of constants


def test_a_bill_above_its_hold_is_told_in_tokens_and_dollars() -> None:
    """Usage above the stated image tokens says by how much, what was held, and which option to raise."""
    held = Held(Units(queries=1, tokens=300, picodollars=400_000_000))
    reply = Reply(Text("cat"), Units(queries=1, tokens=1950, picodollars=1_200_000_000))

    alarm = str(above_hold(held, reply, "openai gpt-4o"))

    assert "a query cost 1,950 tokens ($0.0012), and at most 300 tokens ($0.0004) was held for it" in alarm
    assert "image_tokens" in alarm
    assert "Units" not in alarm
    assert "picodollars" not in alarm


def test_a_bill_within_its_hold_is_no_alarm() -> None:
    """Nor is one that nobody states."""
    held = Held(Units(queries=1, picodollars=5))

    assert above_hold(held, Reply(Text("cat"), Units(queries=1, picodollars=5)), "x") is None
    assert above_hold(held, Reply(Text("cat")), "x") is None
