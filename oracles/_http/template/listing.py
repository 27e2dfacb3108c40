"""A template that comes with bbquery, for people: what it asks, its key, its options and its prices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bbquery import money
from oracles._http.headers import Headers
from oracles._http.template import shipped
from oracles._http.template.options import read_declared
from oracles._http.template.table import Table
from oracles._http.url import names_this_machine

if TYPE_CHECKING:
    from collections.abc import Mapping


def described(name: str) -> list[str]:
    """Return lines that say what the template of this name is.

    Raises:
        UnknownName: there is none.
    """
    content = shipped.content(name)
    keys = Headers(content["request"].get("headers", {})).variables
    return [
        content["about"],
        f"url: {content.get('url', 'must be given')}",
        f"key: {', '.join(keys) or 'none'}",
        f"options: {', '.join(_options(content))}",
        _prices(content),
    ]


def _options(content: Mapping[str, Any]) -> list[str]:
    declared = read_declared(Table(content))
    return [_option(name, declared.option(name, None)) for name in declared.options] or ["none of its own"]


def _option(name: str, option: Any) -> str:
    default = "must be given" if option.needed else option.default
    facts = [*([] if default is None else [str(default)]), *([" | ".join(option.values)] if option.values else [])]
    return f"{name} ({'; '.join(facts)})" if facts else name


def _prices(content: Mapping[str, Any]) -> str:
    if "cost" not in content:
        free = names_this_machine(content.get("url", "https://elsewhere"))
        return f"price: {'none on this machine' if free else 'must be stated, as usd_per_query'}"
    prices = money.token_prices(content["cost"]["vendor"])
    listed = [f"{name} {_usd(price.input)}/{_usd(price.output)}" for name, price in prices.items()]
    return f"prices, dollars a million tokens sent/answered: {', '.join(listed)}"


def _usd(picodollars: int) -> str:
    return money.dollars(picodollars * money.MILLION)
