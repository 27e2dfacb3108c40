"""Shared by all tests: a ledger of their own, a clock that needs no time, and small oracles."""

from __future__ import annotations

import gc
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

# Before NumPy is imported: on small matrices a second thread costs more than it brings, here and in child processes.
for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")
# Compiled modules are kept whatever the environment says: every worker and hundreds of child processes import the same.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

import pytest  # noqa: E402 - after the number of threads, as the next four
from hypothesis import settings  # noqa: E402

from bbquery.ledger.ledger import Ledger  # noqa: E402
from bbquery.report import record  # noqa: E402
from tests.support import records  # noqa: E402
from tests.support.clocks import FakeClock  # noqa: E402
from tests.support.quick import is_quick  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from tests.support.postgresql import Server

MEMORY_DISK = Path("/dev/shm")
"""Where a commit waits for no disk. A killed process loses nothing there either; only a power cut would differ."""
if MEMORY_DISK.is_dir() and os.access(MEMORY_DISK, os.W_OK) and shutil.disk_usage(MEMORY_DISK).free > 2**31:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY_DISK))

settings.register_profile("bbquery", deadline=None)  # a slow machine is no failure
settings.load_profile("bbquery")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector off the thousands of tests, which live as long as the process."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m quick`, leave files with slow parts without importing them."""
    if config.option.markexpr != "quick" or not collection_path.match("test_*.py"):
        return None
    return None if is_quick(collection_path) else True


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the quick tests."""
    quick = {path: is_quick(path) for path in {item.path for item in items}}
    for item in items:
        if quick[item.path] and item.get_closest_marker("slow") is None:
            item.add_marker("quick")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the person's own ledger and caches out of the tests."""
    folder = tmp_path / "home"
    monkeypatch.setenv("BBQUERY_HOME", str(folder))
    return folder


@pytest.fixture(autouse=True, scope="session")
def records_are_checked() -> Iterator[None]:
    """Hold every record that this process writes against the schema, wherever it goes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record, "encoded", records.checked(record.encoded))
        yield


@pytest.fixture(autouse=True)
def records_of_children_are_checked(tmp_path: Path) -> Iterator[None]:
    """Hold the records that a test has left against the schema, whichever process wrote them."""
    yield
    assert records.faults_below(tmp_path) == []


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A server of this process's tests; skipped with the reason where none can be started."""
    pytest.importorskip("psycopg", reason="PostgreSQL's driver is not installed (the extra 'postgresql')")
    from tests.support.postgresql import started

    server = started()
    yield server
    server.close()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite3") as opened:
        yield opened
