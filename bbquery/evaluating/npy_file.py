"""One array from a .npy file that a person named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bbquery.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def read(path: Path, what: str) -> NDArray[Any]:
    """Return the array, of any shape and dtype but objects, which could run code. what: it should be, for messages.

    Raises:
        UsageError: there is none.
    """
    try:
        with path.open("rb") as file:
            return np.lib.format.read_array(file, allow_pickle=False)
    except OSError as error:
        raise UsageError(f"cannot read the {what} {path} ({error.strerror or error})") from error
    except (ValueError, EOFError) as error:
        raise UsageError(
            f"cannot read the {what} {path}: it is no .npy file of one array of numbers, as numpy.save writes them"
        ) from error
