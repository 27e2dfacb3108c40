"""One BLAS thread while bbquery multiplies its own small matrices.

Theory of operation.

1. These matrices are small: rows of a design, cells of a mask, a thousand answers. A second thread brings them nothing
   and waits for its turn with the core at full load: `designed` on 1,000 answers takes twice the CPU time on two idle
   cores, and many times that where other work wants them too.
2. Results are the same to the bit on any machine, as BLAS adds up in another order on two threads.
3. The number belongs to the whole process (with OpenBLAS on OpenMP, to each thread). So it is set only while such work
   is being done and given back afterwards, never across a wait for answers: a model that runs in the same process keeps
   the threads it was given.
4. Uses may be nested, and overlap on several worker threads: the first sets the limit, and the last lifts it.
5. Whoever reads the number while a thread is inside sees one: code that sets and restores it by itself, in another
   thread, may restore that. Nothing in BLAS could prevent it.
6. A library of linear algebra that is loaded later, as SciPy brings one of its own, is found and limited by the next
   use, nested or not.

What is not BLAS keeps its threads, ONNX Runtime and torch among them.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import ContextDecorator
from typing import Any, Final, TypeAlias

from threadpoolctl import ThreadpoolController

THREADS: Final = 1

Library: TypeAlias = Any  # threadpoolctl has no types: `filepath`, `num_threads`, `set_num_threads(n)`


class _Own(threading.local):
    """A thread's own: how deep it is inside, and libraries whose number of threads is its own, with what it was."""

    def __init__(self) -> None:
        self.depth = 0
        self.lifted: list[tuple[Library, int]] = []


class _Limited(ContextDecorator):
    """Limits BLAS while any thread is inside: a context manager and a decorator."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._own = _Own()
        self._inside = 0  # entries of all threads
        self._lifted: list[tuple[Library, int]] = []  # libraries of one number for the process, and what it was
        self._modules = 0
        self._libraries: list[Library] = []
        if hasattr(os, "register_at_fork"):  # a child has none of the threads that were inside
            os.register_at_fork(
                before=self._lock.acquire, after_in_parent=self._lock.release, after_in_child=self._begin_again
            )

    def __enter__(self) -> None:
        with self._lock:
            if self._found_others() or not self._own.depth:
                self._limit()
            self._own.depth += 1
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._own.depth = max(0, self._own.depth - 1)  # 0 already where a child was forked inside
            self._inside = max(0, self._inside - 1)
            if not self._own.depth:
                _give_back(self._own.lifted)
            if not self._inside:
                _give_back(self._lifted)

    def _found_others(self) -> bool:
        """Look through the loaded libraries if there may be new ones, and say so: it takes milliseconds."""
        if len(sys.modules) == self._modules:
            return False
        self._modules = len(sys.modules)
        self._libraries = ThreadpoolController().select(user_api="blas").lib_controllers
        return True

    def _limit(self) -> None:
        for library in self._libraries:
            before = library.num_threads or THREADS
            if before > THREADS:
                of_thread = getattr(library, "threading_layer", None) == "openmp"
                (self._own.lifted if of_thread else self._lifted).append((library, before))
                _set(library, THREADS)

    def _begin_again(self) -> None:
        """Lift the limit in a forked child."""
        self._inside, self._own = 0, _Own()
        _give_back(self._lifted)
        self._lock.release()


def _give_back(lifted: list[tuple[Library, int]]) -> None:
    while lifted:
        _set(*lifted.pop())


def _set(library: Library, threads: int) -> None:
    """Set a number of threads. Newer threadpoolctl lets one thread alone do so, until that one gives up control."""
    free = getattr(library, "clear_controlling_thread", None)
    if free is None:
        library.set_num_threads(threads)
        return
    free(force=True)
    library.set_num_threads(threads)
    free()


one_blas_thread = _Limited()
"""`with one_blas_thread:` or `@one_blas_thread`: around work on small matrices, not around a wait or another's code."""
