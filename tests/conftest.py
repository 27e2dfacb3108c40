"""Shared by all tests: a ledger of their own, a clock that needs no time, and small oracles."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

# Before NumPy is imported: on small matrices a second thread costs more than it brings, here and in child processes.
for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

import pytest  # noqa: E402 - after the number of threads, as the next two
from hypothesis import settings  # noqa: E402

from bbquery.ledger.sqlite import Ledger  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


settings.register_profile("bbquery", deadline=None)  # a slow machine is no failure
settings.load_profile("bbquery")


class FakeClock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.time = 0.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds
        await asyncio.sleep(0)


class ManualClock:
    """Time that passes only when the test says so."""

    def __init__(self) -> None:
        self.time = 0.0
        self.sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        sleeper = (self.time + seconds, asyncio.get_running_loop().create_future())
        self.sleepers.append(sleeper)
        try:
            await sleeper[1]
        finally:
            self.sleepers.remove(sleeper)

    def advance(self, seconds: float) -> None:
        self.time += seconds
        for until, woken in self.sleepers:
            if until <= self.time and not woken.done():
                woken.set_result(None)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the person's own ledger and caches out of the tests."""
    folder = tmp_path / "home"
    monkeypatch.setenv("BBQUERY_HOME", str(folder))
    return folder


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite3") as opened:
        yield opened
