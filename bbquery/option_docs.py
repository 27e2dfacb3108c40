"""Documentation of the options of a class or function, for people: type, default, range and a line of what each does.

One source: types and defaults are those of the signature, and lines are those of the docstring, of its own class or of
one it inherits from:

Args:
        cells: cells along each side of a mask's grid; at least 1.

What stands behind the last semicolon is the range, if it begins as `RANGE` says.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bbquery.errors import UsageError
from bbquery.estimators import GradientEstimator
from bbquery.options import annotation_of
from bbquery.saliency import Method
from bbquery.saliency._picture import Picture
from bbquery.scoring.base import Score

RANGE = re.compile(r"(at least|at most|above|below|any number|-?[\d.,]+ to )")
SECTION = re.compile(r"^(Args|Raises|Returns|Yields):\n(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
ENTRY = re.compile(r"^ {4}(\w+): (.*(?:\n {5,}.*)*)", re.MULTILINE)
FROM_PYTHON = "an object, from Python only"
NAMES: dict[Any, str] = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    GradientEstimator: "an estimator",
    Method: "a method",
    Score: "a score",
    Picture: "image:PATH",
    type(None): "none",
}


@dataclass(frozen=True, kw_only=True)
class OptionDoc:
    """An option. default: as it is typed, None where it must be given. range: "" where the type says it all."""

    name: str
    type: str
    default: str | None
    range: str
    line: str


def about(made: Callable[..., Any]) -> str:
    """Return what a docstring says beside its sections, such as that of the options."""
    return re.sub(r"\n{3,}", "\n\n", SECTION.sub("", inspect.getdoc(made) or "")).strip()


def options_of(
    made: Callable[..., Any], parameters: Mapping[str, inspect.Parameter], name_of: Callable[[object], str]
) -> list[OptionDoc]:
    """Return options of a class or function. name_of: returns how an object is named on the command line."""
    lines = lines_of(made)
    return [_option(made, each, lines.get(key, ""), name_of) for key, each in parameters.items()]


def lines_of(made: Callable[..., Any]) -> dict[str, str]:
    """Return what docstrings say of each option; a class says it in place of those it inherits from."""
    homes = reversed(made.__mro__) if inspect.isclass(made) else (made,)
    sections = [found for home in homes for found in SECTION.findall(inspect.cleandoc(home.__doc__ or ""))]
    entries = [entry for kind, text in sections if kind == "Args" for entry in ENTRY.findall(text)]
    return {name: " ".join(text.split()) for name, text in entries}


def _option(
    made: Callable[..., Any], parameter: inspect.Parameter, text: str, name_of: Callable[[object], str]
) -> OptionDoc:
    line, _, last = text.rpartition("; ")
    ranged = bool(line) and RANGE.match(last) is not None
    return OptionDoc(
        name=parameter.name,
        type=_type(made, parameter),
        default=_default(made, parameter, name_of),
        range=last.removesuffix(".") if ranged else "",
        line=f"{line}." if ranged else text,
    )


def _type(made: Callable[..., Any], parameter: inspect.Parameter) -> str:
    try:
        return said(annotation_of(made, parameter))
    except UsageError:
        return FROM_PYTHON


def said(hint: Any) -> str:
    """Return an annotation in words: "whole number or none"."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return " | ".join(map(str, inner))
    if origin in (typing.Union, types.UnionType):
        parts = sorted(dict.fromkeys(map(said, inner)), key=lambda part: part == NAMES[type(None)])
        typed = [part for part in parts if part != FROM_PYTHON] or parts
        return " or ".join(typed)
    if origin is tuple or (inspect.isclass(origin) and origin.__name__ == "Sequence"):
        return f"one or several, separated by |: {said(inner[0])}"
    if origin is Callable:
        return "package.module:function"
    return NAMES.get(hint, FROM_PYTHON)


def _default(made: Callable[..., Any], parameter: inspect.Parameter, name_of: Callable[[object], str]) -> str | None:
    """Return the default as it is typed; that of a field which is made anew for each object is made."""
    fields = dataclasses.fields(made) if inspect.isclass(made) and dataclasses.is_dataclass(made) else ()
    for field in fields:
        if field.name == parameter.name and field.default_factory is not dataclasses.MISSING:
            return name_of(field.default_factory())
    return None if parameter.default is parameter.empty else typed(parameter.default)


def typed(value: object) -> str:
    """Return a value as it is typed: true, none, .7|.3."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, tuple):
        return "|".join(map(typed, value)) or "none"
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)
