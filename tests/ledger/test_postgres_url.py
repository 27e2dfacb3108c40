"""Addresses of ledgers on PostgreSQL: no passwords, TLS to other machines, and what people see."""

from __future__ import annotations

import sys

import pytest

import bbquery.ledger
from bbquery.errors import MissingExtra, UsageError
from bbquery.ledger import places
from bbquery.ledger.ledger import Ledger

pytest.importorskip("psycopg", reason="PostgreSQL's driver is not installed (the extra 'postgresql')")

from bbquery.ledger import postgres_url

ELSEWHERE = "postgresql://me@db.example.org/audits"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hunter2@localhost/audits",
        "postgresql://me@localhost/audits?password=hunter2",
        "postgresql://me@db.example.org/audits?sslpassword=hunter2&sslmode=require",
        "postgres://me:hunter2%40@[::1]:5433/audits",
    ],
)
def test_a_password_is_refused_and_not_repeated(url: str) -> None:
    """Whoever types a password is told where it belongs, and no message shows it, nor what caused the message."""
    with pytest.raises(UsageError, match="PGPASSWORD") as refused:
        Ledger(url)

    assert "hunter2" not in f"{refused.value!r} {refused.value.__cause__!r}"


@pytest.mark.parametrize(
    "url", ["postgresql://me:hunter2@[::1/x", "postgresql://me:hunter2@h/d?nothing=1", "postgresql://%zz"]
)
def test_an_address_that_cannot_be_read_is_not_repeated(url: str) -> None:
    """The driver's own message names what it stumbled over, which may be a password: ours does not."""
    with pytest.raises(UsageError, match="cannot be read: write postgresql://USER@HOST") as refused:
        postgres_url.read(url, {})

    assert "hunter2" not in str(refused.value)
    assert refused.value.__suppress_context__


@pytest.mark.parametrize(
    ("url", "environment"),
    [
        (ELSEWHERE, {}),
        ("postgresql://me@10.0.0.7/audits", {}),
        ("postgresql://localhost,db.example.org/audits", {}),
        ("postgresql:///audits", {"PGHOST": "db.example.org"}),
        ("postgresql://localhost/audits?hostaddr=10.0.0.7", {}),
        ("postgresql:///?service=audits", {}),
    ],
)
def test_another_machine_must_prove_who_it_is(url: str, environment: dict[str, str]) -> None:
    """Over a network, TLS with a verified certificate is the default, however the host is named."""
    assert postgres_url.read(url, environment).parameters["sslmode"] == "verify-full"


@pytest.mark.parametrize(
    ("url", "environment"),
    [
        ("postgresql:///audits", {}),
        ("postgresql://localhost:5433/audits", {}),
        ("postgresql://127.0.0.1/audits", {}),
        ("postgresql://[::1]/audits", {}),
        ("postgresql:///audits?host=/var/run/postgresql", {}),
        (f"{ELSEWHERE}?sslmode=require", {}),
        (ELSEWHERE, {"PGSSLMODE": "require"}),
    ],
)
def test_this_machine_and_a_person_s_own_choice_stay_as_they_are(url: str, environment: dict[str, str]) -> None:
    """A server on this machine needs no certificate, and whoever states a mode gets it."""
    assert postgres_url.read(url, environment).parameters.get("sslmode") in (None, "require")


def test_a_name_says_where_and_nothing_secret() -> None:
    """What records and messages show is the address without its parameters, but for the schema."""
    url = "postgresql://me@db.example.org:5433/audits?sslmode=require&sslcert=/home/me/cert&schema=august"

    read = postgres_url.read(url, {})

    assert (read.name, read.schema) == ("postgresql://me@db.example.org:5433/audits?schema=august", "august")
    assert "schema" not in read.parameters


@pytest.mark.parametrize("schema", ["a b", "x;drop", "A", "1st", ""])
def test_a_schema_is_a_plain_name(schema: str) -> None:
    """What would need quoting is refused, so nothing is ever quoted wrongly."""
    with pytest.raises(UsageError, match="a name of small letters"):
        postgres_url.read(f"postgresql:///d?schema={schema}", {})


def test_other_addresses_are_no_ledgers() -> None:
    """An address of something else is told what a ledger is."""
    with pytest.raises(UsageError, match="mysql:// is neither"):
        places.opened("mysql://me@localhost/d")


def test_without_the_driver_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever lacks the driver is told what to install."""
    for module in [name for name in sys.modules if name.startswith("bbquery.ledger.postgres")]:
        monkeypatch.delitem(sys.modules, module)
        monkeypatch.delattr(bbquery.ledger, module.rpartition(".")[2], raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(MissingExtra, match=r"bbquery\[postgresql\]"):
        places.opened("postgresql:///d")


def test_the_environment_says_where_the_ledger_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """BBQUERY_LEDGER is the place of every ledger that is not named; a place that is named goes first."""
    monkeypatch.setenv("BBQUERY_LEDGER", "elsewhere.sqlite3")

    assert places.chosen() == "elsewhere.sqlite3"
    assert places.chosen("here.sqlite3") == "here.sqlite3"
