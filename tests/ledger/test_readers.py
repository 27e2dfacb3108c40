"""Those who read a ledger share its connections, however many threads come and go."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bbquery.ledger.ledger import Ledger
from bbquery.ledger.records import Cap

if TYPE_CHECKING:
    from collections.abc import Callable

DESCRIPTORS = Path("/dev/fd")
READERS = 5


def _on_a_thread(work: Callable[[], object]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


@pytest.mark.skipif(not DESCRIPTORS.exists(), reason="this system does not list the files that a process has open")
def test_a_thread_that_has_read_leaves_no_file_open(tmp_path: Path) -> None:
    """Each photo of an audit has threads of its own: a thousand of them would be more files than a process may open."""
    with Ledger(tmp_path / "ledger.sqlite3") as ledger:
        budget = ledger.open_budget("b", Cap())
        _on_a_thread(lambda: ledger.budget(budget))
        before = len(list(DESCRIPTORS.iterdir()))

        for _ in range(20):
            _on_a_thread(lambda: ledger.budget(budget))

        assert len(list(DESCRIPTORS.iterdir())) == before


def test_readers_at_the_same_time_do_not_wait_for_each_other(tmp_path: Path) -> None:
    """Each has a connection of its own: all of them are amid their reading before one may go on."""
    together = threading.Barrier(READERS, timeout=60)
    seen: list[int] = []

    with Ledger(tmp_path / "ledger.sqlite3") as ledger:

        def read() -> None:
            def rows(connection: object) -> int:
                together.wait()
                return id(connection)

            seen.append(ledger.read(rows))

        threads = [threading.Thread(target=read) for _ in range(READERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert len(set(seen)) == READERS
