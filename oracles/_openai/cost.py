"""Cost of a query, before and after: its tokens at the prices of a service tier."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bbquery import money
from bbquery.errors import UsageError
from bbquery.money import TokenPrice
from bbquery.oracle import Quote
from bbquery.units import Units
from oracles._openai import tokens

if TYPE_CHECKING:
    from oracles._openai.models import ModelRules
    from oracles._openai.reply import TokenCounts
    from oracles._openai.request import ImageRequest

VENDOR = "openai"
STATED = "stated by the options input_usd and output_usd"


@dataclass(eq=False)
class Prices:
    """A model's prices by service tier; looked up once each.

    stated: the user's own, which hold at every tier; None for the table's.
    """

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
            self._found[tier] = money.token_price(VENDOR, self.model, tier)
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


@dataclass(frozen=True)
class Cost:
    """What a query costs. rule: how the model counts an image; None where `image_tokens` states the most it takes.

    output: likely tokens of an answer.
    """

    request: ImageRequest
    rule: ModelRules | None
    image_tokens: int
    output: int
    prices: Prices

    def quote(self, height: int, width: int, tier: str) -> Quote:
        """Return what one query may cost at a service tier.

        Raises:
            UnknownPrice: nobody stated the price at that tier.
        """
        request, price = self.request, self.prices.at(tier)
        most_image = likely_image = self.image_tokens
        if self.rule is not None and request.detail is not None:
            most_image = tokens.most_image(self.rule, height, width, request.detail)
            likely_image = tokens.likely_image(self.rule, height, width, request.detail)
        return Quote(
            worst=most(most_image + tokens.most_text(request.prompt), request.max_tokens, price),
            expected=likely(likely_image + tokens.likely_text(request.prompt), self.output, price),
        )

    def bill(self, used: TokenCounts | None, tier: str | None) -> Units | None:
        """Return what was used, at the tier that served it; None where the server does not say.

        Raises:
            UnknownPrice: nobody stated the price at that tier.
        """
        if used is None:
            return None
        return bill(used, self.prices.at(self.request.price_tier if tier in (None, "auto") else tier))
