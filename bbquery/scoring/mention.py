"""Whether a text mentions the target: the plainest score of free text, 1 or 0."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery.errors import UsageError
from bbquery.types import Answer, Classes, Decision, Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.oracle import Capabilities
    from bbquery.scoring.base import BoundScore


@dataclass(frozen=True)
class Mention:
    """1 where the text has the target as whole words, whatever their case, and 0 elsewhere; higher is better.

    The criterion is met where it is mentioned. "No information" is 0.
    """

    def check(self, capabilities: Capabilities, targets: Sequence[str]) -> None:
        """See, before anything is sent, that the answers are texts and a target is named.

        Raises:
            UsageError: they are not, or none is.
        """
        if capabilities.answers != "text":
            raise UsageError(f"{capabilities.name} answers {capabilities.answers}; the score 'mention' needs text")
        if not targets:
            raise UsageError("a text has no top class: say with --target which word is to be explained")

    def bind(self, clean: Answer, target: str | None, classes: Classes | None) -> BoundScore:  # noqa: ARG002 - as every score
        """Fix the target word or words.

        Raises:
            UsageError: no target is named.
        """
        if target is None:
            raise UsageError("a text has no top class: name a target")
        return BoundMention(target)


@dataclass(frozen=True)
class BoundMention:
    """`Mention` of `target`."""

    target: str
    unit: str = "mentioned"

    def __call__(self, answer: Answer) -> tuple[Decision, float]:
        """Return whether the text mentions the target."""
        if not isinstance(answer, Text):
            raise UsageError(f"the score 'mention' needs text; this oracle answered {answer}")
        words = r"\s+".join(map(re.escape, self.target.split()))
        found = re.search(rf"(?<!\w){words}(?!\w)", answer.text, re.IGNORECASE) is not None
        return (Decision.MET if found else Decision.NOT_MET), float(found)


SCORE = Mention
