"""Reading of targets from the command line."""

from __future__ import annotations

import re

from bbquery.errors import UsageError
from bbquery.specification import split

BOX = re.compile(r"\[[\d.,\s]*\]")
"""The box of a target such as `bicycle[0.1,0.2,0.5,0.9]`, whose commas separate no targets."""


def targets(text: str | None) -> list[str] | None:
    r"""Return the targets that commas separate; None where none was given.

    A comma within one is written `\,`; those of a box, as in `bicycle[0.1,0.2,0.5,0.9]`, as they are.

    Raises:
        UsageError: a target is empty.
    """
    if text is None:
        return None
    found = [part.strip() for part in split(BOX.sub(lambda box: box[0].replace(",", r"\,"), text))]
    if not all(found):
        raise UsageError(f"--target {text!r} names an empty label: separate labels by single commas")
    return found


def target(text: str | None) -> str | None:
    r"""Return the one target of a command that takes no more; a comma within it may be written `\,` or as it is."""
    return None if text is None else ",".join(split(text))
