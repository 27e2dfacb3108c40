"""Conversational text around an answer: where the answer stands, and which words retract a class.

Theory of operation. A text is cut into *regions*, the most telling first: JSON, what follows "Answer:", what follows
"belongs to", what follows "most likely", and the whole. The first region that names a class decides. Within a region,
*triggers* take back what stands after them in the same piece, up to a comma or the end of the clause: negation ("not a
dog") and doubt ("hard to say whether it is a dog"). A refusal takes back its whole piece. A text whose every name was
taken back failed, by the name of what took it back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from bbquery.scoring._json_answer import said_in_json
from bbquery.scoring._wording import DOUBT, IDIOMS, NEGATION, REFUSAL, any_of

Failure: TypeAlias = Literal["refusal", "unclear", "several classes", "no class"]
"""Why no class was read: the model declined, said that it cannot tell, named several, or named none."""


@dataclass(frozen=True)
class Reading:
    """A text, read.

    name: the class as its set writes it, or a noun phrase; None if it failed. index: of the class in its set. failure:
    why there is none. where: the region that decided, for people.
    """

    name: str | None = None
    index: int | None = None
    failure: Failure | None = None
    where: str = "the whole text"


APOSTROPHES = str.maketrans(dict.fromkeys("’ʼ＇`´", "'"))
CLAUSE = re.compile(r"\n+|[.;!?…。！？；]+(?=\s|$|[^\w])|,?\s*\b(?:but|however|although|though|yet)\b", re.IGNORECASE)
PIECE = re.compile(r",(?!\s*(?:[\w-]+\s+){1,3}n?or\b)|[–—]|\s-\s|[，、]")
"""Commas and dashes, but not those of a list that ends in "or": "no dog, cat or bird" is denied as one."""
ANSWERS = any_of(
    "answer", "class", "category", "label", "prediction", "classification", "verdict", "object", "subject", "item",
    "animal", "species", "result", "output", "guess",
)  # fmt: skip
ANSWER = re.compile(
    rf"(?:^|[\n.!?;,*]|\b(?:final|the|my))\s*\**\s*{ANSWERS}\**\s*(?:is\b\s*:?|[:=：])[\s*]*([^\n]*)", re.IGNORECASE
)
BELONGS = re.compile(r"\bbelongs?\s+to\s*:?\s*([^\n]*)", re.IGNORECASE)
GUESSES = any_of(
    "most likely", "most probably", "likeliest", "probably", "best guess(?: is)?", "my guess(?: is)?",
    "I(?:'d| would) (?:say|guess|go with)",
)  # fmt: skip
GUESS = re.compile(rf"\b{GUESSES}\b:?\s*([^\n]*)", re.IGNORECASE)


def regions(text: str) -> Iterator[tuple[str, str]]:
    """Yield the regions of a text that may hold the answer, the most telling first, each with its name for people."""
    named = said_in_json(text)
    text = text.translate(APOSTROPHES)
    if named:
        yield "JSON", ", ".join(name.translate(APOSTROPHES) for name in named)
    for name, pattern in (("the answer line", ANSWER), ("what it belongs to", BELONGS), ("the best guess", GUESS)):
        found = [match[1] for match in pattern.finditer(text) if re.search(r"\w", match[1])]
        if found:
            yield name, found[-1] if pattern is ANSWER else _first_clause(found[-1])
    yield "the whole text", text


def _first_clause(text: str) -> str:
    return next((clause for clause in CLAUSE.split(text) if re.search(r"\w", clause)), "")


def pieces(text: str) -> Iterator[tuple[int, int, int]]:
    """Yield the pieces of a text, between commas and the ends of clauses: number of the clause, start, end."""
    start = 0
    for clause, end, after in _clauses(text):
        for cut in PIECE.finditer(text, start, end):
            yield clause, start, cut.start()
            start = cut.end()
        yield clause, start, end
        start = after


def _clauses(text: str) -> Iterator[tuple[int, int, int]]:
    """Yield the clauses of a text: number, end, and where the next one starts."""
    ends = [found.span() for found in CLAUSE.finditer(text)]
    for clause, (end, after) in enumerate([*ends, (len(text), len(text))]):
        yield clause, end, after


def kept(text: str, start: int, end: int, protected: tuple[tuple[int, int], ...] = ()) -> int:
    """Return up to where of a piece names count: `start` if none does.

    protected: spans of names, within which a trigger is none ("no parking sign").
    """
    if any(REFUSAL.finditer(text, start, end)):
        return start
    idioms = [found.span() for found in IDIOMS.finditer(text, start, end)]
    triggers = [found.span() for pattern in (NEGATION, DOUBT) for found in pattern.finditer(text, start, end)]
    live = (first for first, last in triggers if not _within(first, last, (*idioms, *protected)))
    return min(live, default=end)


def _within(first: int, last: int, spans: tuple[tuple[int, int], ...]) -> bool:
    return any(start < last and first < end for start, end in spans)


def why_none(text: str) -> Failure:
    """Return how a text failed that names no class."""
    text = text.translate(APOSTROPHES)
    if REFUSAL.search(text):
        return "refusal"
    return "unclear" if DOUBT.search(text) else "no class"
