"""The text of a call from Python: what a person runs to do the same again.

A value that a program can write stands as itself; any other, such as an array or a function, by the name of what it is.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from decimal import Decimal
from inspect import Parameter, Signature

import numpy as np

LONGEST_LINE = 88  # characters; a longer call has a line for each argument
LONGEST_VALUE = 200  # characters of a value; a longer one stands by its name
NO_MATTER = frozenset({"progress", "watch"})
"""Arguments that change nothing that is asked or found."""


def call_text(function: str, arguments: Mapping[str, object], signature: Signature) -> str:
    """Return the lines of a program with a call of one of bbquery's public functions. arguments: as they were bound."""
    found = {name: _value(value) for name, value in arguments.items() if name not in NO_MATTER}
    stand_for = {name: _name(name, arguments[name]) for name, text in found.items() if text is None}
    said = [
        _argument(name, stand_for.get(name) or text or "", signature.parameters[name]) for name, text in found.items()
    ]
    return program(function, said, f"# {', '.join(stand_for.values())}: as they were given\n" if stand_for else "")


def program(function: str, arguments: Sequence[str], remark: str = "") -> str:
    """Return the lines of a program with a call, which has a line for each argument where it is long.

    function: its name within bbquery. remark: lines of comment before it.
    """
    line = f"found = bbquery.{function}({', '.join(arguments)})"
    if len(line) > LONGEST_LINE:
        lines = "".join(f"    {each},\n" for each in arguments)
        line = f"found = bbquery.{function}(\n{lines})"
    return f"import bbquery\n\n{remark}{line}"


def _argument(name: str, text: str, parameter: Parameter) -> str:
    return text if parameter.kind is Parameter.POSITIONAL_OR_KEYWORD else f"{name}={text}"


def _value(value: object) -> str | None:
    """Return a value as a program writes it; None where it cannot."""
    text: str | None
    match value:
        case None | bool() | int() | str():
            text = repr(value)
        case float():
            text = repr(value) if math.isfinite(value) else None
        case np.generic():
            text = _value(value.item())
        case Decimal():
            text = repr(str(value))
        case os.PathLike():
            text = repr(os.fspath(value))
        case list() | tuple():
            items = [_value(each) for each in value]
            text = None if None in items else f"[{', '.join(map(str, items))}]"
        case _:
            text = None
    return text if text is not None and len(text) <= LONGEST_VALUE else None


def _name(name: str, value: object) -> str:
    """Return what stands for a value: a function's own name, else that of the argument."""
    own = getattr(value, "__name__", "")
    return own if isinstance(own, str) and own.isidentifier() else name
