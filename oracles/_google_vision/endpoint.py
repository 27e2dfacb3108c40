"""Endpoint of the service: Google's own hosts, which get credentials, or an emulator on this machine, without.

It needs nothing of Google's library, and so also holds what must be known before that is imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from bbquery.errors import UsageError
from oracles._shared.loopback import is_loopback

HOST = "vision.googleapis.com"
DOMAIN = ".googleapis.com"
LARGEST_BATCH = 16  # images in a call; the service refuses more, and the client does not look


@dataclass(frozen=True)
class ServiceHost:
    """A host, with its port where it is this machine. local: whether it is, so that it is asked without credentials."""

    host: str
    local: bool


def checked_endpoint(text: str | None) -> ServiceHost:
    """Return the endpoint that a user names; None is Google's own.

    Raises:
        UsageError: it is neither a host of Google's nor 127.0.0.1, [::1] or localhost with a port.
    """
    if text is None:
        return ServiceHost(HOST, local=False)
    try:
        parts = urlsplit(text if "://" in text else f"//{text}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _unusable() from None
    if parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise _unusable()
    if is_loopback(host):
        return _on_this_machine(parts.scheme, host, port)
    return _at_google(parts.scheme, host, port)


def _on_this_machine(scheme: str, host: str, port: int | None) -> ServiceHost:
    if port is None or scheme not in ("", "http"):
        raise UsageError(f"an endpoint on this machine is http and has a port: write {host}:8000")
    address = "127.0.0.1" if host == "localhost" else host
    return ServiceHost(f"[{address}]:{port}" if ":" in address else f"{address}:{port}", local=True)


def _at_google(scheme: str, host: str, port: int | None) -> ServiceHost:
    if scheme not in ("", "https"):
        raise UsageError(f"{host} is not on this machine, and credentials never travel unencrypted: leave out {scheme}")
    if not host.endswith(DOMAIN) or port not in (None, 443):
        raise _unusable()
    return ServiceHost(host, local=False)


def _unusable() -> UsageError:
    return UsageError(
        f"endpoint must be a host of Google's, such as eu-vision{DOMAIN}, since credentials go nowhere else, "
        "or an emulator on this machine, such as 127.0.0.1:8000"
    )
