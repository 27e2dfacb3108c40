"""Answers on the wire: one JSON object an image, in the order of the images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bbquery.errors import OracleError
from bbquery.types import Label, Labels, NoAnswer, Reply, Text, Vector
from oracles._wire.fields import WireError, brief, dumps, is_number, loads, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.types import Answer, AnswerKind, Classes

PROBABILITY_SLACK = 1e-6  # a float32 softmax may round past 1


def pack_answers(replies: Sequence[Reply | OracleError], kind: AnswerKind) -> bytes:
    """Return the body of a response; `kind` says whether vectors are probabilities or scores."""
    return dumps({"answers": [_item(reply, kind) for reply in replies]})


def _item(reply: Reply | OracleError, kind: AnswerKind) -> dict[str, Any]:
    if isinstance(reply, OracleError):
        return {"error": str(reply)}
    served = {} if reply.served is None else {"served": reply.served}
    return _packed(reply.answer, kind) | served


def _packed(answer: Answer, kind: AnswerKind) -> dict[str, Any]:
    match answer:
        case Vector(values):
            return {kind: np.ascontiguousarray(values, dtype=np.float64)}
        case Labels(labels):
            return {"labels": [{"name": label.name, "score": label.score} for label in labels]}
        case Text(said):
            return {"text": said}
        case NoAnswer(reason):
            return {"refused": reason}


def split_answers(body: bytes, expected: int) -> list[Any]:
    """Return the objects of a response, not yet read.

    Raises:
        WireError: it is not {"answers": [...]} with `expected` of them.
    """
    items = loads(body).get("answers")
    if not isinstance(items, list):
        raise WireError('the body must be {"answers": [...]}')
    if len(items) != expected:
        raise WireError(f"{len(items)} answers to {expected} images")
    return items


def failure(item: Any) -> str | None:
    """Return why an item failed alone, None where it did not."""
    reason = item.get("error") if isinstance(item, dict) else None
    return None if reason is None else str(reason)


def served(item: Any) -> str | None:
    """Return which model answered, None where the item does not say."""
    said = item.get("served") if isinstance(item, dict) else None
    return said if isinstance(said, str) else None


def unpack_answer(item: Any, kind: AnswerKind, classes: Classes | None) -> Answer:
    """Return the answer that an item holds: of `kind`, or a refusal.

    Raises:
        WireError: it holds neither.
    """
    if not isinstance(item, dict):
        raise WireError(f"an answer must be an object, not {brief(item)}")
    if item.get("refused") is not None:
        return NoAnswer(text(item, "refused"))
    if item.get(kind) is None:
        raise WireError(f"no '{kind}' in an answer that has {brief(sorted(item))}")
    if kind == "labels":
        return _labels(item[kind])
    if kind == "text":
        return _text(item[kind])
    return vector(item[kind], kind, classes)


def vector(numbers: Any, kind: str, classes: Classes | None) -> Vector:
    """Return finite numbers as a vector, one for each class.

    Raises:
        WireError: they are not, or promised to be probabilities and outside 0 to 1.
    """
    if not isinstance(numbers, list) or not numbers:
        raise WireError(f"'{kind}' must be a list of numbers, not {brief(numbers)}")
    if classes and len(numbers) != len(classes):
        raise WireError(f"{len(numbers)} {kind} for {len(classes)} classes")
    for place, number in enumerate(numbers):
        if not is_number(number):
            raise WireError(f"'{kind}' must be finite numbers; number {place} is {brief(number)}")
    values = np.array(numbers, dtype=np.float64)
    if kind == "probabilities" and (values.min() < -PROBABILITY_SLACK or values.max() > 1 + PROBABILITY_SLACK):
        raise WireError(
            f"'probabilities' must lie in 0 to 1, not {values.min():g} to {values.max():g}: are they scores?"
        )
    return Vector(values)


def _labels(items: Any) -> Labels:
    if not isinstance(items, list):
        raise WireError(f"'labels' must be a list, not {brief(items)}")
    return Labels(tuple(map(_label, items)))


def _label(item: Any) -> Label:
    if not isinstance(item, dict):
        raise WireError(f'a label must be {{"name": ..., "score": ...}}, not {brief(item)}')
    score = item.get("score")
    if score is not None and not is_number(score):
        raise WireError(f"a label's 'score' must be a finite number or null, not {brief(score)}")
    return Label(text(item, "name"), None if score is None else float(score))


def _text(said: Any) -> Text:
    if not isinstance(said, str):
        raise WireError(f"'text' must be a string, not {brief(said)}")
    return Text(said)
