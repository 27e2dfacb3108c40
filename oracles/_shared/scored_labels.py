"""Labels with their scores, in any of the forms in which functions and servers give them.

    "dog"   ["dog", "cat"]   {"dog": 0.6, "cat": 0.4}   [["dog", 0.6], ["cat", 0.4]]
    [{"label": "dog", "score": 0.6}, {"label": "cat", "score": 0.4}]
    [{"label": "dog", "score": 0.6, "box": [0.1, 0.2, 0.5, 0.9]}]

Best first: by score where every label has one, and as they are given where not. A box is left, top, right and bottom in
shares of the image, 0 to 1; what stands there in another form (pixels, say) is left out, as any other key is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from bbquery.images.boxes import Box
from bbquery.types import Label, Labels
from oracles._shared.numbers import finite
from oracles._shared.texts import brief


class Scored(NamedTuple):
    """A name, what stands for its score, None where nothing does, and its box where it has one."""

    name: str
    score: object = None
    box: Box | None = None


NAMES = ("name", "label", "class", "class_name", "category", "description", "tag")
SCORES = ("score", "confidence", "probability", "prob")


def scored_of(given: object) -> list[Scored]:
    """Return names, scores and boxes, in the order given.

    Raises:
        ValueError: it is none of the forms; says which part.
    """
    match given:
        case Labels(labels):
            return [Scored(label.name, label.score, label.box) for label in labels]
        case str() | Label():
            return [_scored(given)]
        case Mapping() if not _is_entry(given):
            return [Scored(_name(name), score) for name, score in given.items()]
        case Mapping():
            return [_scored(given)]
        case (str() as name, score) if not isinstance(score, str | list | tuple | Mapping | Label):
            return [Scored(name, score)]
        case Iterable():
            return [_scored(one) for one in given]
    raise ValueError(f"labels must be names, with or without scores, not {brief(given)}")


def labels_of(scored: Iterable[Scored]) -> Labels:
    """Return labels, best first. A score that cannot be read is None, where the list has others that can.

    Raises:
        ValueError: scores are given, and not one of them is a finite number.
    """
    read = [(one, _number(one.score)) for one in scored]
    known = [score for _, score in read if score is not None]
    odd = [one for one, score in read if score is None and one.score is not None]
    if odd and not known:
        name, said, _ = odd[0]
        raise ValueError(f"the score of the label {brief(name)} must be a finite number, not {brief(said)}")
    labels = [Label(one.name, score, one.box) for one, score in read]
    if len(known) == len(labels):
        labels.sort(key=lambda label: -(label.score or 0.0))  # a sort keeps the order of equals
    return Labels(tuple(labels))


def _scored(one: object) -> Scored:
    match one:
        case Label(name, score, box):
            return Scored(name, score, box)
        case Mapping() if _is_entry(one):
            name = next(one[key] for key in NAMES if isinstance(one.get(key), str))
            return Scored(_name(name), next((one[key] for key in SCORES if key in one), None), _box(one.get("box")))
        case str() | int():
            return Scored(_name(one))
        case [name, score]:
            return Scored(_name(name), score)
    raise ValueError(
        f'a label must be a name, a pair of name and score, or {{"name": ..., "score": ...}}, not {brief(one)}'
    )


def _is_entry(one: Mapping[Any, Any]) -> bool:
    """Whether a mapping is one label and not a table of scores by name."""
    return any(isinstance(one.get(key), str) for key in NAMES)


def _box(given: Any) -> Box | None:
    try:
        return Box.of(*given)
    except (TypeError, ValueError):  # it cannot be taken apart, or not into four shares
        return None


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
