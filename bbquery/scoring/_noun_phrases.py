"""Noun phrases of a text, all of them, for a map of each; `_noun_phrase` reads the one that a text answers with.

No grammar is needed for that, as a phrase is only kept where the text has it word for word: a text is cut at the words
that stand between nouns (prepositions, conjunctions, verbs) and at punctuation, and determiners and the like are taken
off. What is denied ("no dog") or doubted is left out. Of a phrase without a determiner its last word must not look like
an adverb or a verb.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bbquery.scoring._chatter import kept, pieces
from bbquery.scoring._noun_phrase import (
    JOIN,
    LEADS,
    LONGEST,
    MANNER,
    NOTHING,
    TWO_HUES,
    phrase_of,
    without_markup,
)
from bbquery.scoring._wording import any_of

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACES = any_of(
    "in", "on", "at", "with", "without", "near", "next to", "close to", "besides?", "behind", "under", "underneath",
    "over", "above", "below", "beneath", "against", "from", "by", "for", "to", "towards?", "into", "onto", "inside",
    "outside", "along", "across", "through", "among", "amongst", "amid", "between", "around", "such as", "including",
    "that", "which", "who", "whose", "while", "when", "where", "because", "since", "as", "if", "than",
)  # fmt: skip
VERBS = any_of(
    "(?:is|are|was|were|do|does|did|has|have|had|can|could|may|might|must|should|will|would)(?:n't)?", "been", "also",
    "not", "(?:most )?(?:likely|probably)", "seems?", "appears?", "looks?", "sits?", "stands?", "lies", "lays?",
    "rests?", "sleeps?", "walks?", "runs?", "eats?", "holds?", "wears?", "hangs?", "flies", "swims?", "perched",
    "parked", "placed", "surrounded", "covered", "filled", "seen", "taken", "shown", "visible", "carrying", "chasing",
    "climbing", "drinking", "driving", "eating", "facing", "flying", "grazing", "hanging", "holding", "jumping",
    "leaning", "looking", "lying", "laying", "making", "playing", "pulling", "reading", "resting", "riding", "running",
    "showing", "sitting", "sleeping", "standing", "swimming", "talking", "using", "walking", "watching", "wearing",
)  # fmt: skip
CUT = re.compile(rf":|(?<![\w-])(?:{LEADS}|{VERBS}|{PLACES})(?![\w-])", re.IGNORECASE)
DETERMINER = re.compile(
    r"\s*(?:an?|the|some|several|many|few|one|two|three|four|five|six|seven|eight|nine|ten|\d+|this|these|those|my|your|"
    r"its|his|her|their|another|both)\s",
    re.IGNORECASE,
)
BEGINS_ANEW = re.compile(rf"{DETERMINER.pattern}|\s*(?:and|or)\b|{CUT.pattern}", re.IGNORECASE)
NO_THING = frozenset({
    "scene", "background", "foreground", "left", "right", "front", "back", "top", "bottom", "side", "middle", "center",
    "centre", "one", "ones", "he", "she", "they", "them", "him", "her", "we", "you", "me", "us", "there", "here",
    "very", "too", "then", "together", "all", "each", "some", "view", "close-up", "image", "photo", "picture",
    "photograph",
})  # fmt: skip
"""Words at the end of what is no thing that a photo shows."""


def noun_phrases(text: str) -> list[str]:
    """Return the noun phrases of a text in lower case, each once, in order; none where there are none."""
    bare = without_markup(text)
    parts = [(clause, bare[start : kept(bare, start, end)]) for clause, start, end in pieces(bare)]
    found: dict[str, None] = {}
    for (clause, part), (after, following) in zip(parts, [*parts[1:], (-1, "")], strict=True):
        if clause != after or not _is_adjective(part, following):
            found |= dict.fromkeys(_of_piece(part))
    return list(found)


def _is_adjective(part: str, following: str) -> bool:
    """Whether a part ends in a determiner and one word and goes on after its comma: "a large, fluffy cat"."""
    *_, last = CUT.split(part)
    alone = DETERMINER.match(last) is not None and len(last.split()) == 2
    return alone and len(following.split()) > 1 and not BEGINS_ANEW.match(following)


def _of_piece(piece: str) -> Iterator[str]:
    for chunk in CUT.split(TWO_HUES.sub("\\1\0\\2", piece)):
        for part in JOIN.split(f" {chunk} "):
            phrase = phrase_of(part).replace("\0", " and ")
            words = phrase.split()
            if not words or len(words) > LONGEST or phrase in NOTHING or words[-1] in NO_THING:
                continue
            if any(map(str.isalpha, phrase)) and (DETERMINER.match(part) or not MANNER.search(words[-1])):
                yield phrase
