"""Accounts of what was sent, an oracle that is known to them, and files that a vendor may give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bbquery.ledger.accounts import Accounts
from tests.support.bookkeeping import remember

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bbquery.ledger.sqlite import Ledger


@pytest.fixture
def accounts(ledger: Ledger) -> Iterator[Accounts]:
    with Accounts(ledger.path) as opened:
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
