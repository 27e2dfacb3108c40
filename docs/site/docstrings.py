"""Options in docstrings, which run on in a paragraph, as a list with an item for each: for the Python reference."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import griffe

if TYPE_CHECKING:
    from collections.abc import Collection

WORD = re.compile(r"(?:^|(?<=[.;:]) )((?:\w+, )*\w+): ")


class OptionsAsLists(griffe.Extension):
    """Rewrites the docstrings of functions and classes while they are read."""

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        """Rewrite a function's: its parameters are its options."""
        _rewrite(func, {parameter.name for parameter in func.parameters})

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        """Rewrite a class's: its attributes are its options."""
        _rewrite(cls, cls.attributes.keys())


def _rewrite(documented: griffe.Function | griffe.Class, options: Collection[str]) -> None:
    if documented.docstring is not None:
        paragraphs = documented.docstring.value.split("\n\n")
        documented.docstring.value = "\n\n".join(as_list(paragraph, options) for paragraph in paragraphs)


def as_list(paragraph: str, options: Collection[str]) -> str:
    """Return `one: what it is. two: what it is.` as a list; what does not begin with an option, as it is."""
    text = " ".join(paragraph.split())
    found = [each for each in WORD.finditer(text) if set(each[1].split(", ")) <= set(options)]
    if not found or found[0].start():
        return paragraph
    ends = [each.start() for each in found[1:]] + [len(text)]
    names = [", ".join(f"`{name}`" for name in each[1].split(", ")) for each in found]
    said = [text[each.end() : end].strip() for each, end in zip(found, ends, strict=True)]
    return "\n".join(f"- {name}: {what}" for name, what in zip(names, said, strict=True))
