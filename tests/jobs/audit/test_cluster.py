"""A connection to a cluster: it is followed to the end, or given up aloud, and never waited for in vain."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from bbquery.jobs.audit.cluster import Cluster, ClusterLost

if TYPE_CHECKING:
    from tests.support.fleet import Fleet

pytest.importorskip("distributed", reason="Dask is not installed (the extra 'dask')")


async def _nothing() -> None:
    """Make nothing for the work."""


@pytest.mark.slow
async def test_a_client_that_was_closed_beneath_it_is_replaced(cluster: Fleet) -> None:
    """Whoever looks at the scheduler just then finds no connection, and connects again."""
    async with contextlib.aclosing(Cluster(cluster.address, "run")) as connected:
        await connected.open()
        closed, replaced = connected._client, connected._replaced

        await closed.close()
        async with asyncio.timeout(60):
            await replaced.wait()

        assert connected._client is not closed
        assert await connected.call(str, _nothing) == "None"


async def test_a_cluster_that_is_not_followed_any_more_is_given_up_with_the_reason() -> None:
    """Work that is given, and work that waits, hears of it; it would wait for ever for a scheduler that comes back."""
    connected = Cluster("tcp://127.0.0.1:1", "run")
    replaced = connected._replaced

    async def fails() -> None:
        raise ZeroDivisionError("not foreseen")

    connected.soon(fails())
    await replaced.wait()

    with pytest.raises(ClusterLost, match="not followed any more: ZeroDivisionError: not foreseen"):
        await connected.call(str, _nothing)
