"""Labels with their scores, in any of the forms in which functions and servers give them.

    "dog"   ["dog", "cat"]   {"dog": 0.6, "cat": 0.4}   [["dog", 0.6], ["cat", 0.4]]
    [{"label": "dog", "score": 0.6}, {"label": "cat", "score": 0.4}]

Best first: by score where every label has one, and as they are given where not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from bbquery.types import Label, Labels
from oracles._shared.numbers import finite
from oracles._shared.texts import brief

Pair: TypeAlias = tuple[str, object]
"""A name, and what stands for its score; None where nothing does."""

NAMES = ("name", "label", "class", "class_name", "category", "description", "tag")
SCORES = ("score", "confidence", "probability", "prob")


def pairs_of(given: object) -> list[Pair]:
    """Return names and scores, in the order given.

    Raises:
        ValueError: it is none of the forms; says which part.
    """
    match given:
        case Labels(labels):
            return [(label.name, label.score) for label in labels]
        case str() | Label():
            return [_pair(given)]
        case Mapping() if not _is_entry(given):
            return [(_name(name), score) for name, score in given.items()]
        case Mapping():
            return [_pair(given)]
        case (str() as name, score) if not isinstance(score, str | list | tuple | Mapping | Label):
            return [(name, score)]
        case Iterable():
            return [_pair(one) for one in given]
    raise ValueError(f"labels must be names, with or without scores, not {brief(given)}")


def labels_of(pairs: Iterable[Pair]) -> Labels:
    """Return labels, best first. A score that cannot be read is None, where the list has others that can.

    Raises:
        ValueError: scores are given, and not one of them is a finite number.
    """
    read = [(name, said, _number(said)) for name, said in pairs]
    known = [score for _, _, score in read if score is not None]
    odd = [(name, said) for name, said, score in read if score is None and said is not None]
    if odd and not known:
        name, said = odd[0]
        raise ValueError(f"the score of the label {brief(name)} must be a finite number, not {brief(said)}")
    labels = [Label(name, score) for name, _, score in read]
    if len(known) == len(labels):
        labels.sort(key=lambda label: -(label.score or 0.0))  # a sort keeps the order of equals
    return Labels(tuple(labels))


def _pair(one: object) -> Pair:
    match one:
        case Label(name, score):
            return name, score
        case Mapping() if _is_entry(one):
            name = next(one[key] for key in NAMES if isinstance(one.get(key), str))
            return _name(name), next((one[key] for key in SCORES if key in one), None)
        case str() | int():
            return _name(one), None
        case [name, score]:
            return _name(name), score
    raise ValueError(
        f'a label must be a name, a pair of name and score, or {{"name": ..., "score": ...}}, not {brief(one)}'
    )


def _is_entry(one: Mapping[Any, Any]) -> bool:
    """Whether a mapping is one label and not a table of scores by name."""
    return any(isinstance(one.get(key), str) for key in NAMES)


def _name(name: object) -> str:
    if not isinstance(name, str | int) or isinstance(name, bool) or name == "":
        raise ValueError(f"a name must be a text that is not empty, not {brief(name)}")
    return str(name)


def _number(said: object) -> float | None:
    """Return a finite number; those of NumPy and of tensors are taken out of what holds them."""
    if said is None or type(said) in (int, float):
        return finite(said)
    try:
        return finite(said.item())  # type: ignore[attr-defined]  # what has none is no number
    except (AttributeError, ValueError, TypeError, RuntimeError):
        return None
