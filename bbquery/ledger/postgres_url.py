"""Addresses of ledgers on PostgreSQL: postgresql://USER@HOST:PORT/DATABASE, with libpq's parameters after a ?.

1. A password has no place in an address, which process lists, shells and records show: it is refused, and never
   repeated. libpq finds it in PGPASSWORD, in the file that PGPASSFILE names, or in ~/.pgpass.
2. A server on another machine is spoken to over TLS that proves who it is, unless the address or PGSSLMODE says
   otherwise.
3. `schema=NAME` is ours: the schema of the ledger's tables, so that a database may hold several.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode

import psycopg
from psycopg import conninfo, pq

from bbquery.errors import UsageError
from bbquery.ledger.address_secrets import NO_SECRETS, SECRETS

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_SCHEMA = "bbquery"
LIBPQ_WITH_SYSTEM_ROOTS = 160_000
OWN_ROOTS = "~/.postgresql/root.crt"
ADVICE = {
    "server does not support SSL": (
        "a server on another machine must speak TLS: set ssl = on there, or say ?sslmode=disable in the address if"
        " nobody else is on the network between"
    ),
    "certificate verify failed": (
        "its certificate has expired, or is of no authority that this machine knows: give the authority's with"
        " ?sslrootcert=FILE in the address"
    ),
    "does not match host name": "name the server in the address as its certificate does",
    "root certificate file": "give the authority's certificate with ?sslrootcert=FILE in the address",
}
"""What to do about a refusal of TLS, by a part of libpq's message."""
HERE = re.compile(r"|[/@].*|localhost|127\.[0-9.]+|::1")


@dataclass(frozen=True)
class Address:
    """An address. parameters: libpq's, without secrets. name: the address as people may see it."""

    parameters: Mapping[str, str]
    schema: str
    name: str


def read(url: str, environment: Mapping[str, str] = os.environ) -> Address:
    """Return what an address says, with TLS where it leads to another machine.

    Raises:
        UsageError: it cannot be read, or holds a password. The message never repeats one.
    """
    plain, schema = _without_schema(url)
    try:
        said = {name: str(value) for name, value in conninfo.conninfo_to_dict(plain).items() if value is not None}
    except (psycopg.Error, UnicodeError):  # whose message may repeat what it cannot read
        raise UsageError(
            "the address of a ledger cannot be read: write postgresql://USER@HOST:PORT/DATABASE, and %40 for an @ in"
            " a name"
        ) from None
    if any(secret in said for secret in SECRETS):
        raise UsageError(NO_SECRETS)
    return Address(said | _tls(said, environment), schema, _name(said, schema))


def advised(message: str) -> str:
    """Return libpq's message, with what to do where it is one of TLS."""
    return "; ".join((message, *(advice for part, advice in ADVICE.items() if part in message)))


def _without_schema(url: str) -> tuple[str, str]:
    start, _, query = url.partition("?")
    values = parse_qs(query, keep_blank_values=True)
    schema = values.pop("schema", [DEFAULT_SCHEMA])[-1]
    if not re.fullmatch("[a-z_][a-z0-9_]{0,62}", schema):
        raise UsageError("the schema of a ledger is a name of small letters, digits and _ that begins with no digit")
    return start + ("?" + urlencode(values, doseq=True) if values else ""), schema


def _tls(said: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters of TLS that an address to another machine lacks."""
    if _is_here(said, environment) or "sslmode" in said or environment.get("PGSSLMODE"):
        return {}
    rooted = "sslrootcert" in said or environment.get("PGSSLROOTCERT") or Path(OWN_ROOTS).expanduser().exists()
    roots = {} if rooted or pq.version() < LIBPQ_WITH_SYSTEM_ROOTS else {"sslrootcert": "system"}
    return {"sslmode": "verify-full", **roots}


def _is_here(said: Mapping[str, str], environment: Mapping[str, str]) -> bool:
    """Whether all hosts are this machine; a service's file is not read, and may name any."""
    if "service" in said or environment.get("PGSERVICE"):
        return False
    hosts = said.get("host") or environment.get("PGHOST", "")
    addresses = said.get("hostaddr") or environment.get("PGHOSTADDR", "")
    return all(HERE.fullmatch(each) for each in (*hosts.split(","), *addresses.split(",")))


def _name(said: Mapping[str, str], schema: str) -> str:
    user = f"{said['user']}@" if "user" in said else ""
    port = f":{said['port']}" if "port" in said else ""
    host = said.get("host", "")
    at_path = "" if not host.startswith("/") else f"?host={host}"
    inside = "" if schema == DEFAULT_SCHEMA else f"{'&' if at_path else '?'}schema={schema}"
    return f"postgresql://{user}{'' if at_path else host}{port}/{said.get('dbname', '')}{at_path}{inside}"
