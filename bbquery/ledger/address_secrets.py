"""Passwords in addresses of ledgers: refused, and never repeated."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote

from bbquery.errors import UsageError

SECRETS = ("password", "sslpassword")
NO_SECRETS = (
    "the address of a ledger must not hold a password, which process lists and shells' histories show: put it into the"
    " environment variable PGPASSWORD, or into ~/.pgpass (HOST:PORT:DATABASE:USER:PASSWORD, chmod 600), and change it"
    " if others could have seen it"
)


def check_no_secret(url: str) -> None:
    """Check that an address holds no password, nor what might be one.

    Raises:
        UsageError: it does; says where passwords belong, and does not repeat it.
    """
    beyond = url.partition("://")[2]
    before_host, has_user, _ = beyond.partition("/")[0].partition("?")[0].rpartition("@")
    names = {name.lower() for name in parse_qs(url.partition("?")[2], keep_blank_values=True)}
    if (has_user and ":" in unquote(before_host)) or not names.isdisjoint(SECRETS):
        raise UsageError(NO_SECRETS)
