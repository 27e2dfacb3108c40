r"""Which part of a text is the answer, where a model thinks aloud before it.

Models write their reasoning between marks: `<think>…</think>`, `[THINK]…[/THINK]`, `◁think▷…◁/think▷`, and their kin.
Some never write the opening mark, since it stands in the prompt: all up to a closing mark is reasoning then. What is
opened and never closed is reasoning to the end, since the model was cut off before it answered. Where the answer itself
has marks around it (`<answer>…</answer>`), it is what stands between them.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_SURE = r"think|thinking|thoughts?|reasoning|seed:think"
"""Names of marks that begin reasoning even where they are never closed."""
_CLOSED = rf"{_SURE}|reason|reflection|analysis|scratchpad|rationale"
_MARK = re.compile(
    rf"""
      (?P<close> </(?:{_CLOSED})\s*> | \[/THINK\] | ◁/think▷ | <\|/(?:think|thinking)\|> | <\|end_of_thought\|>
        | <\|END_THINKING\|> | <channel\|> | <\|channel\|>final<\|message\|> )
    | (?P<sure> <(?:{_SURE})(?:\s[^<>]{{0,200}})?> | \[THINK\] | ◁think▷ | <\|(?:think|thinking)\|>
        | <\|begin_of_thought\|> | <\|START_THINKING\|> | <\|channel>thought\b | <\|channel\|>analysis<\|message\|> )
    | (?P<open> <(?:{_CLOSED})(?:\s[^<>]{{0,200}})?> )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_ANSWER = re.compile(
    r"<(?P<name>answer|final_answer|conclusion)>(?P<said>.*?)(?:</(?P=name)>|\Z)"
    r"|<\|begin_of_box\|>(?P<boxed>.*?)(?:<\|end_of_box\|>|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_MARKS = ("<", "[", "◁")


class Span(NamedTuple):
    """A part of a text, from start to before end."""

    start: int
    end: int


def answer_spans(text: str) -> list[Span]:
    """Return the parts of a text that are the answer, in order; the whole of one without reasoning."""
    if not any(mark in text for mark in _MARKS):
        return [Span(0, len(text))]
    kept = _between(_reasoning(text), len(text))
    named = [_within(found) for span in kept for found in _ANSWER.finditer(text, *span)]
    return named[-1:] or kept


def _within(found: re.Match[str]) -> Span:
    return Span(*found.span("boxed" if found["said"] is None else "said"))


def _reasoning(text: str) -> list[Span]:
    """Return the parts of a text that are reasoning, in order and apart from each other."""
    spans: list[Span] = []
    opened: re.Match[str] | None = None
    for mark in _MARK.finditer(text):
        if mark["close"] is None:
            opened = opened or mark
        elif opened is None:
            spans = [Span(0, mark.end())]  # never opened here: all before it is reasoning
        else:
            spans.append(Span(opened.start(), mark.end()))
            opened = None
    if opened is not None and opened["sure"] is not None:
        spans.append(Span(opened.start(), len(text)))
    return spans


def _between(spans: list[Span], length: int) -> list[Span]:
    """Return what is left of a text of this length without these parts."""
    starts = [0, *(span.end for span in spans)]
    ends = [*(span.start for span in spans), length]
    return [Span(start, end) for start, end in zip(starts, ends, strict=True) if start < end]
