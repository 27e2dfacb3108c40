"""What a query costs, before and after: its tokens at the prices of a service tier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery.oracle import Quote
from oracles._openai import prices, tokens

if TYPE_CHECKING:
    from bbquery.units import Units
    from oracles._openai.models import Model
    from oracles._openai.prices import Prices
    from oracles._openai.question import Question
    from oracles._openai.reply import Usage


@dataclass(frozen=True)
class Cost:
    """What a query costs. rule: how the model counts an image; None where `image_tokens` states the most it takes.

    output: likely tokens of an answer.
    """

    question: Question
    rule: Model | None
    image_tokens: int
    output: int
    prices: Prices

    def quote(self, height: int, width: int, tier: str) -> Quote:
        """Return what one query may cost at a service tier.

        Raises:
            UnknownPrice: nobody stated the price at that tier.
        """
        question, price = self.question, self.prices.at(tier)
        most = likely = self.image_tokens
        if self.rule is not None and question.detail is not None:
            most = tokens.most_image(self.rule, height, width, question.detail)
            likely = tokens.likely_image(self.rule, height, width, question.detail)
        return Quote(
            worst=prices.most(most + tokens.most_text(question.prompt), question.max_tokens, price),
            expected=prices.likely(likely + tokens.likely_text(question.prompt), self.output, price),
        )

    def bill(self, used: Usage | None, tier: str | None) -> Units | None:
        """Return what was used, at the tier that served it; None where the server does not say.

        Raises:
            UnknownPrice: nobody stated the price at that tier.
        """
        if used is None:
            return None
        return prices.bill(used, self.prices.at(self.question.price_tier if tier in (None, "auto") else tier))
