"""A ledger's server on another machine must prove who it is: real handshakes with a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.importorskip("psycopg", reason="PostgreSQL's driver is not installed (the extra 'postgresql')")

from bbquery.errors import StorageFailed
from bbquery.ledger.ledger import Ledger
from tests.support.postgresql import USER, started
from tests.support.tls_helpers import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.postgresql import Server

pytestmark = pytest.mark.slow
PASSWORD = "hunter2-of-the-tests"
SPEAKS = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
HOST = "db.example.org"  # another machine's name, which leads here without being looked up: hostaddr


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = started()
    yield server
    server.close()


@pytest.fixture
def without_tls(server: Server) -> str:
    """The end of an address of a server that speaks no TLS."""
    return f"{server.listens('ssl = off')}/postgres?hostaddr=127.0.0.1"


@pytest.fixture
def with_tls(server: Server, authority: Authority) -> str:
    """The end of an address of a server that shows a certificate of HOST."""
    server.shows(authority.shown(HOST))
    return f"{server.listens('ssl = on')}/postgres?hostaddr=127.0.0.1"


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep certificates of the person who runs the tests out of them."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PGPASSWORD", PASSWORD)


def _refused(address: str) -> str:
    """Return why an address is refused."""
    with pytest.raises(StorageFailed) as refused:
        Ledger(address)
    return str(refused.value)


def test_a_server_without_tls_is_refused_unless_a_person_says_so(without_tls: str) -> None:
    """No password goes to it in the clear; the message says how to switch TLS on, and how to do without."""
    said = _refused(f"postgresql://{USER}@{HOST}:{without_tls}")
    with Ledger(f"postgresql://{USER}@{HOST}:{without_tls}&sslmode=disable") as ledger:
        name = ledger.name

    assert "server does not support SSL" in said
    assert "set ssl = on there, or say ?sslmode=disable" in said
    assert name.startswith(f"postgresql://{USER}@{HOST}:")
    assert PASSWORD not in said


def test_a_server_of_an_unknown_authority_is_refused_and_of_a_named_one_is_taken(
    with_tls: str, authority: Authority
) -> None:
    """A self-made certificate works once its authority is named, and the message says how to."""
    said = _refused(f"postgresql://{USER}@{HOST}:{with_tls}")
    absent = _refused(f"postgresql://{USER}@{HOST}:{with_tls}&sslrootcert=/nowhere.pem")
    with Ledger(f"postgresql://{USER}@{HOST}:{with_tls}&sslrootcert={authority.certificate}") as ledger:
        speaks = ledger.read(lambda c: c.execute(SPEAKS).fetchone())

    assert said.endswith("give the authority's with ?sslrootcert=FILE in the address")
    assert '"/nowhere.pem" does not exist' in absent
    assert absent.endswith("with ?sslrootcert=FILE in the address")
    assert speaks == (True,)
    assert PASSWORD not in said + absent


def test_a_server_with_another_s_certificate_is_refused(with_tls: str, authority: Authority) -> None:
    """A machine that shows a certificate of another name may be anybody's."""
    said = _refused(f"postgresql://{USER}@other.example.org:{with_tls}&sslrootcert={authority.certificate}")

    assert 'does not match host name "other.example.org"' in said
    assert said.endswith("name the server in the address as its certificate does")
