"""Cost of a query, before and after: its tokens at the prices of a service tier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery.oracle import Quote
from oracles._openai import tokens
from oracles._shared.token_cost import bill, likely, most

if TYPE_CHECKING:
    from bbquery.units import Units
    from oracles._openai.models import ModelRules
    from oracles._openai.request import ImageRequest
    from oracles._shared.token_cost import Prices, TokenCounts

VENDOR, AZURE = "openai", "azure"
"""In tables of prices."""


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
