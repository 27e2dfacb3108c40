"""The address of a server, as an option: checked before anything is sent, and never shown where it may hold a key."""

from __future__ import annotations

from urllib.request import getproxies, proxy_bypass

from bbquery.errors import MissingExtra, UsageError
from oracles._shared.loopback import is_loopback

try:
    from yarl import URL  # as aiohttp will read it, so that no other reading of the same text slips through
except ImportError as error:
    raise MissingExtra("http", "asking a model over HTTP", "aiohttp") from error

AZURE_OPENAI = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")


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


def is_azure(url: str) -> bool:
    """Whether a checked URL is of Azure."""
    return _host(url).endswith(".azure.com")


def azure_base(url: str) -> str | None:
    """Return where the API of the resource of Azure OpenAI at a checked URL begins; None where it is of no such one."""
    parts = URL(url)
    if not _host(url).endswith(AZURE_OPENAI):
        return None
    known = parts.path.strip("/").split("/")[0] in ("", "openai")  # what else there is, speaks something else
    return str(parts.origin()) + "/openai/v1" if known else None


def _host(url: str) -> str:
    return (URL(url).host or "").lower()


def proxy_for(url: str) -> str | None:
    """Return the proxy that the environment names for a checked URL; None for this machine, and where it names none.

    The variables are HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, in either case.

    Raises:
        UsageError: it cannot be used; it is not shown, since it may hold a password.
    """
    parts = URL(url)
    if names_this_machine(url) or proxy_bypass(parts.host or ""):
        return None
    found = getproxies()
    proxy = found.get(parts.scheme) or found.get("all")
    if not proxy:
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if proxy.partition("://")[0].lower() not in ("http", "https"):
        raise UsageError(
            f"the proxy that the environment names for {parts.host} is neither http:// nor https:// (not shown: it may "
            f"hold a password): name such a one, or put {parts.host} into NO_PROXY"
        )
    return proxy


def names_this_machine(url: str) -> bool:
    """Whether a checked URL names this machine."""
    return is_loopback(URL(url).host or "")
