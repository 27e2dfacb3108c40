"""Money in integers, and what queries cost: a dated, sourced table that a user's own file overrides.

Amounts are integer picodollars (10**12 to the dollar): a price of $0.15 for a million tokens is exactly 150,000 of
them a token, sums never drift, and 64 bits hold 9.2 million dollars. Rounding, where a share of a price is taken, is
always up: what may be spent is never understated. A price that nobody stated is refused, never taken to be zero.

Nothing is computed in binary floats, where 0.1 is not a tenth. Amounts come as text, as decimals, or as floats, each of
which stands for the shortest decimal that Python writes for it: 0.1 is "0.1".
"""

from __future__ import annotations

import functools
import importlib.resources
import json
import re
import tomllib
from dataclasses import dataclass
from decimal import ROUND_CEILING, Context, Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from bbquery.errors import UnknownPrice, UsageError
from bbquery.system import home
from bbquery.system.user_file import parsed_toml

PICODOLLARS = 10**12  # in a dollar
MILLION = 10**6
LARGEST = 9 * MILLION  # dollars
USER_FILE = "prices.toml"  # in bbquery's data folder

_PICODOLLAR = Decimal(1).scaleb(-12)
_UP = Context(prec=50, rounding=ROUND_CEILING)  # of its own, so that no program's decimal settings matter
_SNAPSHOT = re.compile(r"(.+)-20\d\d-\d\d-\d\d")
_NO_SHARES = frozenset({"input", "cached_input", "cache_write", "output", "thousand", "source", "date"})


def picodollars(usd: str | float | Decimal) -> int:
    """Return an amount of dollars in picodollars, rounded up.

    Raises:
        UsageError: not an amount, negative, or more than 9 million dollars, which a ledger cannot hold.
    """
    try:
        amount = Decimal(usd if isinstance(usd, str | Decimal) else str(usd))
    except InvalidOperation:
        raise UsageError(f"{usd!r} is not an amount of dollars: write it as 12.50") from None
    if not amount.is_finite() or not 0 <= amount <= LARGEST:
        raise UsageError(f"{usd} dollars cannot be budgeted: give an amount from 0 to 9 million")
    return int(amount.quantize(_PICODOLLAR, context=_UP).scaleb(12, context=_UP))


def dollars(amount: int) -> str:
    """Return picodollars as exact dollars, at least two decimals: "0.0021"."""
    whole, rest = divmod(abs(amount), PICODOLLARS)
    return f"{'-' if amount < 0 else ''}{whole}.{f'{rest:012d}'.rstrip('0'):0<2}"


def dollars_up(amount: int) -> str:
    """Return picodollars as dollars, rounded up to cents, or below a cent to two digits: "0.38", "0.0021"."""
    digits = 10 if amount >= PICODOLLARS // 100 else max(len(str(amount)) - 2, 0)
    unit = int(10**digits)
    return dollars(-(-amount // unit) * unit)


def in_unit(amount: int, unit: str) -> str:
    """Return an amount of "queries", "tokens" or "picodollars" for people, who think in dollars: "$0.0021"."""
    return f"${dollars(amount)}" if unit == "picodollars" else f"{amount} {unit}"


@dataclass(frozen=True, kw_only=True)
class TokenPrice:
    """What a token costs, in picodollars: input, input read from a cache, input written to one, and output.

    source and date: where and when it was read.
    """

    input: int
    cached_input: int
    cache_write: int
    output: int
    source: str
    date: str


@dataclass(frozen=True, kw_only=True)
class QueryPrice:
    """What a query costs, in picodollars. source and date: where and when it was read."""

    query: int
    source: str
    date: str


def token_price(vendor: str, model: str, tier: str = "default") -> TokenPrice:
    """Return a model's price at a service tier, from the user's file or else the package's table.

    A dated snapshot ("gpt-4o-2024-08-06") has the price of its family unless it is listed itself.

    Raises:
        UnknownPrice: nobody stated it; says how to. UsageError: it is stated wrongly; says where.
    """
    entry = _entry(vendor, model) or _entry(vendor, undated(model))
    if entry is None:
        lines = ('input = "0.15"', 'output = "0.60"')
        raise UnknownPrice(vendor, model, _advice(vendor, model, "dollars a million tokens", *lines))
    share = entry.share(tier) if tier != "default" else Decimal(1)
    per_token = {
        "input": entry.amount("input"),
        "cached_input": entry.amount("cached_input", "input"),
        "cache_write": _UP.multiply(entry.amount("cache_write", "input"), entry.times_for_cache_write),
        "output": entry.amount("output"),
    }
    prices = {kind: _per_million(_UP.multiply(amount, share)) for kind, amount in per_token.items()}
    return TokenPrice(**prices, source=entry.source, date=entry.date)


def token_prices(vendor: str) -> dict[str, TokenPrice]:
    """Return the prices of all models of a vendor that are listed, by name.

    Raises:
        UsageError: one is stated wrongly; says where.
    """
    listed = {**_packages_table().get(vendor, {}), **_users_table().get(vendor, {})}
    return {name: token_price(vendor, name) for name in sorted(listed)}


def query_price(vendor: str, feature: str) -> QueryPrice:
    """Return a feature's price a query, from the user's file or else the package's table.

    A dated snapshot has the price of its family, as in `token_price`.

    Raises:
        UnknownPrice: nobody stated it; says how to. UsageError: it is stated wrongly; says where.
    """
    entry = _entry(vendor, feature) or _entry(vendor, undated(feature))
    if entry is None:
        lines = ('thousand = "1.50"',)
        raise UnknownPrice(vendor, feature, _advice(vendor, feature, "dollars a thousand queries", *lines))
    per_query = picodollars(entry.amount("thousand").scaleb(-3, context=_UP))
    return QueryPrice(query=per_query, source=entry.source, date=entry.date)


def user_file() -> Path:
    """Return where the user's own prices are, whether or not they exist."""
    return home.data_dir() / USER_FILE


def undated(model: str) -> str:
    """Return the model that `model` is a dated snapshot of ("gpt-4o" for "gpt-4o-2024-08-06"), or itself."""
    snapshot = _SNAPSHOT.fullmatch(model)
    return snapshot[1] if snapshot else model


@dataclass(frozen=True)
class _Entry:
    """One row of a price table. file: where it stands, for messages."""

    file: str
    vendor: str
    name: str
    row: dict[str, Any]

    @property
    def source(self) -> str:
        return str(self.row.get("source", "your file"))

    @property
    def date(self) -> str:
        return str(self.row.get("date", ""))

    @property
    def times_for_cache_write(self) -> Decimal:
        """What a cache write costs of the price that `amount` finds for it: 1.25 inputs, where nobody says better."""
        return Decimal(1) if "cache_write" in self.row else Decimal("1.25")

    def amount(self, kind: str, instead: str | None = None) -> Decimal:
        """Return a price as stated, or that of `instead` where it is not."""
        named = kind if kind in self.row or instead is None else instead
        return self._decimal(named, "an amount of dollars from 0 to 9 million")

    def share(self, tier: str) -> Decimal:
        """Return what share of the price is paid at a service tier."""
        if tier in _NO_SHARES or tier not in self.row:
            stated = (f'{kind} = "{value}"' for kind, value in self.row.items() if kind not in ("source", "date"))
            unit = f"dollars a million tokens, and the share of them that is paid at {tier}"
            advice = _advice(self.vendor, self.name, unit, *stated, f'{tier} = "0.5"')
            raise UnknownPrice(self.vendor, f"{self.name} at the service tier {tier}", advice)
        return self._decimal(tier, "a share, such as 0.5")

    def _decimal(self, kind: str, expected: str) -> Decimal:
        stated = self.row.get(kind)
        try:
            found = Decimal(str(stated))
        except InvalidOperation:
            found = Decimal("NaN")
        if not found.is_finite() or not 0 <= found <= LARGEST:
            said = "is missing" if stated is None else f"is {stated!s:.80}"
            raise UsageError(
                f"{self.file}: in {_heading(self.vendor, self.name)}, {kind} {said}; it must be {expected}"
            )
        return found


def _per_million(amount: Decimal) -> int:
    return picodollars(amount.scaleb(-6, context=_UP))


def _advice(vendor: str, name: str, unit: str, *lines: str) -> str:
    return "\n  ".join((f"put it into {user_file()}, as {unit}:", _heading(vendor, name), *lines))


def _heading(vendor: str, name: str) -> str:
    """Return the line above an entry; names are in quotes, since many have a dot."""
    bare = re.fullmatch(r"[A-Za-z0-9_-]+", vendor)
    return f"[{vendor if bare else json.dumps(vendor)}.{json.dumps(name)}]"


def _entry(vendor: str, name: str) -> _Entry | None:
    """Return the entry of the user's file, or else of the package's table: an entry is taken whole, never mixed."""
    for file, table in ((str(user_file()), _users_table()), ("the package's prices.toml", _packages_table())):
        row = table.get(vendor, {}).get(name)
        if row is not None:
            return _Entry(file, vendor, name, row)
    return None


@functools.cache
def _packages_table() -> dict[str, Any]:
    text = (importlib.resources.files("bbquery") / "prices.toml").read_text(encoding="utf-8")
    return tomllib.loads(text, parse_float=Decimal)


def _users_table() -> dict[str, Any]:
    path = user_file()
    if not path.exists():
        return {}
    table = parsed_toml(path, "your prices", Decimal)
    for vendor, entries in table.items():
        _check_entries(path, vendor, entries)
    return table


def _check_entries(path: Path, vendor: str, entries: Any) -> None:
    """See that a vendor's part is a table of entries, each of plain values."""
    if not isinstance(entries, dict):
        raise UsageError(f"{path}: {vendor!r} is no vendor with entries: write them as {_heading(vendor, 'NAME')}")
    for name, row in entries.items():
        if not isinstance(row, dict):
            raise UsageError(
                f"{path}: {vendor}.{name} is no entry: write {_heading(vendor, name)} and its prices below it"
            )
        for key, value in row.items():
            if isinstance(value, dict):
                raise UsageError(
                    f"{path}: put the name in quotes, as it has a dot: {_heading(vendor, f'{name}.{key}')}"
                )
