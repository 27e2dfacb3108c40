"""A secret is found however it is written, and what is not the secret stays."""

from __future__ import annotations

import base64
import html
import json
import string
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from oracles._shared.hiding import hide, hide_in_body

PRINTABLE = "".join(chr(code) for code in range(0x21, 0x7F))
keys = st.text(PRINTABLE, min_size=8, max_size=40)
around = st.text(f"{PRINTABLE} é漢\n", max_size=10)


def ways(c: str) -> list[str]:
    """Return ways to write a character."""
    code = ord(c)
    plain = [c] if c.isalnum() else [c, f"\\{c}", f"\\\\\\{c}"]
    return [
        *plain, f"\\u{code:04x}", f"\\u{code:04X}", f"\\\\u{code:04x}", f"\\u{{{code:x}}}", f"\\x{code:02X}",
        f"\\{code:03o}", f"%{code:02x}", f"%{code:02X}", f"%25{code:02X}", f"&#{code};", f"&#x{code:X};",
        f"&amp;#{code};", html.escape(c),
    ]  # fmt: skip


@settings(max_examples=50)
@given(key=keys, before=around, after=around, choices=st.lists(st.integers(0, 99), min_size=40, max_size=40))
def test_a_key_is_found_in_any_mixture_of_escapes(key: str, before: str, after: str, choices: list[int]) -> None:
    """JSON's, JavaScript's, HTML's and percent-encoding, once or twice over, a character at a time."""
    written = "".join(ways(c)[choice % len(ways(c))] for c, choice in zip(key, choices, strict=False))

    hidden = hide(f"{before} {written} {after}", [key])

    assert "***" in hidden
    assert written not in hidden
    assert key not in unquote(html.unescape(hidden))


@settings(max_examples=50)
@given(key=keys, before=around, after=around, ascii_only=st.booleans(), nested=st.booleans())
def test_json_with_a_key_stays_json_without_it(
    key: str, before: str, after: str, ascii_only: bool, nested: bool
) -> None:
    """Also where slashes are escaped and where JSON stands within JSON: all that is not the key is read as before."""
    # A quote's own escape makes the key of what lacks only its last backslash, in the body as it is sent.
    assume(not key.endswith("\\") or key.rstrip("\\") not in f"{before} {after}")
    text: Any = f"{before} {key} {after}"
    said = json.dumps(text).replace("/", "\\/") if nested else text
    body = json.dumps({"text": said, "n": 1}, ensure_ascii=ascii_only).replace("/", "\\/").encode()

    content = json.loads(hide_in_body(body, [key]))

    assert content["n"] == 1
    read = json.loads(content["text"]) if nested else content["text"]
    assert key not in read or key in f"{before} *** {after}"
    assert "***" in read


def test_a_backslash_of_a_key_is_found_in_braces() -> None:
    r"""JavaScript's `\u{5c}`, with any number of zeros."""
    assert hide("got 0000000000\\u{5c}0, 0000000000\\u{005C}0", ["0000000000\\0"]) == "got ***, ***"


@settings(max_examples=50)
@given(key=keys, before=st.binary(max_size=5), after=st.binary(max_size=5), safe=st.booleans())
def test_a_key_is_found_in_base64(key: str, before: bytes, after: bytes, safe: bool) -> None:
    """As Basic authentication sends it, wherever in it the key begins, in both alphabets."""
    encode = base64.urlsafe_b64encode if safe else base64.b64encode
    encoded = encode(before + key.encode() + after).decode()

    hidden = hide(f'"Basic {encoded}"', [key])

    if len(key) >= 9:  # fewer leave too few letters that are surely its own
        assert "***" in hidden
        assert encoded not in hidden


def test_what_basic_authentication_holds_is_hidden() -> None:
    """A variable with base64 of a name and a password holds both: a server may say them as they are."""
    sent = base64.b64encode(b"someone:a-pass-word").decode()

    assert hide("no such user: someone:a-pass-word", [sent]) == "no such user: ***"
    assert hide("wrong password a-pass-word", [sent]) == "wrong password ***"
    assert hide(f"Basic {quote(sent, safe='')}", [sent]) == "Basic ***"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-32", "utf-8-sig"])
def test_a_body_in_any_encoding_of_json_is_searched(encoding: str) -> None:
    """JSON may be UTF-16 or UTF-32, in which no byte follows another as in the key."""
    body = json.dumps({"text": "sk-marker-123 é"}, ensure_ascii=False).encode(encoding)

    assert json.loads(hide_in_body(body, ["sk-marker-123"])) == {"text": "*** é"}


def test_hexadecimal_and_another_case_are_found() -> None:
    """A server may print bytes, or fold what it was sent."""
    assert hide(f"got {b'sk-Marker-123'.hex()}", ["sk-Marker-123"]) == "got ***"
    assert hide("got SK-MARKER-123", ["sk-Marker-123"]) == "got ***"


@given(text=st.text(max_size=200))
def test_what_holds_no_secret_is_left_as_it_is(text: str) -> None:
    """To the byte."""
    assert hide(text, ["sk-marker-d41d8cd98f00b204"]) == text
    body = text.encode(errors="surrogatepass")
    if 0 not in body[:4]:
        assert hide_in_body(body, ["sk-marker-d41d8cd98f00b204"]) == body


def test_a_long_secret_is_hidden_line_by_line() -> None:
    """A private key has line breaks that messages do not keep."""
    key = "-----BEGIN-----\n" + "\n".join(string.ascii_letters[i : i + 40] for i in range(12)) + "\n"

    hidden = hide(json.dumps({"error": f"bad key {key}"}), [key])

    assert string.ascii_letters[:40] not in hidden
    assert string.ascii_letters[5:45] not in hidden


def test_hostile_bodies_take_no_time() -> None:
    """A megabyte of what might begin an escape is searched once, not once for each of its characters."""
    for piece in ("\\", "%25", "&amp;", "sk-marker-", "\\u00", "s"):
        body = piece.encode() * (2**20 // len(piece))
        assert hide_in_body(body, ["sk-marker-d41d8cd98f00b204"]) == body


def test_a_very_long_key_is_found_whole() -> None:
    """As web tokens are: not a character of it is left, with its signs escaped."""
    key = ".".join(string.ascii_letters * 10 + "-_=" for _ in range(3)) + "/end"

    assert hide(f"got {key}!", [key]) == "got ***!"
    assert hide(f"got {quote(key, safe='')}!", [key]) == "got ***!"
    assert json.loads(hide_in_body(json.dumps({"a": key}).replace("/", "\\/").encode(), [key])) == {"a": "***"}
