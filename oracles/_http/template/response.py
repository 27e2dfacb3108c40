"""The table `answer` of a template: how a response is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbquery.errors import UsageError
from bbquery.types import AnswerKind
from oracles._http.template.answers import Reader
from oracles._http.template.boxes import read_boxes
from oracles._http.template.ending import read_ending
from oracles._http.template.paths import read_path
from oracles._shared.labels import IMAGENET, classes_of, read_labels

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.types import Classes
    from oracles._http.template import paths
    from oracles._http.template.table import Table

VECTORS = ("probabilities", "scores")


def read_answer(table: Table, folder: Path) -> Reader:
    """Return how a response is read. folder: where a file of classes is looked for.

    Raises:
        UsageError: a value cannot be used, or an answer could not be found. UnknownName: a choice that there is not.
    """
    kind = table.choice("kind", AnswerKind)
    reader = Reader(
        kind=kind,
        items=_path(table, "items"),
        values=_path(table, "values"),
        names=_path(table, "names"),
        scores=_path(table, "scores"),
        mapping=_path(table, "mapping"),
        text=_path(table, "text"),
        refused=_path(table, "refused"),
        filtered=_path(table, "filtered"),
        boxes=read_boxes(table.table("box")),
        ending=read_ending(table),
        error=_path(table, "error"),
        served_by=_path(table, "served"),
        apply_softmax=table.take("softmax", bool, default=False),
        classes=_classes(table, folder),
    )
    table.end()
    _check(reader)
    return reader


def _path(table: Table, key: str) -> paths.Path | None:
    text = table.take(key, str)
    return None if text is None else read_path(text, table.called(key))


def _classes(table: Table, folder: Path) -> Classes | None:
    given = table.take("classes", list, str)
    if isinstance(given, str):
        return read_labels(given if given == IMAGENET else folder / given)
    return None if given is None else classes_of(given, table.called("classes"))


def _check(reader: Reader) -> None:
    """Check that an answer can be found, in one way, and that nothing is given in vain."""
    by_name = [{"mapping"}, {"names", "scores"}]
    ways = {"text": [{"text"}], "labels": [*by_name, {"names"}]}.get(reader.kind, [{"values"}, *by_name])
    given = {way for way in ("values", "names", "scores", "mapping", "text") if getattr(reader, way) is not None}
    if given not in ways:
        possible = ", or ".join(" and ".join(sorted(way)) for way in ways)
        found = " and ".join(sorted(given)) or "none of them"
        raise UsageError(f'answer.kind = "{reader.kind}" takes {possible}; the template gives {found}')
    if reader.boxes is not None and (reader.kind != "labels" or reader.names is None):
        raise UsageError("answer.box says where the things at answer.names are: give answer.names, of labels")
    if reader.ending is not None and reader.kind != "text":
        raise UsageError(f'answer.ended says why a text ended, and answer.kind is "{reader.kind}"')
    if reader.classes is not None and reader.kind not in VECTORS:
        raise UsageError(f'answer.classes are what numbers stand for, and answer.kind = "{reader.kind}" has none')
    if reader.classes is None and reader.kind in VECTORS and reader.values is None:
        raise UsageError("numbers by name are put into the order of answer.classes: give them")
    if reader.apply_softmax and reader.kind != "probabilities":
        raise UsageError(f'answer.softmax makes probabilities, and answer.kind is "{reader.kind}"')
