"""Keys of vendors, known by how they look: a plan is kept and shown to others, so none may stand in it."""

from __future__ import annotations

import re

KEY = re.compile(
    r"""\b(?:sk|rk|pk)-[A-Za-z0-9_-]{16,}     # OpenAI, Anthropic, OpenRouter
    |\bAIza[A-Za-z0-9_-]{30,}                  # Google
    |\b(?:AKIA|ASIA)[A-Z0-9]{16}\b             # Amazon
    |\b(?:hf|gh[opsu]|r8|nvapi|xai|gsk)[_-][A-Za-z0-9]{20,}
    |\bey[A-Za-z0-9_-]{10,}\.ey[A-Za-z0-9_-]{10,}\.    # a token of JSON
    |\b(?:Bearer|Basic)\s+[A-Za-z0-9+/=._-]{16,}
    |-----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY
    |://[^/\s:@]+:[^/\s:@]+@                   # a password in an address""",
    re.VERBOSE,
)
NAME = re.compile(r"(?:^|_)(?:key|token|secret|password|credentials?|authorization)$", re.IGNORECASE)
NO_KEYS = "a plan holds no keys, since it is kept and shown: put the key into an environment variable, and name that"


def looks_like_key(text: str) -> bool:
    """Whether a text holds what looks like a key, or a password in an address."""
    return KEY.search(text) is not None


def names_key(name: str) -> bool:
    """Whether a key of a table is called as one that holds a secret."""
    return NAME.search(name) is not None
