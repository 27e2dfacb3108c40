"""The names of classes, as people keep them in files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from bbquery.errors import UsageError
from bbquery.system import user_file
from bbquery.types import Classes
from oracles._local.efficientnet import labels as imagenet

IMAGENET = "imagenet"

_KEYED = re.compile(r"(n\d{8}) (.+)")
_KEY = re.compile(r"n\d{8}")
_LINE_END = re.compile(r"\r\n|\n|\r")  # and no other: a name may have what else Unicode calls a line's end
_TABLES = ("id2label", "label2id")  # of the config.json that models on Hugging Face come with


def read_labels(path: str | Path) -> Classes:
    """Return the classes in a file, or those of ImageNet if `path` is "imagenet".

    The file holds a class a line, in the order of the model's numbers: its name, further names after ", ", before them
    perhaps a WordNet ID and a space ("n02123045 tabby, tabby cat"). Or, named .json, a list of names, an object of
    names by index ({"0": "tench", ...}) or of indices by name ({"tench": 0, ...}), or one that has such an object as
    "id2label" or "label2id"; a name may be a list of names, with a WordNet ID first (["n01440764", "tench"]). It is
    UTF-8, or UTF-16 with a byte-order mark; line ends are of any system, and blank lines at the end do not count.

    Raises:
        UsageError: it cannot be read, or is not such a file. MissingExtra: the package with ImageNet's names is absent.
    """
    if str(path) == IMAGENET:
        return imagenet.classes()
    file = Path(path)
    try:
        text = _decoded(user_file.contents(file, "the labels in", most=user_file.LARGEST_TEXT))
    except UnicodeDecodeError as error:
        advice = f"byte {error.start} is not UTF-8: save it as UTF-8"
        raise UsageError(f"cannot read the labels in {str(path)!r}: {advice}") from error
    where = f"the labels in {path}"
    return classes_of(_listed(text, where) if file.suffix.lower() == ".json" else _lines(text, where), where)


def classes_of(names: Any, source: str) -> Classes:
    """Return the classes with these names: a list of names or of lists of names. source: where they are from.

    Raises:
        UsageError: they are not that.
    """
    if not isinstance(names, list) or not names:
        raise UsageError(f"{source} must be a list of names that is not empty")
    listed = [[name] if isinstance(name, str) else name for name in names]
    for index, synonyms in enumerate(listed):
        if not (isinstance(synonyms, list) and synonyms and all(isinstance(s, str) and s.strip() for s in synonyms)):
            raise UsageError(f"{source}: class {index} must be a name or a list of names, not {names[index]!r:.60}")
    keyed = [_keyed([name.strip() for name in synonyms]) for synonyms in listed]
    keys = [key for key, _ in keyed if key]
    if len({key.lower() for key in keys}) < len(listed):
        return Classes(tuple(tuple(name.strip() for name in synonyms) for synonyms in listed))
    return Classes(tuple(tuple(own) for _, own in keyed), tuple(keys))


def _keyed(names: list[str]) -> tuple[str, list[str]]:
    """Return the WordNet ID that a class's names begin with, and the names after it; "" where there is none."""
    match = _KEYED.fullmatch(names[0])
    if match is not None:
        return match[1], [match[2], *names[1:]]
    return (names[0], names[1:]) if len(names) > 1 and _KEY.fullmatch(names[0]) else ("", names)


def _decoded(content: bytes) -> str:
    return content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")


def _lines(text: str, where: str) -> list[list[str]]:
    lines = _LINE_END.split(text.rstrip())
    blank = [number for number, line in enumerate(lines, start=1) if not line.strip()]
    if blank and text.strip():
        raise UsageError(f"{where}: line {blank[0]} is blank, and each line is a class: give it a name, or delete it")
    return [line.strip().split(", ") for line in lines]


def _listed(text: str, where: str) -> Any:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where} are not JSON: {error}") from error
    if not isinstance(content, dict):
        return content
    table = next((content[name] for name in _TABLES if isinstance(content.get(name), dict)), content)
    return _by_index(table, where)


def _by_index(table: dict[str, Any], where: str) -> list[Any]:
    """Return the names of a table of names by index, or of indices by name, in their order."""
    if table and all(isinstance(index, int) and not isinstance(index, bool) for index in table.values()):
        table = {str(index): name for name, index in table.items()}
    missing = [index for index in range(len(table)) if str(index) not in table]
    if missing:
        raise UsageError(f"{where} must be by index from 0 on; {missing[0]} is missing")
    return [table[str(index)] for index in range(len(table))]
