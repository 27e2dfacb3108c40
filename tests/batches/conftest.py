"""A vendor that takes batches, and a clock by which nobody waits for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bbquery.batches import prefetch
from tests.support.batches_vendor import Vendor
from tests.support.clocks import FakeClock

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def vendor(tmp_path: Path) -> Vendor:
    return Vendor(tmp_path / "vendor")


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """Let no test wait for a vendor."""
    clock = FakeClock()
    monkeypatch.setattr(prefetch, "SystemClock", lambda: clock)
    return clock
