"""Reader of the noun phrase with which a text answers, where any class may be named."""

from __future__ import annotations

import re
from itertools import groupby
from operator import itemgetter

from bbquery.scoring._chatter import Reading, kept, pieces, regions, why_none
from bbquery.scoring._wording import any_of

LONGEST = 6  # words of a phrase: longer ones are sentences that were not understood
BULLETS = re.compile(r"(?:^|\n)\s*(?:[-*•]|\d+[.)])\s+")
MARKUP = re.compile(r"```\w*|</?\w+[^<>]*>|\\\w+|[*_#>|~`\[\]{}()\"“”„‟«»‹›「」『』《》【】😀-🙏🌀-🗿🚀-🛿🤀-🧿]")
SINGLE_QUOTES = re.compile(r"(?<!\w)['‘‚]|['’](?!\w)")
DECLARE = any_of(r"classif\w+", r"identif\w+", "describe[ds]?", "label(?:ed|led)?", "recogni[sz]ed?")
LEADS = any_of(
    "(?:it|this|that|there|here|what|he|she)'s", "is", "are", "was", "be", "being", "shows?", "depicts?", "displays?",
    "features?", "contains?", "portrays?", "captures?", "represents?", "looks? like", "appears? like", "resembles?",
    "see", "seeing", "looking at", "notice", "belongs? to", "called", "named", "think", "guess", "believe", "say",
    rf"{DECLARE}(?: (?:this|it|that|the \w+))? as",
)  # fmt: skip
LEAD = re.compile(rf"\b{LEADS}(?!\w)[\s:,]*", re.IGNORECASE)
"""What stands between the talk and the phrase."""
OF_WHAT = any_of(
    "photos?", "photographs?", "pictures?", "images?", "close-?ups?", "views?", "shots?", "illustrations?",
    "drawings?", "paintings?", "categor(?:y|ies)", "class(?:es)?", "types?", "kinds?", "breeds?", "species",
    "variet(?:y|ies)", "examples?", "members?", "labels?", "groups?", "pairs?", "couples?", "bunch(?:es)?", "flocks?",
    "herds?", "packs?", "lots?", "piles?", "rows?",
)  # fmt: skip
OPENINGS = any_of(
    "I(?:'m| am)?", "an?", "the", "some", "several", "many", "few", "one", "two", "three", "four", "five", "six",
    "seven", "eight", "nine", "ten", r"\d+", "this", "that", "these", "those", "my", "your", "its", "his", "her",
    "their", "another", "any", "either", "both", "there", "it", "also", "likely", "most likely", "probably",
    "possibly", "maybe", "perhaps", "definitely", "clearly", "certainly", "actually", "just", "simply", "indeed",
    "sure", "yes", "well", "so", "or", "and", "of", "to", "be", rf"{OF_WHAT}\s+of", "category", "class", "label",
    "named", "called",
)  # fmt: skip
OPENING = re.compile(rf"{OPENINGS}(?![\w-])[\s:,]*", re.IGNORECASE)
"""What stands before the noun: determiners, numbers, adverbs, and what it is a photo or a group of."""
RELATIVE = re.compile(
    r"\b(?:which|who|whose|while|because|since|where|that(?!\s+(?:it|this|the|there|these|those)\b))\b", re.IGNORECASE
)
"""Where a clause within begins: a verb after it says nothing of what is shown."""
TAILS = any_of(
    "in", "on", "at", "with", "near", "next", "besides?", "behind", "under", "over", "above", "below", "against",
    "from", "by", "for", "to", "into", "onto", "inside", "outside", "along", "across", "through", "among", "amid",
    "between", "around", "that", "which", "who", "whose", "while", "when", "where", "because", "since", "as", "is",
    "are", "was", "has", "have", "sitting", "standing", "lying", "laying", "sleeping", "resting", "running",
    "walking", "looking", "eating", "grazing", "holding", "wearing", "perched", "parked", "placed", "surrounded",
    "covered", "filled", "seen", "taken", "shown", "visible",
    r"\w+ing\s+(?:in|on|at|with|an?|the|through|over|by|its|his|her|their|down|up)",
)  # fmt: skip
TAIL = re.compile(rf"\s+{TAILS}(?!\w).*", re.IGNORECASE | re.DOTALL)
"""What stands after it: where it is, what it does."""
END = re.compile(r"\s+(?:category|class|family|breed|species|image|photo|picture)$", re.IGNORECASE)
JOIN = re.compile(r"\s+(?:and|or|vs\.?|versus|plus)\s+|\s*[/&+]\s*", re.IGNORECASE)
HUE = r"(?:black|white|red|green|blue|brown|gr[ea]y|yellow|orange|pink|purple|tan|golden|silver|cream)"
TWO_HUES = re.compile(rf"\b({HUE})\s+and\s+({HUE})(?=\s+\w)", re.IGNORECASE)
LAST_OF_LIST = re.compile(r"\s*(?:and|or)\b", re.IGNORECASE)
MANNER = re.compile(r"\w(?:ly|ed|ing)\b", re.IGNORECASE)  # "an umbrella, partially closed"
NOTHING = frozenset({
    "none", "nothing", "other", "others", "n/a", "na", "null", "none above", "answer", "mask", "object", "it", "thing",
    "something", "anything", "i", "what", "image", "photo", "picture", "yes", "no",
})  # fmt: skip
"""Phrases that name no class."""
STRAY = " \t\r\n.,;:!?…-–—'’=\\"


def read_phrase(text: str) -> Reading:
    """Return the noun phrase of a text in lower case, or how it failed. A phrase that was read reads as itself."""
    reading = _read_once(text)
    while reading.name is not None:
        inner = _read_once(reading.name)
        if inner.name == reading.name:
            return reading
        reading = Reading(inner.name, failure=inner.failure, where=reading.where)
    return reading


def _read_once(text: str) -> Reading:
    for where, region in regions(text):
        phrases = _phrases(without_markup(region))
        if len(phrases) > 1:
            return Reading(failure="several classes", where=where)
        if phrases and len(phrases[0].split()) > LONGEST:
            return Reading(failure="unclear", where=where)
        if phrases:
            return Reading(phrases[0], where=where)
    return Reading(failure=why_none(text))


def without_markup(text: str) -> str:
    return MARKUP.sub(" ", SINGLE_QUOTES.sub(" ", BULLETS.sub(", ", text)))


def _phrases(text: str) -> list[str]:
    """Return the phrases of the first clause that has one: several if it lists several."""
    for _, clause in groupby(pieces(text), key=itemgetter(0)):
        parts = [text[start : kept(text, start, end)] for _, start, end in clause]
        found = _of_clause(parts)
        if found:
            return [
                phrase for phrase in found if not any(phrase != other and contains(other, phrase) for other in found)
            ]
    return []


def _of_clause(parts: list[str]) -> list[str]:
    """Return the phrases of the first part that has one, and of the list that it begins, each once."""
    found: list[str] = []
    for i, part in enumerate(parts):
        if found and not any(map(LAST_OF_LIST.match, parts[i:])) and not _is_noun(part):
            break
        found += [phrase for phrase in _of_piece(part) if phrase not in found]
    return found


def _is_noun(part: str) -> bool:
    """Whether a part after a comma goes on with a list, rather than saying more about what came first."""
    bare = part.strip()
    return len(bare.split()) <= 3 and not (OPENING.match(bare) or _is_place(bare) or MANNER.search(bare))


def _is_place(part: str) -> bool:
    return TAIL.match(f" {part.strip()}") is not None


def _of_piece(piece: str) -> list[str]:
    if _is_place(piece):
        return []
    said = TAIL.sub("", piece[_after_talk(piece) :])
    parts = JOIN.split(TWO_HUES.sub("\\1\0\\2", f" {said}"))
    named = (phrase_of(part.replace("\0", " and ")) for part in parts)
    return [phrase for phrase in named if phrase not in NOTHING and any(map(str.isalpha, phrase))]


def _after_talk(piece: str) -> int:
    """Return where the noun begins: after the last verb that leads to it, and after determiners and the like."""
    clause_within = RELATIVE.search(piece)
    last = clause_within.start() if clause_within else len(piece)
    leads = [found.end() for found in LEAD.finditer(piece) if found.start() < last]
    return _stripped(piece, leads[-1] if leads else 0)


def _stripped(piece: str, at: int) -> int:
    at = _spaces(piece, at)
    while found := LEAD.match(piece, at) or OPENING.match(piece, at):
        at = _spaces(piece, found.end())
    return at


def _spaces(piece: str, at: int) -> int:
    return len(piece) - len(piece[at:].lstrip(STRAY))


def phrase_of(part: str) -> str:
    """Return a part of a piece as a phrase in lower case; empty if nothing is left of it."""
    part = part.strip(STRAY)
    part = END.sub("", part[_stripped(part, 0) :]).strip(STRAY)
    return " ".join(part.casefold().split())


def contains(phrase: str, other: str) -> bool:
    """Whether a phrase has another within, word by word."""
    return f" {other} " in f" {phrase} "
