"""The answers in a server's response, found by paths."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from bbquery.types import Classes, NoAnswer, Text, Vector, folded
from oracles._http.template.paths import EVERY
from oracles._http.wire.answers import labels, said_of, scored, served_as, vector
from oracles._http.wire.fields import WireError, parsed
from oracles._shared.activation import softmax
from oracles._shared.scored_labels import Scored
from oracles._shared.texts import brief

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bbquery.types import Answer, AnswerKind, Labels
    from oracles._http.template.boxes import BoxReader, Size
    from oracles._http.template.ending import Ending
    from oracles._http.template.paths import Path


class Item(NamedTuple):
    """What a response says of one image. size: the image's. numbers: its share of a list with those of all images."""

    document: Any
    size: Size
    numbers: list[Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Where the parts of an answer stand. Paths are of an image's item, where `items` finds them, or of the response.

    values: numbers in the order of the classes. names, scores: of labels, or of classes in any order; mapping: an
    object of scores by name in place of both. boxes: of labels. text: a text, or its parts. refused, filtered, error:
    what is there if the image was not answered, or failed. ending: how the answer ended. served: the model version.
    apply_softmax: the numbers are logits.
    """

    kind: AnswerKind
    items: Path | None = None
    values: Path | None = None
    names: Path | None = None
    scores: Path | None = None
    mapping: Path | None = None
    text: Path | None = None
    refused: Path | None = None
    filtered: Path | None = None
    boxes: BoxReader | None = None
    ending: Ending | None = None
    error: Path | None = None
    served_by: Path | None = None
    apply_softmax: bool = False
    classes: Classes | None = None

    def split(self, body: bytes, sizes: Sequence[Size]) -> list[Item]:
        """Return one item an image, not yet read. sizes: of the images as they were sent.

        Raises:
            WireError: the body is not JSON, or does not hold one item an image.
        """
        response = parsed(body)
        if self.items is not None:
            found = self.items.select(response)
            if len(found) != len(sizes):
                raise WireError(f"{len(found)} answers at {self.items.text} to {len(sizes)} images")
            return [Item(document, size) for document, size in zip(found, sizes, strict=True)]
        if len(sizes) == 1:
            return [Item(response, sizes[0])]
        rows = self._rows(response, len(sizes))
        return [Item(response, size, row) for size, row in zip(sizes, rows, strict=True)]

    def failure(self, item: Item) -> str | None:
        """Return why an image failed alone, None where it did not."""
        return _said(self.error, item)

    def served(self, item: Item) -> str | None:
        """Return which model answered, None where it is not said."""
        found = None if self.served_by is None else self.served_by.first(item.document)
        return served_as(found)

    def answer(self, item: Item) -> Answer:
        """Return the answer in an item.

        Raises:
            WireError: there is none, or it is not what was promised.
        """
        refusal = _said(self.refused, item)
        if refusal is not None:
            return NoAnswer(refusal)
        veto = _said(self.filtered, item)
        if veto is not None:
            return NoAnswer(veto, "filtered")
        if self.text is None:
            return self._labels(item) if self.kind == "labels" else self._vector(item)
        text = functools.partial(_text, self.text, item)
        return text() if self.ending is None else self.ending.answer(item.document, text)

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

    def _in_order(self, numbers: Sequence[Scored]) -> list[Any]:
        """Return the numbers in the order of the classes, from names and scores in any order."""
        by_index = {self._index(one.name): one.score for one in numbers}
        classes = self.classes or Classes(())
        missing = [classes.show(index) for index in range(len(classes)) if index not in by_index]
        if missing:
            raise WireError(
                f"no number for {brief(missing[0])} and {len(missing) - 1} other classes: have the server tell all, "
                f'or say kind = "labels"'
            )
        return [by_index[index] for index in range(len(classes))]

    def _index(self, name: str) -> int:
        found = self._indices.get(name) or self._folded.get(folded(name), ())
        if len(found) != 1:
            raise WireError(f"{brief(name)} is the name of {len(found)} classes")
        return found[0]

    @cached_property
    def _folded(self) -> dict[str, tuple[int, ...]]:
        """The same by names as they are compared: a server may compose accents otherwise."""
        indices = dict[str, tuple[int, ...]]()
        for name, found in self._indices.items():
            indices[folded(name)] = tuple(dict.fromkeys((*indices.get(folded(name), ()), *found)))
        return indices

    @cached_property
    def _indices(self) -> dict[str, tuple[int, ...]]:
        """Classes by key and by each of their names."""
        classes, indices = self.classes or Classes(()), dict[str, tuple[int, ...]]()
        for index, names in enumerate(classes.names):
            for name in {*names, *classes.keys[index : index + 1]}:
                indices[name] = (*indices.get(name, ()), index)
        return indices

    def _labels(self, item: Item) -> Labels:
        found = self._scored(item.document)
        return labels(found if self.boxes is None else self.boxes.placed(found, item.document, item.size))

    def _scored(self, document: Any) -> list[Scored]:
        """Return names and scores, None where there are no scores."""
        if self.mapping is not None:
            return _by_name(self.mapping, document)
        if self.names is None:
            return []
        if self.scores is None:
            return _named(self.names.select(document))
        beside = self._beside(self.names, self.scores, document)
        if beside is not None:
            return beside
        names, scores = [list(_flat(path.select(document))) for path in (self.names, self.scores)]
        if len(names) != len(scores):
            raise WireError(f"{len(scores)} scores for {len(names)} names")
        return [Scored(_name(name), score) for name, score in zip(names, scores, strict=True)]

    def _beside(self, names: Path, scores: Path, document: Any) -> list[Scored] | None:
        """Return names and scores where each name and its score stand in one element, of which some may have no score.

        None where they do not stand so, or no element has a score: the path is wrong then.
        """
        shared = names.shared(scores)
        if not shared.steps or shared.steps[-1] is not EVERY:
            return None
        name, score = names.after(shared), scores.after(shared)
        found = [(_one(name, element), score.first(element)) for element in shared.select(document)]
        if any(isinstance(called, list) for called, _ in found) or all(said is None for _, said in found):
            return None
        return [Scored(_name(called), said) for called, said in found]


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


def _by_name(path: Path, document: Any) -> list[Scored]:
    """Return what an object of scores by name says, or a list of names that have their scores beside them."""
    found = _one(path, document)
    named = scored(found)
    if not isinstance(found, dict) and all(one.score is None for one in named):
        raise WireError(f"{path.text} must be scores by name, not {brief(found)}")
    return named


def _named(found: list[Any]) -> list[Scored]:
    """Return what a path to names finds: names, nested or not, or names with their scores beside them."""
    flat = list(_flat(found))
    if any(isinstance(part, dict | float) for part in flat):
        return scored(found[0] if len(found) == 1 else found)
    return [Scored(_name(name)) for name in flat]


def _said(path: Path | None, item: Item) -> str | None:
    """Return what stands at a path that need not be there, as text; None for nothing, null, false, 0 and ""."""
    return None if path is None else said_of(path.first(item.document))


def _text(path: Path, item: Item) -> Text:
    """Return the text at a path, or its parts together where the path chooses among elements."""
    parts = path.select(item.document) if path.is_choice else [_one(path, item.document)]
    for part in parts:
        if not isinstance(part, str):
            raise WireError(f"{path.text} must be a text, not {brief(part)}")
    return Text("".join(parts))


def _name(name: Any) -> str:
    if type(name) not in (str, int) or name == "":
        raise WireError(f"a name must be a text that is not empty, not {brief(name)}")
    return str(name)
