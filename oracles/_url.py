"""The address of a server, as an option: checked before anything is sent, and never shown where it may hold a key."""

from __future__ import annotations

import ipaddress

from bbquery.errors import MissingExtra, UsageError

try:
    from yarl import URL  # as aiohttp will read it, so that no other reading of the same text slips through
except ImportError as error:
    raise MissingExtra("http", "asking a model over HTTP", "aiohttp") from error


def checked_url(url: str) -> str:
    """Return `url` without trailing slashes.

    Raises:
        UsageError: it is not http or https, is not a URL, or has a place for a key (user, query, fragment).
    """
    shown = "(not shown: it may hold a key)" if set(url) & set("@?#") else repr(url)
    try:
        parts = URL(url)
        (parts.raw_host or "").encode("idna")  # as the resolver will
    except ValueError:
        raise UsageError(f"url {shown} is not a URL: give one such as https://host:port/path") from None
    if parts.user is not None or parts.password is not None:
        raise UsageError("the url holds a user name or password: put the key in an environment variable, see key_env")
    if parts.scheme not in ("http", "https") or not parts.raw_host or any(map(str.isspace, url)):
        raise UsageError(f"url {shown} must be http://... or https://...")
    if "?" in url or "#" in url:
        raise UsageError("the url must end with its path, without '?' or '#': a key goes through key_env")
    return url.rstrip("/")


def is_loopback(url: str) -> bool:
    """Whether a checked URL names this machine."""
    host = URL(url).host or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
