"""What several tests need: a fake oracle with every fault, tiny images, and a guard on the ledger's invariant."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bbquery.client.client import Client
from bbquery.errors import OracleError
from bbquery.ledger.records import Cap
from bbquery.ledger.store import Question
from bbquery.oracle import ONE_QUERY, Capabilities, Limits, Price, Quote, RateSeen
from bbquery.types import Answer, Classes, Image, Reply, Vector
from tests.conftest import FakeClock

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.ledger.sqlite import Ledger
    from bbquery.system.clock import Clock
    from bbquery.units import Units

CLASSES = Classes((("bright",), ("dark",)))


def brightness(image: Image) -> Vector:
    """A classifier that anyone can check by hand."""
    share = float(np.mean(image)) / 255
    return Vector(np.array([share, 1 - share]))


def visible(folder: Path) -> set[str]:
    """Return the names of what a person sees in a folder."""
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


def tiny_images(n: int, *, side: int = 8, seed: int = 0) -> np.ndarray:
    """Return n distinct images."""
    return np.random.default_rng(seed).integers(0, 256, (n, side, side, 3), dtype=np.uint8)


def question(n: int, oracle: str = "fingerprint") -> Question:
    """A question that differs from those with other numbers."""
    return Question(n.to_bytes(32, "big"), oracle, b"image", 0)


@dataclass
class FakeOracle:
    """An oracle whose every request follows a script, and which keeps its own bill of answered images."""

    script: Callable[[int], OracleError | None] = lambda _: None
    largest_batch: int = 4
    concurrency: int = 3
    timeout: float = 30.0
    free: bool = False
    reply: Callable[[Image], Answer | Reply | OracleError] = brightness
    hold: Units = ONE_QUERY
    seen: RateSeen | None = None
    limits: Mapping[str, Any] = field(default_factory=dict)
    provider: str = ""
    lost_after_answering: Callable[[int], bool] = lambda _: False
    gate: asyncio.Event | None = None
    version: str = "1"
    requests: int = 0
    billed: int = 0
    most_in_flight: int = 0
    batch_sizes: list[int] = field(default_factory=list)
    _in_flight: int = 0

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            name="fake",
            answers="probabilities",
            identity={"oracle": "fake", "version": self.version},
            classes=CLASSES,
            limits=Limits(
                largest_batch=self.largest_batch, concurrency=self.concurrency, timeout=self.timeout, **self.limits
            ),
            price=Price(free=self.free),
            provider=self.provider,
        )

    @property
    def rate_seen(self) -> RateSeen | None:
        return self.seen

    def encode(self, image: Image) -> Image:
        return image

    def quote(self, payload: Image) -> Quote:
        return Quote(worst=self.hold, expected=self.hold)

    async def answer(self, payloads: Sequence[Image]) -> Sequence[Reply | OracleError]:
        number, self.requests = self.requests, self.requests + 1
        self.batch_sizes.append(len(payloads))
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            if self.gate is not None:
                await self.gate.wait()
            await asyncio.sleep(0)
            return self._answered(number, payloads)
        finally:
            self._in_flight -= 1

    def _answered(self, number: int, payloads: Sequence[Image]) -> Sequence[Reply | OracleError]:
        failure = self.script(number)
        if failure is not None and not self.lost_after_answering(number):
            raise failure
        answers = [as_reply(self.reply(payload)) for payload in payloads]
        self.billed += sum(not isinstance(answer, OracleError) for answer in answers)
        if failure is not None:
            raise failure
        return answers

    async def aclose(self) -> None:
        return


def as_reply(answer: Answer | Reply | OracleError) -> Reply | OracleError:
    """Wrap a bare answer."""
    return answer if isinstance(answer, Reply | OracleError) else Reply(answer)


def guard_caps(path: Path) -> None:
    """Make the database refuse any statement after which a budget has posted and held more than its cap."""
    units = ("queries", "tokens", "picodollars")
    condition = " OR ".join(f"NEW.posted_{u} + NEW.held_{u} > NEW.cap_{u}" for u in units)
    with sqlite3.connect(path) as connection:
        connection.execute(
            f"CREATE TRIGGER guard AFTER UPDATE ON budget WHEN {condition}"
            " BEGIN SELECT RAISE(ABORT, 'posted + held > cap'); END"
        )
    connection.close()


def client_of(oracle: FakeOracle, ledger: Ledger, *, cap: int = 1000, clock: Clock | None = None) -> Client:
    """A client with a budget of its own; time passes only when it sleeps."""
    return Client(oracle, ledger, ledger.open_budget("run", Cap(queries=cap)), clock=clock or FakeClock())


def failing_first(error: OracleError) -> Callable[[int], OracleError | None]:
    """A script by which the first request fails."""
    return lambda number: error if number == 0 else None
