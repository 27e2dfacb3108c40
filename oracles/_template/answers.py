"""The answers in a server's response, found by paths."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from bbquery.types import Classes, Label, Labels, NoAnswer, Text, Vector
from oracles._softmax import softmax
from oracles._wire.answers import vector
from oracles._wire.fields import WireError, brief, is_number, parsed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bbquery.types import Answer, AnswerKind
    from oracles._template.paths import Path

SHOWN = 200  # characters of what a server says of a failure


class Item(NamedTuple):
    """What a response says of one image. numbers: its share of a list that holds those of all images."""

    document: Any
    numbers: list[Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Where the parts of an answer stand. Paths are of an image's item, where `items` finds them, or of the response.

    values: numbers in the order of the classes. names, scores: of labels, or of classes in any order; mapping: an
    object of scores by name in place of both. text: a text. refused, error: what is there if the image was not
    answered, or failed. served: the model version. apply_softmax: the numbers are logits.
    """

    kind: AnswerKind
    items: Path | None = None
    values: Path | None = None
    names: Path | None = None
    scores: Path | None = None
    mapping: Path | None = None
    text: Path | None = None
    refused: Path | None = None
    error: Path | None = None
    served_by: Path | None = None
    apply_softmax: bool = False
    classes: Classes | None = None

    def split(self, body: bytes, expected: int) -> list[Item]:
        """Return one item an image, not yet read.

        Raises:
            WireError: the body is not JSON, or does not hold one item an image.
        """
        response = parsed(body)
        if self.items is not None:
            found = self.items.select(response)
            if len(found) != expected:
                raise WireError(f"{len(found)} answers at {self.items.text} to {expected} images")
            return [Item(document) for document in found]
        if expected == 1:
            return [Item(response)]
        return [Item(response, row) for row in self._rows(response, expected)]

    def failure(self, item: Item) -> str | None:
        """Return why an image failed alone, None where it did not."""
        return _said(self.error, item)

    def served(self, item: Item) -> str | None:
        """Return which model answered, None where it is not said."""
        return _said(self.served_by, item)

    def answer(self, item: Item) -> Answer:
        """Return the answer in an item.

        Raises:
            WireError: there is none, or it is not what was promised.
        """
        refusal = _said(self.refused, item)
        if refusal is not None:
            return NoAnswer(refusal)
        if self.text is not None:
            return _text(self.text, item)
        if self.kind == "labels":
            return self._labels(item)
        return self._vector(item)

    def _rows(self, response: Any, expected: int) -> Iterator[list[Any]]:
        """Split a list of all images' numbers, or a tensor of shape (images, classes), into each image's."""
        numbers = self._numbers(response)
        size, rest = divmod(len(numbers), expected)
        if rest or not size:
            raise WireError(f"{len(numbers)} numbers cannot be shared among {expected} images")
        return (numbers[start : start + size] for start in range(0, len(numbers), size))

    def _numbers(self, document: Any) -> list[Any]:
        return list(_flat(self.values.select(document))) if self.values else []

    def _vector(self, item: Item) -> Vector:
        if self.values is not None:
            numbers = self._numbers(item.document) if item.numbers is None else item.numbers
        else:
            numbers = self._in_order(self._scored(item.document))
        kind = "scores" if self.apply_softmax else self.kind
        found = vector(numbers, kind, self.classes)
        return replace(found, values=softmax(found.values)) if self.apply_softmax else found

    def _in_order(self, scored: Sequence[tuple[str, Any]]) -> list[Any]:
        """Return the numbers in the order of the classes, from pairs in any order."""
        by_index = {self._index(name): number for name, number in scored}
        classes = self.classes or Classes(())
        missing = [classes.show(index) for index in range(len(classes)) if index not in by_index]
        if missing:
            raise WireError(
                f"no number for {brief(missing[0])} and {len(missing) - 1} other classes: have the server tell all, "
                f'or say kind = "labels"'
            )
        return [by_index[index] for index in range(len(classes))]

    def _index(self, name: str) -> int:
        found = self._indices.get(name, ())
        if len(found) != 1:
            raise WireError(f"{brief(name)} is the name of {len(found)} classes")
        return found[0]

    @cached_property
    def _indices(self) -> dict[str, tuple[int, ...]]:
        """Classes by key and by each of their names."""
        classes, indices = self.classes or Classes(()), dict[str, tuple[int, ...]]()
        for index, names in enumerate(classes.names):
            for name in {*names, *classes.keys[index : index + 1]}:
                indices[name] = (*indices.get(name, ()), index)
        return indices

    def _labels(self, item: Item) -> Labels:
        labels = [Label(name, _score(score)) for name, score in self._scored(item.document)]
        if all(label.score is not None for label in labels):
            labels.sort(key=lambda label: -(label.score or 0.0))  # best first; a sort keeps the order of equals
        return Labels(tuple(labels))

    def _scored(self, document: Any) -> list[tuple[str, Any]]:
        """Return pairs of name and score, None where there are no scores."""
        if self.mapping is not None:
            mapping = _one(self.mapping, document)
            if not isinstance(mapping, dict):
                raise WireError(f"{self.mapping.text} must be an object of scores by name, not {brief(mapping)}")
            return list(mapping.items())
        names = [_name(name) for name in _flat(self.names.select(document))] if self.names else []
        scores = list(_flat(self.scores.select(document))) if self.scores else [None] * len(names)
        if len(names) != len(scores):
            raise WireError(f"{len(scores)} scores for {len(names)} names")
        return list(zip(names, scores, strict=True))


def _one(path: Path, document: Any) -> Any:
    found = path.select(document)
    if len(found) != 1:
        raise WireError(f"the path {path.text} finds {len(found)} things where one is needed")
    return found[0]


def _flat(value: Any) -> Iterator[Any]:
    """Yield what a list holds, and the lists in it."""
    if not isinstance(value, list):
        yield value
        return
    for part in value:
        yield from _flat(part)


def _said(path: Path | None, item: Item) -> str | None:
    """Return what stands at a path that need not be there, as text; None for nothing, null, false and ""."""
    found = None if path is None else path.first(item.document)
    return None if found is None or found is False or found == "" else str(found)[:SHOWN]


def _text(path: Path, item: Item) -> Text:
    said = _one(path, item.document)
    if not isinstance(said, str):
        raise WireError(f"{path.text} must be a text, not {brief(said)}")
    return Text(said)


def _name(name: Any) -> str:
    if type(name) not in (str, int) or name == "":
        raise WireError(f"a name must be a text that is not empty, not {brief(name)}")
    return str(name)


def _score(score: Any) -> float | None:
    if score is not None and not is_number(score):
        raise WireError(f"a score must be a finite number, not {brief(score)}")
    return None if score is None else float(score)
