"""The OpenAI emulator's own bill, kept as answers are given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oracles.emulators._openai_reply import Outcome


@dataclass
class Bill:
    """What happened at the server.

    requests: to answer. images_answered: in answered requests. tokens: billed, of which prompt_tokens (cached_tokens of
    them read from a cache) and completion_tokens. picodollars: the bill. rate_limited: requests told 429 for their
    rate. quota: told 429 for the account's. server_errors: told 5xx. timeouts, dropped, truncated, junk, dripped: by
    fault. refused, filtered: answered so. rejected: told any other 4xx.
    """

    requests: int = 0
    images_answered: int = 0
    tokens: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    picodollars: int = 0
    rate_limited: int = 0
    quota: int = 0
    server_errors: int = 0
    timeouts: int = 0
    dropped: int = 0
    truncated: int = 0
    junk: int = 0
    dripped: int = 0
    refused: int = 0
    filtered: int = 0
    rejected: int = 0

    def add(self, outcome: Outcome) -> None:
        """Count an answer that was given."""
        self.images_answered += len(outcome.asked.images)
        self.prompt_tokens += outcome.usage.prompt
        self.cached_tokens += outcome.usage.cached
        self.completion_tokens += outcome.usage.output
        self.tokens += outcome.usage.prompt + outcome.usage.output
        self.picodollars += outcome.usage.picodollars
        self.refused += outcome.ending == "refusal"
        self.filtered += outcome.ending == "content_filter"
