"""Words with which models retract, doubt or refuse; `tests/scoring/phrasings.json` holds answers with them."""

from __future__ import annotations

import re


def any_of(*alternatives: str) -> str:
    """Return the pattern of any of these patterns."""
    return f"(?:{'|'.join(alternatives)})"


def whole(*alternatives: str) -> re.Pattern[str]:
    """Return any of these patterns as whole words, whatever their case."""
    return re.compile(rf"\b{any_of(*alternatives)}(?!\w)", re.IGNORECASE)


CANNOT = r"(?:can(?:not|'t| not)|could(?: not|n't)|unable to|not able to|not possible to|am not going to)(?: \w+ly)?"
TELL = any_of(
    "tell", "determine", "say", "make out", "identify", "discern", "recogni[sz]e", "distinguish", "know", "classify",
)  # fmt: skip
PICTURE = r"(?:(?:any|the|this|that|your|an?) )?(?:(?:attached|input|uploaded) )?(?:images?|pictures?|photos?|anything)"
LOOK = any_of("see", "view", "process", "access", "open", "analy[sz]e", "provide", "interpret", "look at")
SERVE = any_of(
    "help", "assist", "comply", r"fulfil\w*", "proceed", "respond", "answer", "continue", "engage", "discuss",
    "do that", "do this",
)  # fmt: skip

IDIOMS = whole(
    "not only", "not just", "not merely", "not surprisingly", "not to mention", "no doubt", "no question",
    r"without (?:a |any )?doubt", "no,",
)  # fmt: skip
"""What looks like a negation and is none."""

NEGATION = whole(
    "not", "no", "non", "never", "neither", "nor", "without", "rather than", "instead of", "other than",
    "as opposed to", "unlike", r"rul(?:es?|ed|ing) out", r"exclud(?:es?|ed|ing)", "lacks?", "absence of", "can't be",
    r"\w+n't",
)  # fmt: skip

DOUBT = whole(
    r"(?:not|\w+n't)(?: \w+)? (?:sure|certain|clear|know)", "unsure", "uncertain", "unclear", "unknown",
    "undetermined", r"unidentif\w+", r"unrecogni[sz]able", "indeterminate", f"{CANNOT} {TELL}",
    rf"(?:hard|difficult|impossible) to(?: \w+ly)? {TELL}", r"too \w+ (?:to|for)", "no idea", "whether",
)  # fmt: skip

REFUSAL = whole(
    "sorry", r"apologi[sz]e", "apologies", r"as an? (?:AI|language model|text)", "decline",
    f"(?:won't|will not) (?:{SERVE}|classify|identify)", f"{CANNOT} {SERVE}", rf"{CANNOT} {LOOK} {PICTURE}",
    rf"{CANNOT} (?:provide|give) (?:an?|any|the|you) \w+", rf"(?:do not|don't) see {PICTURE}",
    r"no (?:image|picture|photo) (?:was|is|has been)", r"against (?:my|our|the) \w+", r"(?:not|\w+n't) allowed",
    "please (?:upload|provide|share)",
)  # fmt: skip
