"""Texts that hold no answer: cut off before their first word, or empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbquery.types import NoAnswer
from oracles._shared.texts import shortened

if TYPE_CHECKING:
    from bbquery.types import Text


def spoken_or_none(said: Text, *, ended: object, is_cut_off: bool) -> Text | NoAnswer:
    """Return a text, or what it comes to where nothing is said in it but reasoning.

    ended: why it ended, as the vendor says it. is_cut_off: whether that is the cap of its output; a text that is cut
    off later is still a text, since its beginning was answered and paid.
    """
    if said.spoken.text.strip():
        return said
    if is_cut_off:
        where = "within the model's reasoning" if said.is_reasoning else "before any text"
        return NoAnswer(f"the output cap was reached {where}: raise max_tokens", "truncated")
    held = "reasoning alone" if said.is_reasoning else "no text"
    return NoAnswer(f"the answer holds {held} (it ended with {shortened(str(ended), 40)!r})", "empty")
