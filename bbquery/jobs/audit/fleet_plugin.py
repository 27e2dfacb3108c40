"""Hook that a Dask worker calls when it closes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from distributed import WorkerPlugin, get_worker

NAME = "bbquery"
_ADDING = threading.Lock()  # adding a plugin twice tears the first down


class Closing(WorkerPlugin):  # type: ignore[misc] # Dask has no types
    """Calls a function when its worker closes, and lets it close once that returns."""

    def __init__(self, closes: Callable[[], None]) -> None:
        self._closes = closes

    async def teardown(self, worker: Any) -> None:  # noqa: ARG002 - Dask's
        """Call it on a thread. Dask would wait half a minute for what its threads do, and not for what they paid."""
        await asyncio.to_thread(self._closes)


def attend(closes: Callable[[], None]) -> None:
    """Have a function called when the worker of this thread closes; once for each worker.

    Raises:
        ValueError: this thread is no worker's.
    """
    worker = get_worker()
    with _ADDING:
        if NAME not in worker.plugins:
            adding = worker.plugin_add(plugin=Closing(closes), name=NAME)
            asyncio.run_coroutine_threadsafe(adding, worker.loop.asyncio_loop).result()
