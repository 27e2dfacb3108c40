"""Lines of a file of answers: their fields, and whether they are sound.

JSON in ASCII. The first line says what the file is and how many lines follow; then come the oracles, then the answers
in the order of their keys:

    {"format": "bbquery answers", "version": 1, "bbquery": "0.1.0", "oracles": 1, "answers": 1000}
    {"fingerprint": "<32 hex digits>", "identity": {"oracle": "http", ...}}
    {"key": "<64 hex digits>", "oracle": "<fingerprint>", "image": "<digest, 64 hex digits>", "sample": 0,
     "answer": {...}, "served": null, "created": "2026-04-13T10:00:00.000+00:00"}

A fingerprint is a hash of its identity, and a key of fingerprint, image and sample, so that an altered question shows.
The answer itself is not hashed: whom to trust for it is for the reader to say, as with any publication.
"""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeVar

from bbquery.errors import encodable
from bbquery.ledger import codec
from bbquery.version import __version__

T = TypeVar("T")

FORMAT = "bbquery answers"
VERSION = 1
LARGEST_SAMPLE = 2**63 - 1


@dataclass(frozen=True)
class Header:
    """The first line. oracles, answers: how many lines follow."""

    oracles: int
    answers: int


@dataclass(frozen=True)
class OracleLine:
    """A line with an oracle. identity: canonical JSON, of which the fingerprint is the hash."""

    fingerprint: str
    identity: str


@dataclass(frozen=True)
class AnswerLine:
    """A line with an answer. answer: packed. served, created: the version that answered, and when."""

    key: bytes
    oracle: str
    image: bytes
    sample: int
    answer: bytes
    served: str | None
    created: str


Line: TypeAlias = Header | OracleLine | AnswerLine


class Fault(ValueError):
    """A fault of a line."""


# --- writing ---


def header_text(header: Header) -> bytes:
    """Return the first line."""
    return _text({"format": FORMAT, "version": VERSION, "bbquery": __version__, **vars(header)})


def oracle_text(line: OracleLine) -> bytes:
    """Return an oracle's line."""
    return _text({"fingerprint": line.fingerprint, "identity": json.loads(line.identity)})


def answer_text(line: AnswerLine) -> bytes:
    """Return an answer's line."""
    return _text(
        {
            "key": line.key.hex(),
            "oracle": line.oracle,
            "image": line.image.hex(),
            "sample": line.sample,
            "answer": json.loads(line.answer),
            "served": line.served,
            "created": line.created,
        }
    )


def _text(plain: dict[str, Any]) -> bytes:
    return (json.dumps(plain, separators=(",", ":")) + "\n").encode()


# --- checking ---


def checked_oracle(line: OracleLine) -> OracleLine:
    """Return the line with its identity in canonical form.

    Raises:
        Fault: the fingerprint is not that of the identity.
    """
    identity = _plain(line.identity.encode(errors="surrogatepass"))
    fingerprint, canonical = codec.fingerprint(identity)
    if fingerprint != line.fingerprint:
        raise Fault(f"its identity has the fingerprint {fingerprint}, not {line.fingerprint}")
    return OracleLine(fingerprint, canonical)


def checked_answer(line: AnswerLine) -> AnswerLine:
    """Return the line with its answer as `codec.pack` writes it.

    Raises:
        Fault: the key is not that of the question, or the answer is none.
    """
    if codec.answer_key(encodable(line.oracle), line.image, line.sample) != line.key:
        raise Fault(f"{line.key.hex()} is not the key of its oracle, image and sample")
    try:
        answer = codec.pack(codec.unpack(line.answer))
    except ValueError as error:
        raise Fault(f"its answer cannot be unpacked: {error!s:.200}") from error
    return replace(line, answer=answer)


# --- reading ---


class Reading:
    """A file being read: what must be known of earlier lines to judge the next. Holds oracles, never answers."""

    def __init__(self) -> None:
        self._header: Header | None = None
        self._oracles: set[str] = set()
        self._last_key = b""
        self._seen = {OracleLine: 0, AnswerLine: 0}

    def line(self, text: bytes) -> Line:
        """Return what a line says.

        Raises:
            Fault: what is wrong with it.
        """
        try:
            return self._line(_plain(text))
        except RecursionError as error:
            raise Fault("it is nested too deeply") from error

    def end(self) -> None:
        """Check that all lines were there.

        Raises:
            Fault: lines are missing, or too many.
        """
        if self._header is None:
            raise Fault("the file is empty")
        promised = (self._header.oracles, self._header.answers)
        found = (self._seen[OracleLine], self._seen[AnswerLine])
        if found != promised:
            said = "{} oracles and {} answers"
            raise Fault(f"the first line promises {said.format(*promised)}, the file has {said.format(*found)}")

    def _line(self, plain: dict[str, Any]) -> Line:
        if self._header is None:
            self._header = _header(plain)
            return self._header
        kind = OracleLine if "fingerprint" in plain else AnswerLine
        self._seen[kind] += 1
        return self._oracle(plain) if kind is OracleLine else self._answer(plain)

    def _oracle(self, plain: dict[str, Any]) -> OracleLine:
        stated = OracleLine(_typed(plain, "fingerprint", str), json.dumps(_typed(plain, "identity", dict)))
        line = checked_oracle(stated)
        self._oracles.add(line.fingerprint)
        return line

    def _answer(self, plain: dict[str, Any]) -> AnswerLine:
        sample = _typed(plain, "sample", int)
        if not 0 <= sample <= LARGEST_SAMPLE:
            raise Fault(f"the sample is {sample}, which is no index")
        line = AnswerLine(
            _hex(plain, "key"),
            _typed(plain, "oracle", str),
            _hex(plain, "image"),
            sample,
            json.dumps(_typed(plain, "answer", dict)).encode(),
            _served(plain),
            _time(plain),
        )
        if line.oracle not in self._oracles:
            raise Fault(f"its oracle {line.oracle!r:.80} is not among the lines before it")
        if line.key <= self._last_key:
            raise Fault("its key is not greater than the one before it: a line twice, or out of order")
        self._last_key = line.key
        return checked_answer(line)


def _header(plain: dict[str, Any]) -> Header:
    if plain.get("format") != FORMAT:
        raise Fault(f'its first line does not say "format": "{FORMAT}"')
    version = _typed(plain, "version", int)
    if version != VERSION:
        raise Fault(f"it is of version {version}, and this bbquery reads version {VERSION}: use the one that wrote it")
    return Header(_typed(plain, "oracles", int), _typed(plain, "answers", int))


def _plain(text: bytes) -> dict[str, Any]:
    try:
        plain = json.loads(text)
    except RecursionError as error:
        raise Fault("it is nested too deeply") from error
    except ValueError as error:
        raise Fault(f"not JSON: {error!s:.120}") from error
    if not isinstance(plain, dict):
        raise Fault("not a JSON object")
    return plain


_KINDS: dict[type, str] = {int: "whole number", str: "text", dict: "object"}


def _typed(plain: dict[str, Any], name: str, kind: type[T]) -> T:
    value = plain.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        fault = "missing" if name not in plain else f"{value!r:.80}, which is no {_KINDS[kind]}"
        raise Fault(f"{name!r} is {fault}")
    return value


def _hex(plain: dict[str, Any], name: str) -> bytes:
    text = _typed(plain, name, str)
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if not value or value.hex() != text:
        raise Fault(f"{name!r} is {text!r:.80}, which is not in lower hex digits")
    return value


def _served(plain: dict[str, Any]) -> str | None:
    if plain.get("served") is None:
        return None
    text = _typed(plain, "served", str)
    if not text.isprintable():
        raise Fault(f"'served' is {text!r:.80}, which names no version")
    return text


def _time(plain: dict[str, Any]) -> str:
    text = _typed(plain, "created", str)
    try:
        datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise Fault(f"'created' is {text!r:.80}, which is no time") from error
    return text
