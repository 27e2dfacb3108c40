"""The password of a ledger's server: found where libpq looks, and seen nowhere else."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import pytest

from bbquery.cli import main
from bbquery.errors import StorageFailed
from bbquery.ledger.ledger import Ledger

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.postgresql import Server

pytestmark = pytest.mark.slow
PASSWORD = "hunter2-of-the-tests"


@pytest.mark.parametrize("found", ["PGPASSWORD", "PGPASSFILE"])
def test_a_password_is_used_and_leaves_no_trace(
    found: str,
    postgresql: Server,
    tmp_path: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is in no output and no file, and not in the ledger as a debugger or a traceback shows it."""
    url = postgresql.locked(postgresql.url(), PASSWORD)
    file = tmp_path / "pgpass"
    file.write_text(f"*:*:*:*:{PASSWORD}\n")
    file.chmod(0o600)
    monkeypatch.setenv(found, PASSWORD if found == "PGPASSWORD" else str(file))

    codes = [main([*command, "--ledger", url]) for command in (["budget", "set", "b"], ["budget", "show", "--json"])]
    with Ledger(url) as ledger:
        seen = f"{ledger!r} {vars(ledger)} {vars(ledger._database.engine)}"

    assert codes == [0, 0]
    said = capsys.readouterr()
    assert "locked@" in said.out
    assert PASSWORD not in said.out + said.err + seen
    assert [path for path in home.rglob("*") if path.is_file() and PASSWORD.encode() in path.read_bytes()] == []


def test_a_wrong_password_is_said_and_not_shown(postgresql: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's refusal names the user; neither it nor its traceback shows what was tried."""
    url = postgresql.locked(postgresql.url(), "another")
    monkeypatch.setenv("PGPASSWORD", PASSWORD)

    with pytest.raises(StorageFailed, match="password authentication failed for user") as refused:
        Ledger(url)

    shown = traceback.TracebackException.from_exception(refused.value, capture_locals=True)
    assert PASSWORD not in "".join(shown.format())
