"""Lines of an exported store."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.ledger.ledger import Ledger


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]


def rewrite(path: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    plain = lines(path)
    change(plain)
    path.write_text("".join(json.dumps(line) + "\n" for line in plain), encoding="ascii")


def damage(ledger: Ledger, statement: str) -> None:
    with sqlite3.connect(ledger.path) as connection:
        connection.execute(statement)
    connection.close()
