"""Reading of targets from the command line."""

from __future__ import annotations

from bbquery.errors import UsageError
from bbquery.specification import split


def targets(text: str | None) -> list[str] | None:
    r"""Return the targets that commas separate; a comma within one is written `\,`. None: none was given.

    Raises:
        UsageError: a target is empty.
    """
    if text is None:
        return None
    found = [part.strip() for part in split(text)]
    if not all(found):
        raise UsageError(f"--target {text!r} names an empty label: separate labels by single commas")
    return found


def target(text: str | None) -> str | None:
    r"""Return the one target of a command that takes no more; a comma within it may be written `\,` or as it is."""
    return None if text is None else ",".join(split(text))
