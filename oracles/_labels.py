"""The names of classes, as people keep them in files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from bbquery.errors import UsageError
from bbquery.types import Classes
from oracles._efficientnet import labels as imagenet

IMAGENET = "imagenet"

_KEYED = re.compile(r"(n\d{8}) (.+)")


def read_labels(path: str | Path) -> Classes:
    """Return the classes in a file, or those of ImageNet if `path` is "imagenet".

    The file holds a class a line, in the order of the model's numbers: its name, further names after ", ", before them
    perhaps a WordNet ID and a space ("n02123045 tabby, tabby cat"). Or, named .json, a list of names or an object of
    names by index ({"0": "tench", ...}); a name may be a list of names.

    Raises:
        UsageError: it cannot be read, or is not such a file. MissingExtra: the package with ImageNet's names is absent.
    """
    if str(path) == IMAGENET:
        return imagenet.classes()
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the labels in {str(path)!r}: {_reason(error)}") from error
    return classes_of(_listed(text, str(path)) if file.suffix == ".json" else _lines(text), f"the labels in {path}")


def classes_of(names: Any, source: str) -> Classes:
    """Return the classes with these names: a list of names or of lists of names. source: where they are from.

    Raises:
        UsageError: they are not that.
    """
    if not isinstance(names, list) or not names:
        raise UsageError(f"{source} must be a list of names that is not empty")
    listed = [[name] if isinstance(name, str) else name for name in names]
    for index, synonyms in enumerate(listed):
        if not (isinstance(synonyms, list) and synonyms and all(isinstance(s, str) and s for s in synonyms)):
            raise UsageError(f"{source}: class {index} must be a name or a list of names, not {names[index]!r:.60}")
    keyed = [_KEYED.fullmatch(synonyms[0]) for synonyms in listed]
    keys = [match[1] for match in keyed if match]
    if len({key.lower() for key in keys}) < len(listed):
        return Classes(tuple(map(tuple, listed)))
    bare = ((match[2], *synonyms[1:]) for match, synonyms in zip(keyed, listed, strict=True) if match)
    return Classes(tuple(bare), tuple(keys))


def _lines(text: str) -> list[list[str]]:
    return [line.strip().split(", ") for line in text.strip().splitlines()]


def _listed(text: str, path: str) -> Any:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise UsageError(f"the labels in {path} are not JSON: {error}") from error
    if not isinstance(content, dict):
        return content
    missing = [index for index in range(len(content)) if str(index) not in content]
    if missing:
        raise UsageError(f"the labels in {path} must be by index from 0 on; {missing[0]} is missing")
    return [content[str(index)] for index in range(len(content))]


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
