"""Messages in the words of whoever reads them: an option of the command line is a keyword argument from Python.

Messages name options as they are typed on a command line, `--max-queries 500`. Where the caller is a program, they name
its own arguments, `max_queries=500`; whole commands in quotes, and options that are no argument, stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Container
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bbquery.errors import BbqueryError

COMMAND_OR_OPTION = re.compile(
    r"""(?P<command>'bbquery\ (?:'[^']*'|[^'])*')   # with what is quoted within it
    |(?<![\w-])--(?P<option>[a-z][a-z0-9-]*)
    (?P<space>\ (?=[A-Z'\d]|\w*\d|\w+[:,]\w))?      # before a value, and not before a further word
    """,
    re.VERBOSE,
)


def in_python(message: str, arguments: Container[str] | None = None) -> str:
    """Return a message with options written as these arguments of a call; None: as arguments, whatever they are."""

    def written(found: re.Match[str]) -> str:
        name = (found["option"] or "").replace("-", "_")
        if not name or (arguments is not None and name not in arguments):
            return found[0]
        return f"{name}=" if found["space"] else name

    return COMMAND_OR_OPTION.sub(written, message)


def translate(error: BbqueryError, arguments: Container[str]) -> None:
    """Let an error's message name arguments of a call."""
    error.args = (in_python(str(error), arguments),)
