"""Reading of an oracle's answer as a person types it.

What is typed may often be read in several ways ("cat" is a label, and a text), so all of them are given, the likeliest
first, and whoever asks takes the first that serves; a kind that is named leaves the readings of that kind.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from bbquery.errors import UsageError
from bbquery.images.boxes import Box
from bbquery.ledger import codec
from bbquery.system import user_file
from bbquery.types import AnswerKind, Classes, Label, Labels, NoAnswer, Text, Vector

if TYPE_CHECKING:
    from bbquery.types import Answer

RULE = """ANSWER is a file's name, which stands for what is in it, or the answer itself. JSON: a list of numbers has one
for each class; a list of names, of [name, score] pairs or of {"name": …, "score": …} is a list of labels, as is {"cat":
0.7, "dog": 0.2}; a label's box is written ["cat", 0.7, [left, top, right, bottom]], in shares of the photo; {"text": …,
"tokens": [[token, logprob, [[alternative, logprob], …]], …]} is a text with its log-probabilities. Words: if every part
between commas ends in a number with a point or a percent sign, they are labels with scores ("Cat 0.97, Felidae 0.91");
numbers alone have one for each class; anything else is labels if no part is longer than three words and there is no end
of a sentence, and a text if not. Where a score cannot take what it is by this rule, but could take the words as labels
or as a text, it gets them so; --kind decides otherwise."""

SCORED = re.compile(r"(\S.*?)[\s:=(]+([-+]?\d*\.\d+(?:[eE][-+]?\d+)?|[-+]?\d+(?:\.\d+)?%)\)?")
SENTENCE = re.compile(r"[.!?…](?:\s|$)|\n")
LONGEST_LABEL = 3  # words


@dataclass(frozen=True, eq=False)
class Typed:
    """An answer, read. classes: what the numbers of a vector stand for, where that is known."""

    kind: AnswerKind
    answer: Answer
    classes: Classes | None = None


def readings(text: str, kind: AnswerKind | None, classes: Classes | None) -> list[Typed]:
    """Return how what was typed may be read, the likeliest first; at least one. kind: only so.

    Raises:
        UsageError: a file cannot be read, or nothing of this kind can be read.
    """
    words = _contents(text)
    found = [*_of_json(words, classes), *_of_words(words, classes)]
    chosen = [typed for typed in found if kind is None or typed.kind == kind]
    if not chosen:
        raise UsageError(f"{words[:200]!r} cannot be read as {kind}: see 'bbquery score --help' for how it is written")
    return chosen


def _contents(text: str) -> str:
    try:
        named = Path(text).is_file()
    except (OSError, ValueError):  # no name that a file could have
        named = False
    return (user_file.text(Path(text), "the answer") if named else text).strip()


def _of_json(text: str, classes: Classes | None) -> Iterator[Typed]:
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError):
        return
    match plain:
        case {"none": str()} | {"f4": str()} | {"f8": str()} | {"text": str()}:
            yield from _packed(plain, classes)
        case {"labels": list(items)} | list(items):
            yield from _of_items(items, classes)
        case dict() if plain and all(_is_number(score) for score in plain.values()):
            yield from _of_scored([(name, float(score)) for name, score in plain.items()], classes)
        case str():
            yield Typed("text", Text(plain))


def _packed(plain: dict[str, Any], classes: Classes | None) -> Iterator[Typed]:
    """Read an answer as the store keeps it."""
    if "text" in plain:
        plain = {"tokens": []} | plain
    try:
        answer = codec.unpack(json.dumps(plain).encode())
    except ValueError as error:
        raise UsageError(f"this JSON is no answer: {error}") from error
    if isinstance(answer, Vector):
        yield from _vectors(answer.values.tolist(), classes)
    elif isinstance(answer, NoAnswer):
        yield from (Typed(kind, answer) for kind in get_args(AnswerKind))
    else:
        yield Typed("text", answer)


def _of_items(items: Sequence[Any], classes: Classes | None) -> Iterator[Typed]:
    if items and all(map(_is_number, items)):
        yield from _vectors(items, classes)
        return
    labels = [_label(item) for item in items]
    known = [label for label in labels if label is not None]
    if len(known) == len(items):
        yield Typed("labels", Labels(tuple(known)), classes)


def _label(item: Any) -> Label | None:
    match item:
        case str(name) | [str(name)] | {"name": str(name)} if not isinstance(item, dict) or "score" not in item:
            return Label(name)
        case [str(name), (int() | float() | None) as score] | {"name": str(name), "score": (int() | float()) as score}:
            return Label(name, None if score is None else float(score))
        case [str(name), (int() | float() | None) as score, [left, top, right, bottom]]:
            with contextlib.suppress(TypeError, ValueError):
                return Label(name, None if score is None else float(score), Box.of(left, top, right, bottom))
    return None


def _of_words(text: str, classes: Classes | None) -> Iterator[Typed]:
    parts = [part.strip() for part in text.split(",")]
    numbers = [_number_or_none(part) for part in (parts if len(parts) > 1 else text.split())]
    scored = [SCORED.fullmatch(part) for part in parts]
    if len(numbers) > 1 and None not in numbers:
        yield from _vectors([number for number in numbers if number is not None], classes)
    elif all(scored):
        yield from _of_scored([(found[1].strip(), _number(found[2])) for found in scored if found], classes)
    either = [Typed("text", Text(text)), Typed("labels", Labels(tuple(Label(p) for p in parts if p)), classes)]
    yield from either if _is_text(text, parts) else reversed(either)


def _is_text(text: str, parts: Sequence[str]) -> bool:
    """Whether words are more like a text than like labels: JSON of another form is what a model said."""
    is_long = max(len(part.split()) for part in parts) > LONGEST_LABEL
    return is_long or text.startswith(("{", "[")) or SENTENCE.search(text) is not None


def _of_scored(pairs: Sequence[tuple[str, float]], classes: Classes | None) -> Iterator[Typed]:
    """Read names with numbers: labels, best first, or a vector of the classes that are named."""
    best = sorted(pairs, key=lambda pair: -pair[1])
    yield Typed("labels", Labels(tuple(Label(name, score) for name, score in best)), classes)
    own = Classes(tuple((name,) for name, _ in pairs))
    yield from _vectors([score for _, score in pairs], own)


def _vectors(numbers: Sequence[float], classes: Classes | None) -> Iterator[Typed]:
    """Read numbers as probabilities, if they can be, and as scores."""
    values = np.array(numbers, dtype=np.float64)
    if classes is not None and len(classes) != len(values):
        raise UsageError(f"{len(values)} numbers for {len(classes)} classes: give one for each")
    if ((values >= 0) & (values <= 1)).all():
        yield Typed("probabilities", Vector(values), classes)
    yield Typed("scores", Vector(values), classes)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(text: str) -> float:
    return float(text[:-1]) / 100 if text.endswith("%") else float(text)


def _number_or_none(text: str) -> float | None:
    try:
        return _number(text)
    except ValueError:
        return None
