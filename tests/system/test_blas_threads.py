"""One BLAS thread for bbquery's own matrices, whatever the environment says, and all of them back afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import types
from typing import TYPE_CHECKING, Any

import pytest
from threadpoolctl import ThreadpoolController

from bbquery.system.blas_threads import one_blas_thread
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
SEEN_ELSEWHERE = {"scoring/hard:_of_vector"}  # needs WordNet, which takes seconds to read; `score_rows` limits it


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    """Have two threads to limit, on a machine of one core as well."""
    with ThreadpoolController().limit(limits=2, user_api="blas"):
        yield


def threads() -> set[int]:
    """Return how many threads the loaded libraries of linear algebra would use."""
    return {found["num_threads"] for found in ThreadpoolController().info() if found["user_api"] == "blas"}


def test_no_matrix_is_multiplied_on_more_than_one_thread() -> None:
    """Maps, attacks, metrics, probes and scores use one thread where the environment names no number."""
    without = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    command = [sys.executable, "-m", "tests.support.blas_seen"]
    done = subprocess.run(command, cwd=ROOT, env=without, capture_output=True, text=True, check=True)
    seen: dict[str, Any] = json.loads(done.stdout)

    assert {name: most for name, most in seen["most"].items() if most != 1} == {}
    assert set(seen["multiplying"]) - set(seen["most"]) == SEEN_ELSEWHERE
    assert seen["afterwards"] == 2


def test_threads_are_given_back_after_nested_uses() -> None:
    """The outermost use lifts the limit, an inner one does not."""
    with one_blas_thread:
        with one_blas_thread:
            inner = threads()
        between = threads()

    assert (inner, between, threads()) == ({1}, {1}, {2})


def test_threads_are_given_back_after_an_error() -> None:
    """What fails inside leaves no limit behind."""

    @one_blas_thread
    def failing() -> None:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - the one above
        failing()

    assert threads() == {2}


def test_uses_of_several_threads_are_counted() -> None:
    """A worker that leaves first takes no limit from another, and the last one lifts it, though it did not set it."""
    entered, leave = threading.Event(), threading.Event()
    during = []

    def first() -> None:
        with one_blas_thread:
            entered.set()
            leave.wait(10)

    worker = threading.Thread(target=first)
    worker.start()
    entered.wait(10)
    with one_blas_thread:
        leave.set()
        worker.join()
        during.append(threads())

    assert (during, threads()) == ([{1}], {2})


class Library:
    """A library of linear algebra that is loaded late."""

    threading_layer = "pthreads"

    def __init__(self) -> None:
        self.num_threads = 2

    def set_num_threads(self, threads: int) -> None:
        self.num_threads = threads


class Loaded:
    """What threadpoolctl finds."""

    def __init__(self, *libraries: Library) -> None:
        self.lib_controllers = list(libraries)

    def __call__(self) -> Loaded:
        return self

    def select(self, **_: str) -> Loaded:
        return self


def test_a_library_that_is_loaded_within_is_limited_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """SciPy brings a BLAS of its own in the midst of a step: the next use finds it, and it is given back."""
    late = Library()
    found = []
    with one_blas_thread:
        monkeypatch.setattr("bbquery.system.blas_threads.ThreadpoolController", Loaded(late))
        monkeypatch.setitem(sys.modules, "a_late_library", types.ModuleType("a_late_library"))
        with one_blas_thread:
            found.append(late.num_threads)
    monkeypatch.undo()

    assert (found, late.num_threads, threads()) == ([1], 2, {2})


def test_a_limit_that_another_thread_took_is_no_hindrance() -> None:
    """A library that newer threadpoolctl lets one thread alone control is limited by a worker, and given back."""
    ThreadpoolController().limit(limits=2, user_api="blas")  # this thread has taken control, and keeps it
    during = []

    def work() -> None:
        with one_blas_thread:
            during.append(threads())

    worker = threading.Thread(target=work)
    worker.start()
    worker.join()

    assert (during, threads()) == ([{1}], {2})


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_child_that_was_forked_inside_begins_without_a_limit() -> None:
    """A forked child has none of the threads that were inside, so nobody else would lift their limit."""
    code = (
        "import os, threading, numpy\n"
        "from threadpoolctl import ThreadpoolController\n"
        "from bbquery.system.blas_threads import one_blas_thread\n"
        "blas = ThreadpoolController().select(user_api='blas')\n"
        "blas.limit(limits=2)\n"
        "with one_blas_thread:\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        with one_blas_thread: pass\n"
        "        os._exit(blas.info()[0]['num_threads'])\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout == "2\n"
