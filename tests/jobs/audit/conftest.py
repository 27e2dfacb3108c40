"""An audit of a model that counts what it was asked, and a cluster that asks it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.fleet import Fleet
    from tests.support.fleet_audits import Audit


@pytest.fixture
async def audit(tmp_path: Path) -> AsyncIterator[Audit]:
    from tests.support.fleet_audits import audited

    async with audited(tmp_path) as found:
        yield found


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Fleet]:
    """Two workers of one thread; skipped without Dask."""
    pytest.importorskip("distributed", reason="Dask is not installed (the extra 'dask')")
    from tests.support.fleet import fleet

    async with fleet(tmp_path) as found:
        await found.start(2, threads=1)
        yield found
