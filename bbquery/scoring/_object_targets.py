"""Targets that are one object of several: how they are typed, and which object of the clean answer is meant.

    bicycle                        the bicycle with the highest score
    bicycle#2                      the one with the second highest
    bicycle@left                   the one farthest to the left; also @right, @top, @bottom
    bicycle[0.1,0.2,0.5,0.9]       the one in this box: left, top, right, bottom in shares of the image, whatever the
                                   clean answer has there

A name that ends in one of these forms is written with another behind it: `channel#5#1`.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from bbquery.errors import UsageError
from bbquery.images.boxes import Box
from bbquery.scoring import _sets
from bbquery.scoring._soft_labels import names_of
from bbquery.types import Classes, Label, Labels, folded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Side: TypeAlias = Literal["left", "right", "top", "bottom"]

FORM = re.compile(r"(?P<name>.*?\S)\s*(?:#(?P<rank>\d{1,6})|@(?P<side>left|right|top|bottom)|\[(?P<box>[^\[\]]*)\])")
EDGE = re.compile(r"[\s,]+")
MOST_LISTED = 12
ALONG: dict[Side, Callable[[Box], float]] = {
    "left": lambda box: box.left + box.right,
    "right": lambda box: -box.left - box.right,
    "top": lambda box: box.top + box.bottom,
    "bottom": lambda box: -box.top - box.bottom,
}
"""What is lowest for the object that is farthest to a side: objects lie where their middle is."""


@dataclass(frozen=True)
class Wanted:
    """A target as typed. name: a label, or a set of them. which: a rank from 1, a side, or a box."""

    name: str
    which: int | Side | Box = 1


@dataclass(frozen=True)
class Found:
    """The object that a target means. names: all by which a label may stand for it, `folded`."""

    shown: str
    names: frozenset[str]
    box: Box


def wanted(target: str) -> Wanted:
    """Return what a target says.

    Raises:
        UsageError: it has a form that means no object; says which there are.
    """
    form = FORM.fullmatch(target.strip())
    if form is None:
        return Wanted(target.strip())
    name, rank, side, box = form["name"], form["rank"], form["side"], form["box"]
    if side is not None:
        return Wanted(name, cast("Side", side))
    if box is not None:
        return Wanted(name, _box(target, box))
    if int(rank) < 1:
        raise UsageError(f"the target {target!r} counts from 0: the first object of a name is {name}#1")
    return Wanted(name, int(rank))


def check(target: str, classes: Classes | None) -> None:
    """See that a target has a form that means an object, and that there are such classes.

    Raises:
        UnknownName: no class has the name. UsageError: it has no such form.
    """
    name = wanted(target).name
    if classes is None:
        _sets.members(name)
    else:
        _sets.indices(name, classes)


def found(target: str | None, clean: Labels, classes: Classes | None) -> Found:
    """Return the object that is meant, in the answer to the unperturbed image; None: the first that has a box.

    Raises:
        UnknownName: no class has the name. UsageError: the clean answer has no such object; lists what it has.
    """
    objects = [label for label in clean.labels if label.box is not None and label.box.area > 0]
    if target is None:
        if not objects:
            raise UsageError(f"the unperturbed image has no object with a box: name a target. {_listed(clean.labels)}")
        first = objects[0]
        _, names = names_of(first.name, True, classes)
        return _meant(first.name, names, first)
    asked = wanted(target)
    shown, names = names_of(asked.name, False, classes)
    if isinstance(asked.which, Box):
        return Found("+".join(shown), frozenset(map(folded, names)), asked.which)
    own = [label for label in objects if folded(label.name) in set(map(folded, names))]
    return _meant("+".join(shown), names, _chosen(target, asked.which, own, clean.labels))


def _meant(shown: str, names: Sequence[str], label: Label) -> Found:
    assert label.box is not None  # noqa: S101 - only such are chosen
    return Found(shown, frozenset(map(folded, names)), label.box)


def _chosen(target: str, which: int | Side, own: Sequence[Label], all_: Sequence[Label]) -> Label:
    if isinstance(which, str) and own:
        return min(own, key=lambda label: ALONG[which](cast("Box", label.box)))
    if isinstance(which, int) and which <= len(own):
        return sorted(own, key=_rank)[which - 1]
    raise UsageError(f"the target {target!r} is no object with a box of the first answer. {_listed(all_)}")


def _rank(label: Label) -> float:
    return 1.0 if label.score is None else -label.score


def _listed(labels: Sequence[Label]) -> str:
    """Return the objects of an answer as they may be typed, with their boxes."""
    count: Counter[str] = Counter()
    lines = []
    for label in sorted((label for label in labels if label.box is not None), key=_rank):
        count[folded(label.name)] += 1
        score = "" if label.score is None else f" {label.score:.2f}"
        lines.append(f"{label.name}#{count[folded(label.name)]}{score} {label.box}")
    if not lines:
        return "No label of that answer has a box"
    more = f" and {len(lines) - MOST_LISTED} more" if len(lines) > MOST_LISTED else ""
    return f"It has {', '.join(lines[:MOST_LISTED])}{more}"


def _box(target: str, text: str) -> Box:
    edges = [edge for edge in EDGE.split(text.strip()) if edge]
    try:
        box = Box.of(*map(float, edges))
    except (TypeError, ValueError):
        box = Box(0.0, 0.0, 0.0, 0.0)
    if not box.area > 0:
        raise UsageError(
            f"the box of the target {target!r} must be left, top, right and bottom in shares of the image, 0 to 1, "
            "as in bicycle[0.1,0.2,0.5,0.9]"
        )
    return box
