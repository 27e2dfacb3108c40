"""Import of another library where it is first needed, and what is said where that fails."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from bbquery.errors import MissingExtra, UsageError


@contextlib.contextmanager
def importing(extra: str, purpose: str) -> Iterator[None]:
    """Around an import: say which extra brings a library that is absent.

    Raises:
        MissingExtra: it is not installed. UsageError: it cannot be imported.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtra(extra, purpose, error.name or extra) from error
    except ImportError as error:  # of Foolbox, where there is no git
        raise UsageError(f"{purpose} cannot be had, since importing it failed: {error}") from error
