"""Mention: 1 where a text mentions the target, else 0. The default for free text."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bbquery.errors import UsageError
from bbquery.scoring.base import About
from bbquery.types import Answer, Classes, Text, composed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bbquery.oracle import Capabilities
    from bbquery.scoring.base import BoundScore


@dataclass(frozen=True, kw_only=True)
class Mention:
    """1 where the text has the target as whole words, whatever their case, and 0 elsewhere; higher is nearer.

    It reads no sense: "this is not a cat" mentions a cat. The criterion is met where the target is mentioned; "no
    information" is 0.
    """

    def check(self, capabilities: Capabilities, targets: Sequence[str]) -> None:
        """Check, before anything is sent, that the answers are texts and a target is named.

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

    @property
    def about(self) -> About:
        """Meaning of a value."""
        return About(
            unit="mentioned",
            direction="higher",
            low=0.0,
            high=1.0,
            criterion=f"the text mentions {self.target!r}",
            no_information=0.0,
        )

    def __call__(self, answers: Sequence[Answer]) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
        """Return whether each text mentions the target, as a decision and as 1 or 0."""
        found = np.array([self._found(answer) is not None for answer in answers], dtype=bool)
        return found.astype(np.int8), found.astype(np.float64)  # the codes of MET and NOT_MET are 1 and 0

    def unread(self, answers: Sequence[Answer]) -> Counter[str]:  # noqa: ARG002 - as every score
        """Return nothing: there is no text that it cannot read."""
        return Counter()

    def steps(self, answer: Answer) -> list[str]:
        """Return what is looked for, and where it is found."""
        found = self._found(answer)
        where = "it is nowhere" if found is None else f"it is there as {found[0]!r}, at character {found.start() + 1}"
        return [f"look for {self.target!r} as whole words, whatever their case", where]

    def _found(self, answer: Answer) -> re.Match[str] | None:
        if not isinstance(answer, Text):
            raise UsageError(f"the score 'mention' needs text; this oracle answered {answer}")
        return self._pattern.search(composed(answer.spoken.text))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        words = r"\s+".join(map(re.escape, composed(self.target).split()))
        return re.compile(rf"(?<!\w){words}(?!\w)", re.IGNORECASE)


SCORE = Mention
