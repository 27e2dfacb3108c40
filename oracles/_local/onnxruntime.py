"""A classifier in this process, run by ONNX Runtime: free, and exact to the bit.

Every image is run alone, on one thread: a sum in floating point depends on its order, and an answer must not depend on
the batch that it travelled in. Batches are answered side by side in worker threads.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bbquery.errors import Rejected, UsageError
from bbquery.oracle import ONE_QUERY, Quote
from bbquery.system.forks import OneProcess
from bbquery.types import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

    from numpy.typing import NDArray

    from bbquery.oracle import Capabilities
    from bbquery.types import Answer, Image

LARGEST_BATCH: Final = 4  # a batch runs image by image: more would only make others wait
_FATAL_ONLY: Final = 4  # of ONNX Runtime's severities: errors are raised as well, and need not be printed


def session(runtime: ModuleType, model: bytes | str) -> Any:
    """Open a model, given as its bytes or its path, on one thread of the CPU."""
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _FATAL_ONLY
    return runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class OnnxOracle:
    """A network behind the protocol `Oracle`.

    run: uint8 pixels (H, W, 3) of the view's size to an answer; called from several threads at once.
    """

    def __init__(self, run: Callable[[Image], Answer], capabilities: Capabilities) -> None:
        self.capabilities = capabilities
        self._run = run
        self._process = OneProcess(f"the oracle {capabilities.name}")
        threads = capabilities.limits.concurrency
        self._workers = ThreadPoolExecutor(threads, thread_name_prefix=f"bbquery-{capabilities.name}")

    def encode(self, image: Image) -> NDArray[np.uint8]:
        """Return the pixels as they are, contiguous.

        Raises:
            UsageError: they have another shape than the network's, or are not uint8.
        """
        shape = (*(self.capabilities.view.size or image.shape[:2]), 3)
        if image.shape != shape or image.dtype != np.uint8:
            takes = f"{self.capabilities.name} takes images {shape} of uint8"
            raise UsageError(f"{takes}, not {image.shape} of {image.dtype}")
        return np.ascontiguousarray(image)

    def quote(self, payload: NDArray[np.uint8]) -> Quote:  # noqa: ARG002 - every image costs the same
        """Return what one query costs: a query, and no money."""
        return Quote()

    @property
    def rate_seen(self) -> None:
        """Nothing: it has no limits but this machine's."""

    async def answer(self, payloads: Sequence[NDArray[np.uint8]]) -> list[Reply]:
        """Return the answer to each image, from a worker thread.

        Raises:
            Rejected: ONNX Runtime failed; it would again. UsageError: this is a forked child of the process that
                connected it.
        """
        self._process.check()
        return await asyncio.get_running_loop().run_in_executor(self._workers, self._answer, payloads)

    async def aclose(self) -> None:
        """Wait for what is running and end the worker threads."""
        await asyncio.to_thread(self._workers.shutdown)

    def _answer(self, payloads: Sequence[NDArray[np.uint8]]) -> list[Reply]:
        try:
            return [Reply(self._run(pixels), cost=ONE_QUERY) for pixels in payloads]
        except Exception as error:
            raise Rejected(f"ONNX Runtime failed: {error}", oracle=self.capabilities.name) from error
