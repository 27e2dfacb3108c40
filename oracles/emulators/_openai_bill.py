"""The OpenAI emulator's own bill, kept as answers are given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from oracles.emulators._openai_refusals import QUOTA, TooFast

if TYPE_CHECKING:
    from oracles.emulators._faults import Kind
    from oracles.emulators._openai_reply import Outcome
    from oracles.emulators._openai_request import Refused

LOST: dict[Kind, str] = {
    "timeout": "timeouts",
    "dropped": "dropped",
    "truncated": "truncated",
    "junk": "junk",
    "drip": "dripped",
}
"""Where it is counted what goes wrong with an answer."""


@dataclass
class Bill:
    """What happened at the server.

    requests: to answer. images_answered: in answered requests. tokens: billed, of which prompt_tokens (cached_tokens of
    them read from a cache) and completion_tokens. picodollars: the bill. rate_limited: requests answered 429 for their
    rate. quota: answered 429 for the account's. server_errors: answered 5xx. timeouts, dropped, truncated, junk,
    dripped: by fault. refused, filtered: answered so. rejected: answered any other 4xx.

    batches: made. batch_lines: in them, of which repeated_lines have a custom_id that was submitted before.
    batch_answers: lines that were charged, of which repeated_answers have a custom_id that was charged before. A line
    that is worked on is one of the requests.
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
    batches: int = 0
    batch_lines: int = 0
    repeated_lines: int = 0
    batch_answers: int = 0
    repeated_answers: int = 0

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

    def turn_away(self, refused: Refused) -> None:
        """Count a request that was answered with an error."""
        if isinstance(refused, TooFast):
            self.rate_limited += 1
        elif refused.kind == QUOTA:
            self.quota += 1
        elif refused.status >= 500:
            self.server_errors += 1
        else:
            self.rejected += 1

    def lose(self, kind: Kind) -> None:
        """Count what goes wrong with an answer, if anything does."""
        if kind in LOST:
            setattr(self, LOST[kind], getattr(self, LOST[kind]) + 1)
