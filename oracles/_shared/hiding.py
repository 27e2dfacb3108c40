r"""Secrets taken out of texts from outside, however they are written there.

A server that repeats a key in its answer may write it as it pleases: JSON escapes (`\/`, `\u003d`, and those of JSON
within JSON), percent-encoding, HTML references, hexadecimal, or base64 of something that has it within, as Basic
authentication sends it. All of these are found in the raw body, before anything of it is read, stored or shown.
"""

from __future__ import annotations

import base64
import binascii
import functools
import html.entities
import json
import re
from collections.abc import Callable, Iterable, Iterator

HIDDEN = "***"
SHORTEST = 8  # characters of a secret that is looked for in answers: shorter ones are found in too much else
LONGEST = 300  # characters of a secret of which each letter is looked for in every form; of longer ones signs alone are
ESCAPES = 8  # backslashes before an escaped character: JSON within JSON within JSON has 7

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}={0,2}")
_BACKSLASHES = r"(?:\\(?:u005c|u\{0{0,8}5c\}|x5c|134)?|%(?:25){0,3}5c|&(?:amp;){0,3}(?:#92|#x5c|bsol);?){1,64}"
_BESIDE = re.compile(r"[A-Za-z0-9+/_-]{0,4}={0,2}")
"""Letters of base64 beside those of a secret, which hold some of its bits."""


def hide(text: str, secrets: Iterable[str]) -> str:
    """Return a text without these secrets; those that are short are found only as they are."""
    for secret in secrets:
        if secret:
            text = _hider(secret).hide(text) if len(secret) >= SHORTEST else text.replace(secret, HIDDEN)
    return text


def hide_in_body(body: bytes, secrets: Iterable[str]) -> bytes:
    """Return the body of an answer without these secrets; short ones are left, since too much else is like them."""
    for secret in secrets:
        if len(secret) >= SHORTEST:
            body = _hider(secret).hide_in_body(body)
    return body


class _Hider:
    """One secret in all its forms. A text without a trace of any, as nearly all are, is passed fast."""

    def __init__(self, secret: str) -> None:
        lines = [line for line in secret.splitlines() if len(line) >= SHORTEST]
        forms = list(dict.fromkeys([*lines, *_basic(secret)]))
        one_line = len(lines) == 1  # longer ones are private keys: they are not sent, least of all by Basic
        hexadecimal = [form.encode().hex() for form in forms]
        self._plain = [form.lower() for form in forms] + hexadecimal
        each = _character if one_line and len(secret) <= LONGEST else _letter
        written = [_written(form, each) for form in forms]
        self._written = re.compile("|".join([*written, *hexadecimal]), re.IGNORECASE)
        self._cores = list(dict.fromkeys(_cores(forms))) if one_line else []
        self._in_base64 = [re.compile(_written(core, _letter)) for core in self._cores]
        own = re.escape("".join(sorted({c for form in forms for c in form if not c.isalnum()})))
        # A class first, which is found fast; most texts have none of it but in a plain line break.
        self._escaped = re.compile(rf"[\\%&](?:(?<=\\)[uUx0-7{own}]|(?<=%)[0-9a-fA-F]|(?<=&)[#a-zA-Z])")

    def hide(self, text: str) -> str:
        low = text.lower()
        escaped = self._escaped.search(text) is not None
        if escaped or any(form in low for form in self._plain):
            text = self._written.sub(HIDDEN, text)
        if escaped or any(core in text for core in self._cores):
            for pattern in self._in_base64:
                text = _without_base64(text, pattern)
        return text

    def hide_in_body(self, body: bytes) -> bytes:
        if 0 in body[:4]:  # JSON may also be UTF-16 or UTF-32
            body = body.decode(json.detect_encoding(body), "replace").encode()
        text = body.decode("latin-1")  # each byte is a character, so that all others stay as they are
        hidden = self.hide(text)
        return body if hidden == text else hidden.encode("latin-1")


def _without_base64(text: str, pattern: re.Pattern[str]) -> str:
    """Return a text without what the pattern finds, nor the letters beside it."""
    kept, end = [], 0
    for found in pattern.finditer(text):
        before = _BESIDE.match(text[max(found.start() - 4, end) : found.start()][::-1])
        after = _BESIDE.match(text, found.end())
        kept.append(text[end : found.start() - (before.end() if before else 0)])
        end = after.end() if after else found.end()
    return HIDDEN.join([*kept, text[end:]]) if kept else text


_hider = functools.lru_cache(maxsize=64)(_Hider)


def _basic(secret: str) -> Iterator[str]:
    """Give what a secret holds that is base64 of a name and a password."""
    decoded = _decoded(secret)
    if decoded is not None:
        yield from (part for part in (decoded, *decoded.partition(":")[::2]) if len(part) >= SHORTEST)


def _decoded(secret: str) -> str | None:
    if not _BASE64.fullmatch(secret):
        return None
    try:
        text = base64.b64decode(secret, altchars=b"-_" if set(secret) & set("-_") else None).decode("ascii")
    except (binascii.Error, ValueError):
        return None
    return text if ":" in text and text.isprintable() and len(text) >= SHORTEST else None


def _cores(forms: Iterable[str]) -> Iterator[str]:
    """Give the letters that are sure to be in base64 of a text with a form in it, for the three places it may begin."""
    for form in forms:
        content = form.encode()
        for before in range(3):
            letters = base64.b64encode(bytes(before) + content).decode().rstrip("=")
            unsure = (before + len(content)) % 3 != 0
            core = letters[(0, 2, 3)[before] : len(letters) - unsure]
            if len(core) >= SHORTEST:
                yield core
                yield core.replace("+", "-").replace("/", "_")


def _written(text: str, character: Callable[[str], str]) -> str:
    """Return the pattern of a text whose characters are each written in any way; a run of backslashes is one."""
    return "".join(_BACKSLASHES if c == "\\" else character(c) for c in re.sub(r"\\+", r"\\", text))


def _letter(c: str) -> str:
    """Return the pattern of a character of base64 or of a long secret: only signs are ever escaped."""
    return c if c.isalnum() else _character(c)


@functools.lru_cache(maxsize=256)
def _character(c: str) -> str:
    code, digits = ord(c), f"{ord(c):x}"
    named = sorted({name.removesuffix(";") for name, of in html.entities.html5.items() if of == c})
    escaped = rf"\\{{1,{ESCAPES}}}"
    plain = re.escape(c) if c.isalnum() else rf"(?:{escaped})?{re.escape(c)}"
    reference = "|".join([rf"#0{{0,8}}{code}", rf"#x0{{0,8}}{digits}", *named])
    return (
        rf"(?:{plain}|{escaped}(?:u0{{0,4}}{digits}|u\{{0{{0,8}}{digits}\}}|x{digits:0>2}|{code:03o})"
        rf"|%(?:25){{0,3}}{digits:0>2}|&(?:amp;){{0,3}}(?:{reference});?)"
    )
