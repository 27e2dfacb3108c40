"""Reader of JSON within a model's answer: what it says the image shows."""

from __future__ import annotations

import json
import re
from typing import Any

LONGEST = 20_000  # characters of an answer that are searched for JSON
BLOCK = re.compile(r"\{.*\}|\[.*\]", re.DOTALL)
SAYING = (
    "final_answer", "answer", "class", "class_name", "category", "label", "prediction", "classification", "object",
    "subject", "name", "result", "output", "classes", "categories", "labels", "predictions", "objects",
)  # fmt: skip
"""The keys under which models put what they say, clearest first."""
WEIGHING = ("score", "confidence", "probability", "prob", "likelihood")


def said_in_json(text: str) -> list[str] | None:
    """Return what the JSON in a text names, each once; None if there is no JSON in it."""
    found = BLOCK.search(text[:LONGEST])
    value = None if found is None else _parsed(found[0])
    return list(dict.fromkeys(_named(value))) if isinstance(value, dict | list) else None


def _parsed(block: str) -> Any:
    """Return the value; single quotes count as double ones, as models write them."""
    for written in (block, block.replace("'", '"')):
        try:
            return json.loads(written)
        except (ValueError, RecursionError):
            continue
    return None


def _named(value: object) -> list[str]:
    if isinstance(value, str):
        return [value] if value.strip() else []
    if isinstance(value, list):
        return _listed(value)
    return _of_object(value) if isinstance(value, dict) else []


def _listed(values: list[Any]) -> list[str]:
    """Return what a list names: all of it, or of entries with scores the best."""
    scores = [_weight(entry) for entry in values]
    known = [score for score in scores if score is not None]
    best = [entry for entry, score in zip(values, scores, strict=True) if score == max(known, default=None)]
    return [name for entry in (best if len(known) == len(values) else values) for name in _named(entry)]


def _weight(entry: object) -> float | None:
    if not isinstance(entry, dict):
        return None
    return next((_number(entry[key]) for key in WEIGHING if key in entry), None)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _of_object(entry: dict[str, Any]) -> list[str]:
    """Return what an object names: under the clearest key, else its best key if it is a table of scores, else all."""
    lowered = {key.casefold(): value for key, value in entry.items()}
    for key in SAYING:
        if key in lowered:
            return _named(lowered[key])
    numbers = {key: _number(value) for key, value in entry.items()}
    scores = {key: number for key, number in numbers.items() if number is not None}
    if len(scores) == len(entry) > 1:
        return [key for key, score in scores.items() if score == max(scores.values())]
    return [name for value in entry.values() for name in _named(value)]
