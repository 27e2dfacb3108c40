"""A reader of torch's older checkpoint files that admits tensors only, and needs no torch.

Such a file (`torch.save` before version 1.6) is a sequence of pickles and then the numbers:

    magic number | protocol version | system | object | storage keys | for each key: its length (int64), its numbers

The object refers to its storages by persistent IDs ('storage', type, key, device, length, view). A pickle is a program,
so what this one may name is limited to what a dictionary of tensors is made of:

1. Each name maps to a stand-in here; any other name is refused, so nothing is imported and no foreign code is called.
2. No stand-in has attributes that a pickle could set: a built-in type, strings, and an instance without a `__dict__`.
3. A tensor is a view that numpy bounds-checks against its storage, and has no more elements than its storage.

4. Its instructions are looked through before it is run: none may keep an object under a number beyond the file's size,
   for which room would be made, nor say that more bytes follow than there are.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from bbquery.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

MAGIC: Final = 0x1950A86A20F9469CFC6C
PROTOCOL: Final = 1001

_MALFORMED: Final = (
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    ImportError,
    IndexError,
    KeyError,
    MemoryError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What unpickling, or making an array of what was unpickled, raises on bytes that are not what they should be."""

_KEEPING: Final = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
"""Instructions that keep an object under a number; the library makes room for all numbers below it."""


def read(data: bytes, source: str) -> dict[str, NDArray[Any]]:
    """Return the tensors of a checkpoint by name: read-only float32 or int64 arrays, of any strides, into `data`.

    source: where `data` is from, for messages.

    Raises:
        UsageError: it is not such a checkpoint, is cut short, or asks for anything but tensors.
    """
    file = io.BytesIO(data)
    try:
        _check_head(file)
        tensors = _tensors(_unpickled(file))
        storages = _storages(file, tensors)
        return {name: _array(tensor, storages[tensor.storage.key]) for name, tensor in tensors.items()}
    except _MALFORMED as error:
        reason = str(error) or type(error).__name__
        raise UsageError(f"cannot read the checkpoint {source}: {reason}; install its package again") from error


class _Storage(NamedTuple):
    """A run of `length` numbers somewhere behind the pickles."""

    dtype: str
    key: str
    length: int


class _Tensor(NamedTuple):
    """A view into a storage, in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Rebuild:
    """Stands in for torch's function of that name."""

    __slots__ = ()

    def __call__(
        self, storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_training: object
    ) -> _Tensor:
        return _Tensor(storage, offset, shape, strides)


_STAND_INS: Final[dict[tuple[str, str], Any]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _Rebuild(),
    ("torch", "FloatStorage"): "<f4",
    ("torch", "LongStorage"): "<i8",
}


class _Unpickler(pickle.Unpickler):
    """Unpickles tensors and what holds them."""

    def find_class(self, module: str, name: str, /) -> Any:
        """Return the stand-in of a name; refuse any other."""
        if (module, name) not in _STAND_INS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, and only tensors are admitted")
        return _STAND_INS[module, name]

    def persistent_load(self, pid: Any, /) -> _Storage:
        """Return the storage that a persistent ID stands for."""
        match pid:
            case ("storage", "<f4" | "<i8" as dtype, str(key), str(), int(length), None):
                return _Storage(dtype, key, length)
        raise pickle.UnpicklingError(f"{pid!r} is not a storage of float32 or int64 numbers")


def _unpickled(file: io.BytesIO) -> Any:
    """Return what the pickle at this place of a file holds, and go to its end."""
    start = file.tell()
    for instruction, argument, _ in pickletools.genops(file):  # which has the bytes that it says, or raises ValueError
        if instruction.name in _KEEPING and (argument or 0) > len(file.getbuffer()):
            raise pickle.UnpicklingError(f"it keeps an object under the number {argument}, more than it has bytes")
    file.seek(start)
    return _Unpickler(file).load()


def _check_head(file: io.BytesIO) -> None:
    magic, protocol, system = (_unpickled(file) for _ in range(3))
    if (magic, protocol) != (MAGIC, PROTOCOL):
        raise pickle.UnpicklingError("it does not begin as torch's older checkpoint files do")
    if system["little_endian"] is not True:
        raise pickle.UnpicklingError("its numbers are big-endian")


def _tensors(loaded: object) -> Mapping[str, _Tensor]:
    if not isinstance(loaded, OrderedDict):
        raise pickle.UnpicklingError(f"it holds a {type(loaded).__name__} where a dictionary of tensors should be")
    for name, value in loaded.items():
        if not (isinstance(name, str) and isinstance(value, _Tensor) and isinstance(value.storage, _Storage)):
            raise pickle.UnpicklingError(f"its entry {name!r} is not a tensor")
    return loaded


def _storages(file: io.BytesIO, tensors: Mapping[str, _Tensor]) -> dict[str, bytes]:
    """Read the numbers of every storage, in the order of the file."""
    declared = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    found = {}
    for key in _unpickled(file):
        storage = declared[key]
        size = storage.length * np.dtype(storage.dtype).itemsize
        if int.from_bytes(file.read(8), "little") != storage.length:
            raise pickle.UnpicklingError(f"its storage {key} is not as long as declared")
        found[key] = file.read(size)
        if len(found[key]) != size:
            raise pickle.UnpicklingError("it is cut short")
    return found


def _array(tensor: _Tensor, storage: bytes) -> NDArray[Any]:
    """Return the view; numpy raises ValueError where it would leave the storage."""
    dtype = np.dtype(tensor.storage.dtype)
    if math.prod(tensor.shape) > tensor.storage.length:
        raise pickle.UnpicklingError(f"a tensor of shape {tensor.shape} is larger than its storage")
    strides = tuple(step * dtype.itemsize for step in tensor.strides)
    return np.ndarray(tensor.shape, dtype, buffer=storage, offset=tensor.offset * dtype.itemsize, strides=strides)
