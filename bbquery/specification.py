r"""The text of a specification: `NAME` or `NAME:key=value,key=value`, taken apart and put together.

A name is a module ("rise") or an attribute of one's own module (`pkg.mod:attribute`).

A comma within a value is written `\,`: `openai:model=gpt-4o-mini,prompt=A cat\, or a dog?`. A backslash stands for
itself everywhere but before a comma, where two stand for one: `key=ends with a backslash\\,next=1`.
"""

from __future__ import annotations

import re
from dataclasses import is_dataclass

from bbquery.errors import UsageError

BEFORE_COMMA = re.compile(r"(\\*),")
BEGINS = re.compile(r"[\w.]+(:|$)|$")  # a specification, up to its options, or an empty one; `key=value` begins none


def parse(specification: str) -> tuple[str, dict[str, str]]:
    """Split `NAME:key=value,…` into the name and its options.

    A colon after which no `=` comes belongs to the name (`pkg.mod:attribute`).

    Raises:
        UsageError: an option without `=`, an empty name, or an option given twice.
    """
    name, colon, rest = specification.partition(":")
    if colon and "=" not in rest.split(",")[0].split(":")[0]:
        attribute, colon, rest = rest.partition(":")
        name = f"{name}:{attribute}"
    if not name or name.startswith((":", ".")) or name.endswith(":"):
        raise UsageError(f"{specification!r} names nothing: write NAME or NAME:key=value")
    return name, parse_options(rest, specification)


def parse_options(text: str, whole: str) -> dict[str, str]:
    """Split `key=value,…` into options, each key with its text. whole: what an error quotes.

    Raises:
        UsageError: an option without `=`, or given twice.
    """
    options: dict[str, str] = {}
    for pair in split(text) if text else ():
        key, equals, value = pair.partition("=")
        if not equals or not key or key in options:
            raise UsageError(
                f"cannot read the option {pair!r} of {whole!r}: give each once, as key=value,key=value, "
                "and write a comma within a value as \\,"
            )
        options[key] = value
    return options


def split(text: str) -> list[str]:
    """Split at commas, but not at those after an odd number of backslashes; half the backslashes there are kept."""
    pieces, end = [""], 0
    for found in BEFORE_COMMA.finditer(text):
        kept, within = divmod(len(found[1]), 2)
        pieces[-1] += text[end : found.start()] + "\\" * kept
        if within:
            pieces[-1] += ","
        else:
            pieces.append("")
        end = found.end()
    pieces[-1] += text[end:]
    return pieces


def split_specifications(text: str) -> list[str]:
    """Return the specifications of a list, in its order: `rise,lr:sigma=8,batch=64,occlusion` holds three.

    A piece that looks like `key=value` belongs to what stands before it.
    """
    found: list[str] = []
    escaped = False
    for piece in text.split(","):
        if found and (escaped or not BEGINS.match(piece.strip())):
            found[-1] += f",{piece}"
        else:
            found.append(piece.strip())
        escaped = (len(piece) - len(piece.rstrip("\\"))) % 2 == 1
    return found


def with_option(specification: str, key: str, value: object) -> str:
    """Return a specification with this option, unless it has one of that name."""
    options = parse(specification)[1]
    if key in options:
        return specification
    last = specification[len(specification.rstrip("\\")) :]  # backslashes that no comma followed so far
    written = BEFORE_COMMA.sub(r"\1\1\\,", str(value))
    return f"{specification}{f'{last},' if options else ':'}{key}={written}"


def constructor(configured: object) -> str:
    """Return a configured algorithm as its constructor call; one that is no dataclass as the name of its type."""
    return repr(configured) if is_dataclass(configured) else type(configured).__name__


def type_name(configured: object) -> str:
    """Return what a configured algorithm is called: its constructor's name."""
    return constructor(configured).partition("(")[0]
