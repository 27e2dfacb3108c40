"""Shared by all tests: a ledger of their own, a clock that needs no time, and small oracles."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

# Before NumPy is imported: on small matrices a second thread costs more than it brings, here and in child processes.
for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

import pytest  # noqa: E402 - after the number of threads, as the next two
from hypothesis import settings  # noqa: E402

from bbquery.ledger.sqlite import Ledger  # noqa: E402
from tests.support.clocks import FakeClock  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


settings.register_profile("bbquery", deadline=None)  # a slow machine is no failure
settings.load_profile("bbquery")


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
