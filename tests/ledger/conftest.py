"""Accounts of what was sent, an oracle that is known to them, and files that a vendor may give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bbquery.ledger.accounts import Accounts
from bbquery.ledger.ledger import Ledger
from tests.support.bookkeeping import remember

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bbquery.ledger.places import Place
    from tests.support.postgresql import Server


@pytest.fixture(scope="session", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def new_place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Place]:
    """Give the places of new ledgers: the ledger's rules are the same in a file and on a server."""
    if request.param == "sqlite":
        return lambda: tmp_path_factory.mktemp("ledger") / "ledger.sqlite3"
    server: Server = request.getfixturevalue("postgresql")
    return server.url


@pytest.fixture
def place(new_place: Callable[[], Place]) -> Place:
    return new_place()


@pytest.fixture
def ledger(place: Place) -> Iterator[Ledger]:
    with Ledger(place) as opened:
        yield opened


@pytest.fixture
def accounts(ledger: Ledger) -> Iterator[Accounts]:
    with Accounts(ledger.place) as opened:
        yield opened


@pytest.fixture
def oracle(ledger: Ledger) -> str:
    """The fingerprint of an oracle that the ledger knows."""
    return remember(ledger, oracle="openai", model="gpt-4o")


@pytest.fixture
def csv_file(tmp_path: Path) -> Callable[[str], Path]:
    """Write a file of comma-separated values."""

    def write(text: str) -> Path:
        path = tmp_path / "file.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write
