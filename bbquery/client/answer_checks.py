"""Checks of an oracle's answers against its capabilities."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bbquery.errors import MalformedAnswer, OracleError, encodable
from bbquery.images.boxes import Box
from bbquery.telemetry import note
from bbquery.types import Label, Labels, NoAnswer, Reply, Text, Vector
from bbquery.units import believable

if TYPE_CHECKING:
    from bbquery.oracle import Capabilities
    from bbquery.types import Answer

ADVICE = "raise the cap of its output, such as max_tokens"
SHOWN_REASONING = 60  # characters of reasoning that was cut off
SHOWN = 80  # characters of a name in an error
LONGEST_LABEL = 500  # characters of a name: no class has more, and a megabyte would be read and shown for every answer


def checked(
    replies: Sequence[Reply | OracleError], asked: int, capabilities: Capabilities
) -> list[Reply | OracleError]:
    """Return one reply or error for each of the `asked` images; what breaks a promise becomes `MalformedAnswer`."""
    if len(replies) != asked:
        error = MalformedAnswer(f"{len(replies)} answers to {asked} images", oracle=capabilities.name)
        return [error] * asked
    return [_checked(reply, capabilities) for reply in replies]


def _checked(reply: Reply | OracleError, capabilities: Capabilities) -> Reply | OracleError:
    if isinstance(reply, OracleError):
        return reply
    reply = _recordable(reply, capabilities)
    if isinstance(reply.answer, NoAnswer):
        return reply
    wrong = _fault(reply.answer, capabilities)
    if wrong is not None:
        return MalformedAnswer(wrong, oracle=capabilities.name, cost=reply.cost)
    answer = _readable(reply.answer)
    return reply if answer is reply.answer else replace(reply, answer=answer)


def _readable(answer: Answer) -> Answer:
    """Return an answer as scores and people can take it: names are cut, and reasoning alone is no answer."""
    match answer:
        case Text(text) if answer.is_reasoning:
            return cut_off(text)
        case Labels(labels) if any(len(label.name) > LONGEST_LABEL for label in labels):
            return Labels(tuple(replace(label, name=_cut(label.name)) for label in labels))
    return answer


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST_LABEL else f"{name[:LONGEST_LABEL]}…"


def cut_off(text: str) -> NoAnswer:
    """Return what a text comes to that holds reasoning and no answer."""
    begins = " ".join(text.split())[:SHOWN_REASONING]
    return NoAnswer(f"the answer ends within the model's reasoning: {ADVICE} (it begins: {begins!r})", "truncated")


def _recordable(reply: Reply, capabilities: Capabilities) -> Reply:
    """Return a reply with what stands beside its answer as the ledger can hold it: an odd part costs no answer."""
    cost, served = believable(reply.cost), reply.served
    if cost is not reply.cost:
        note("cost not believed", logging.WARNING, oracle=capabilities.name, cost=f"{reply.cost!r:.200}")
    if served is not None:
        served = encodable(served) if isinstance(served, str) else None
    if cost is reply.cost and served == reply.served:  # most replies
        return reply
    return replace(reply, cost=cost, served=served)


def _fault(answer: object, capabilities: Capabilities) -> str | None:
    kind = capabilities.answers
    match answer:
        case Text(text) if kind == "text":
            return None if isinstance(text, str) else f"the text is {text!r:.80}"
        case Vector(values) if kind in ("probabilities", "scores"):
            return _vector_fault(values, capabilities)
        case Labels(labels) if kind == "labels":
            return next(filter(None, map(_label_fault, labels)), None)
    return f"promised {kind}, answered {type(answer).__name__}"


def _label_fault(label: Label) -> str | None:
    name: object = label.name  # a function may put anything into a reply of its own making
    score: object = label.score
    if not isinstance(name, str):
        return f"the name of a label is {name!r:.80}"
    if score is not None and not (isinstance(score, float | int) and math.isfinite(score)):
        return f"the score of label {name[:SHOWN]!r} is {score!r:.80}"
    return None if label.box is None else _box_fault(name, label.box)


def _box_fault(name: str, box: object) -> str | None:
    try:
        if isinstance(box, Box) and Box.of(*box):
            return None
    except (TypeError, ValueError):  # edges that are no numbers, or no shares
        pass
    return f"the box of label {name[:SHOWN]!r} is {box!r:.80}"


def _vector_fault(values: np.ndarray, capabilities: Capabilities) -> str | None:
    if values.ndim != 1 or not len(values):
        return f"an answer of shape {values.shape}; one number for each class is needed, shape (classes,)"
    if capabilities.classes is not None and len(values) != len(capabilities.classes):
        return f"an answer has {len(values)} numbers for {len(capabilities.classes)} classes"
    if not np.isfinite(values).all():
        where = int(np.flatnonzero(~np.isfinite(values))[0])
        return f"the number of class {where} is {values[where]}"
    outside = (values < -1e-6) | (values > 1 + 1e-6)  # float32 softmax may stray by rounding
    if capabilities.answers == "probabilities" and outside.any():
        where = int(np.flatnonzero(outside)[0])
        value = f"{values[where]:.6g}"
        return f"the probability of class {where} is {value}; for logits and other numbers declare answers=scores"
    return None
