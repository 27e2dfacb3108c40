"""Address of an emulator: on this machine only."""

from __future__ import annotations

import urllib.parse

from bbquery.errors import UsageError
from oracles._shared.loopback import is_loopback


def loopback(host: str) -> str:
    """Return the loopback address that `host` names.

    Raises:
        UsageError: others could reach it.
    """
    if not is_loopback(host):
        raise UsageError(f"an emulator listens on this machine only: host must be 127.0.0.1 or ::1, not {host!r}")
    return "127.0.0.1" if host == "localhost" else host


def is_own_address(host: str) -> bool:
    """Whether a Host header, with or without a port, names this machine."""
    try:
        return is_loopback(urllib.parse.urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False


def checked_port(port: int) -> int:
    """Return `port`; 0 is any free one.

    Raises:
        UsageError: there is no such port.
    """
    if not 0 <= port <= 65535:
        raise UsageError(f"port must be 0 to 65535, not {port}")
    return port
