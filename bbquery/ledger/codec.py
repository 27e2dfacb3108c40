"""Lasting byte formats of answers and identities: what the store keeps, and what keys are hashes of.

An answer's key is a hash of everything that decides it: the oracle's identity (endpoint, model, parameters, encoder),
the exact pixels with their shape and type, and the sample index, which tells repeats of one question apart.
"""

from __future__ import annotations

import base64
import functools
import json
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Any

import numpy as np
from blake3 import blake3

from bbquery.images.boxes import Box
from bbquery.types import Answer, Label, Labels, NoAnswer, Text, Token, Vector

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from bbquery.types import Image

_JSON = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)  # made once: json.dumps makes one a call


def fingerprint(identity: Mapping[str, str | int | float | None]) -> tuple[str, str]:
    """Return a hash of an oracle's identity, 32 hex digits, and the canonical JSON it is the hash of."""
    text = json.dumps(dict(identity), sort_keys=True, separators=(",", ":"))
    return blake3(text.encode()).hexdigest(length=16), text


def image_digest(image: Image) -> bytes:
    """Return a hash of the exact pixels, their shape and their type: 32 bytes."""
    pixels = np.ascontiguousarray(image)
    return blake3(_form(pixels.dtype, pixels.shape)).update(pixels.view(np.uint8).data).digest()


@functools.lru_cache(maxsize=64)
def _form(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    return f"{dtype.str}{shape}".encode()


def answer_key(oracle: str, image: bytes, sample: int) -> bytes:
    """Return the key of an answer from the oracle's fingerprint, the image's digest and the sample index: 32 bytes."""
    return blake3(f"{oracle}:{sample}:".encode()).update(image).digest()


def pack(answer: Answer) -> bytes:
    """Return an answer as JSON; `unpack` returns it to the bit."""
    text = _text(answer)
    return text.encode(errors="surrogatepass")  # models may answer half a surrogate pair; JSON is read the same way


def unpack(data: bytes) -> Answer:
    """Return the answer that `pack` was given.

    Raises:
        ValueError: these bytes are not a packed answer.
    """
    try:
        plain: dict[str, Any] = json.loads(data)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    match plain:
        case {"f4": str(values)}:
            with np.errstate(invalid="ignore"):  # a spoiled byte may make a NaN that a cast warns of
                return Vector(np.frombuffer(base64.b64decode(values), dtype="<f4").astype(np.float64))
        case {"f8": str(values)}:
            return Vector(np.frombuffer(base64.b64decode(values), dtype="<f8").astype(np.float64))
        case {"labels": list(labels)}:
            return Labels(tuple(_label(label) for label in labels))
        case {"text": str(text), "tokens": list(tokens)}:
            return Text(text, tuple(_token(token) for token in tokens))
        case {"none": str(reason), "kind": ("refused" | "filtered" | "truncated" | "empty") as kind}:
            return NoAnswer(reason, kind)
    raise ValueError(f"not a packed answer: {data[:80]!r}")


def _label(plain: object) -> Label:
    match plain:
        case [str(name), (float() | int() | None) as score]:
            return Label(name, score)
        case [str(name), (float() | int() | None) as score, [left, top, right, bottom]]:
            return Label(name, score, Box.of(*map(_edge, (left, top, right, bottom))))
    raise ValueError(f"not a packed label: {plain!r:.80}")


def _edge(plain: object) -> float:
    if isinstance(plain, float | int):
        return plain
    raise ValueError(f"not the edge of a box: {plain!r:.80}")


def _token(plain: object) -> Token:
    match plain:
        case [str(text), (float() | int()) as logprob, list(others)]:
            return Token(text, logprob, tuple(_alternative(other) for other in others))
    raise ValueError(f"not a packed token: {plain!r:.80}")


def _alternative(plain: object) -> tuple[str, float]:
    match plain:
        case [str(text), (float() | int()) as logprob]:
            return text, logprob
    raise ValueError(f"not a packed token: {plain!r:.80}")


def _text(answer: Answer) -> str:
    # The encoder is set up anew for each object, and a string needs none of it.
    match answer:
        case Vector(values):
            kind, numbers = _numbers(values)
            return f'{{"{kind}":"{base64.b64encode(numbers).decode()}"}}'
        case Labels(labels):
            return _JSON.encode({"labels": [_parts(label) for label in labels]})
        case Text(text, tokens):
            said = _JSON.encode([[t.text, t.logprob, t.alternatives] for t in tokens]) if tokens else "[]"
            return f'{{"text":{encode_basestring(text)},"tokens":{said}}}'
        case NoAnswer(reason, kind):
            return f'{{"none":{encode_basestring(reason)},"kind":"{kind}"}}'


def _parts(label: Label) -> list[Any]:
    """Return name and score, and the box of a label that has one."""
    return [label.name, label.score] if label.box is None else [label.name, label.score, label.box]


def _numbers(values: NDArray[np.float64]) -> tuple[str, bytes]:
    """Return the form that loses nothing, and numbers in it."""
    with np.errstate(over="ignore"):  # what does not fit becomes infinite, hence unequal
        short = values.astype("<f4")
    if np.array_equal(short.astype(np.float64), values):  # most models answer in float32: half the bytes
        return "f4", short.tobytes()
    return "f8", values.astype("<f8").tobytes()
