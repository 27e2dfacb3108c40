"""Answers on the wire: one JSON object an image, in the order of the images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bbquery.errors import OracleError
from bbquery.types import Labels, NoAnswer, Reply, Text, Vector
from oracles._http.wire.fields import WireError, dumps, is_number, loads
from oracles._shared.activation import ROUNDING
from oracles._shared.scored_labels import labels_of, scored_of
from oracles._shared.texts import brief, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bbquery.types import Answer, AnswerKind, Classes, Label
    from oracles._shared.scored_labels import Scored

LONGEST_REASON = 200  # characters of what a server says of a failure


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
        case Labels(listed):
            return {"labels": [_label(label) for label in listed]}
        case Text(said):
            return {"text": said}
        case NoAnswer(reason):
            return {"refused": reason}


def _label(label: Label) -> dict[str, Any]:
    box = {} if label.box is None else {"box": list(label.box)}
    return {"name": label.name, "score": label.score} | box


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
    return said_of(item.get("error")) if isinstance(item, dict) else None


def said_of(reason: object) -> str | None:
    """Return why an image failed or was refused, as a text; None where nothing (null, false, 0, "", [], {}) is said."""
    if not reason or reason != reason:  # noqa: PLR0124 - NaN is not itself
        return None
    return reason[:LONGEST_REASON] if isinstance(reason, str) else brief(reason, LONGEST_REASON)


def served(item: Any) -> str | None:
    """Return which model answered, None where the item does not say."""
    return served_as(item.get("served")) if isinstance(item, dict) else None


def served_as(said: object) -> str | None:
    """Return a model's version, a text or a number, on one line; None where it is neither."""
    text = str(said) if isinstance(said, str | int | float) and not isinstance(said, bool) else ""
    return one_line(text)[:LONGEST_REASON] or None


def unpack_answer(item: Any, kind: AnswerKind, classes: Classes | None) -> Answer:
    """Return the answer that an item holds: of `kind`, or a refusal.

    Raises:
        WireError: it holds neither.
    """
    if not isinstance(item, dict):
        raise WireError(f"an answer must be an object, not {brief(item)}")
    refusal = said_of(item.get("refused"))
    if refusal is not None and (isinstance(item["refused"], str) or item.get(kind) is None):
        return NoAnswer(refusal)
    if item.get(kind) is None:
        raise WireError(f"no '{kind}' in an answer that has {brief(sorted(item))}")
    if kind == "labels":
        return labels(scored(item[kind]))
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
    if kind == "probabilities" and (values.min() < -ROUNDING or values.max() > 1 + ROUNDING):
        raise WireError(
            f"'probabilities' must lie in 0 to 1, not {values.min():g} to {values.max():g}: are they scores?"
        )
    return Vector(values)


def scored(given: Any) -> list[Scored]:
    """Return names, scores and boxes, from any form that `oracles._shared.scored_labels` reads.

    Raises:
        WireError: they are in none.
    """
    try:
        return scored_of(given)
    except ValueError as fault:
        raise WireError(str(fault)) from None


def labels(named: Iterable[Scored]) -> Labels:
    """Return labels, best first.

    Raises:
        WireError: they have scores, of which none can be read.
    """
    try:
        return labels_of(named)
    except ValueError as fault:
        raise WireError(str(fault)) from None


def _text(said: Any) -> Text:
    if not isinstance(said, str):
        raise WireError(f"'text' must be a string, not {brief(said)}")
    return Text(said)
