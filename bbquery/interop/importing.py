"""Import of another library where it is first needed, and what is said where that fails."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Iterator

from bbquery.errors import MissingExtra, UsageError

OF_NO_CONCERN = (
    "PyTorch not found. Not importing DeepZ",  # ART, of a part that no attack needs which only asks
    "Please import `gaussian_filter`",  # SciPy, of where Foolbox imports it from
)
"""Beginnings of what libraries warn of when they are imported, which nobody who attacks can do anything about."""


@contextlib.contextmanager
def importing(extra: str, purpose: str) -> Iterator[None]:
    """Around an import: say which extra brings a library that is absent.

    Raises:
        MissingExtra: it is not installed. UsageError: it cannot be imported.
    """
    try:
        with warnings.catch_warnings():
            for beginning in OF_NO_CONCERN:
                warnings.filterwarnings("ignore", re.escape(beginning))
            yield
    except ModuleNotFoundError as error:
        raise MissingExtra(extra, purpose, error.name or extra) from error
    except ImportError as error:  # of Foolbox, where there is no git
        raise UsageError(f"{purpose} cannot be had, since importing it failed: {error}") from error
