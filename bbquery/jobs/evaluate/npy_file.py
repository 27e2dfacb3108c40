"""One array from a .npy file that a person named."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from bbquery.errors import UsageError
from bbquery.system import user_file

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from numpy.typing import NDArray


def read(path: Path, what: str) -> NDArray[Any]:
    """Return the array, of any shape and dtype but objects, which could run code. what: it should be, for messages.

    Raises:
        UsageError: there is none.
    """
    with user_file.opened(path, f"the {what}") as file:
        try:
            _check_size(file)
            file.seek(0)
            return np.lib.format.read_array(file, allow_pickle=False)
        except (OSError, ValueError, EOFError, TypeError, OverflowError, MemoryError, RecursionError) as error:
            message = "it is no .npy file of one array of numbers, as numpy.save writes them"
            raise UsageError(f"cannot read the {what} {str(path)!r}: {message}") from error


def read_map(path: Path, *, or_gradient: bool = False) -> NDArray[np.float64]:
    """Return a map (H, W). or_gradient: also take (H, W, 3).

    Raises:
        UsageError: there is none.
    """
    values = read(path, "map")
    if not 2 <= values.ndim <= 2 + or_gradient or values.dtype.kind not in "iuf":
        raise UsageError(
            f"{path} is no saliency map: it must hold numbers of shape (height, width), not {values.dtype} of shape "
            f"{values.shape}"
        )
    return values.astype(np.float64)


def _check_size(file: BinaryIO) -> None:
    """See that the file has the numbers that its header promises, before memory is set aside for them.

    Raises:
        ValueError: it has fewer, or it promises what no array can have.
    """
    old = np.lib.format.read_magic(file) == (1, 0)
    header = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
    shape, _, dtype = header(file)
    if any(type(side) is not int or side < 0 for side in shape):
        raise ValueError(f"no array has the shape {shape}")
    if math.prod(shape) * dtype.itemsize > os.fstat(file.fileno()).st_size - file.tell():
        raise ValueError(f"the file is shorter than an array of shape {shape}")
