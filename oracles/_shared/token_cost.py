"""Tokens and what they cost: as a vendor counts them, at the prices of a table or at a user's own."""

from __future__ import annotations

from dataclasses import dataclass, field

from bbquery import money
from bbquery.errors import UsageError
from bbquery.money import TokenPrice
from bbquery.units import Units

STATED = "stated by the options input_usd and output_usd"
MOST_TOKENS = 10**9  # of one request: a count above it is a mistake of the server


@dataclass(frozen=True)
class TokenCounts:
    """Tokens. cached and written: of the input, read from a cache and written to one; they do not overlap."""

    input: int
    output: int
    cached: int = 0
    written: int = 0


@dataclass(eq=False)
class Prices:
    """A model's prices by service tier, in tables of prices under `vendor`; looked up once each.

    stated: the user's own, which hold at every tier; None for the table's.
    """

    vendor: str
    model: str
    stated: TokenPrice | None
    _found: dict[str, TokenPrice] = field(default_factory=dict)

    def at(self, tier: str) -> TokenPrice:
        """Return the prices at a service tier.

        Raises:
            UnknownPrice: nobody stated them.
        """
        if self.stated is not None:
            return self.stated
        if tier not in self._found:
            self._found[tier] = money.token_price(self.vendor, self.model, tier)
        return self._found[tier]


def stated(input_usd: str | float | None, output_usd: str | float | None) -> TokenPrice | None:
    """Return prices stated in dollars a million tokens, None where none are; 0 is a price.

    Input read from a cache counts as input; input written to one as 1.25 times that, the most that is charged.

    Raises:
        UsageError: one is given without the other, or is no amount.
    """
    if input_usd is None and output_usd is None:
        return None
    if input_usd is None or output_usd is None:
        raise UsageError("give both input_usd and output_usd, in dollars a million tokens, or neither")
    plain, output = _a_token(input_usd), _a_token(output_usd)
    return TokenPrice(
        input=plain, cached_input=plain, cache_write=-(-plain * 5 // 4), output=output, source=STATED, date=""
    )


def _a_token(usd: str | float) -> int:
    return -(-money.picodollars(str(usd)) // money.MILLION)


def bill(usage: TokenCounts, price: TokenPrice) -> Units:
    """Return what was used, in tokens and money.

    Input is of three kinds that do not overlap: read from a cache, written to one, and neither. Image tokens are
    already within the input, and reasoning within the output.
    """
    spent = (
        (usage.input - usage.cached - usage.written) * price.input
        + usage.cached * price.cached_input
        + usage.written * price.cache_write
        + usage.output * price.output
    )
    return Units(queries=1, tokens=usage.input + usage.output, picodollars=spent)


def most(input_tokens: int, output_tokens: int, price: TokenPrice) -> Units:
    """Return what this many tokens cost at most: all input may be of the dearest kind."""
    dearest = max(price.input, price.cached_input, price.cache_write)
    spent = input_tokens * dearest + output_tokens * price.output
    return Units(queries=1, tokens=input_tokens + output_tokens, picodollars=spent)


def likely(input_tokens: int, output_tokens: int, price: TokenPrice) -> Units:
    """Return what this many tokens likely cost: perturbed images are never in a cache."""
    spent = input_tokens * price.input + output_tokens * price.output
    return Units(queries=1, tokens=input_tokens + output_tokens, picodollars=spent)
