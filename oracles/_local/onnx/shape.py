"""The shapes of a model's input and output, read as those of a classifier of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bbquery.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oracles._shared.preprocessing import Layout

DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
}
COLOURS = 3


@dataclass(frozen=True, kw_only=True)
class Input:
    """What a model takes: one image at a time, of this size (height, width), layout and NumPy dtype."""

    name: str
    layout: Layout
    size: tuple[int, int]
    dtype: str


def image_input(
    inputs: Sequence[Any], size: tuple[int, int] | None, layout: Layout | None, largest: int = 4096
) -> Input:
    """Return the one input of a model.

    inputs: ONNX Runtime's descriptions. size and layout: the user's, for what the model leaves open.

    Raises:
        UsageError: it is not an image's, contradicts the user, or leaves open what the user does not say.
    """
    if len(inputs) != 1:
        names = ", ".join(repr(i.name) for i in inputs) or "none"
        raise UsageError(f"a classifier of images has one input; this model has {len(inputs)}: {names}")
    (given,) = inputs
    said = f"its input {given.name!r} is {given.type} {given.shape}"
    if given.type not in DTYPES:
        raise UsageError(f"{said}: it must be of float, float16, double or uint8")
    if len(given.shape) != 4:
        raise UsageError(f"{said}: an image's has four dimensions, batch, height, width and channels")
    if _fixed(given.shape[0]) not in (None, 1):
        raise UsageError(f"{said}: export it with a batch of 1, or of any size, since images are run one by one")
    found = _layout(given.shape, layout, said)
    shape = given.shape[2:4] if found == "NCHW" else given.shape[1:3]
    wanted = _size(shape, size, said)
    if not all(1 <= side <= largest for side in wanted):
        raise UsageError(f"size must be 1 to {largest} pixels a side, not {wanted[0]}x{wanted[1]}")
    return Input(name=given.name, layout=found, size=wanted, dtype=DTYPES[given.type])


def output_name(outputs: Sequence[Any], name: str | None) -> str:
    """Return the name of the output to read: the only one, or the one that the user names.

    Raises:
        UsageError: there are several and none is named, or none of that name.
    """
    names = [output.name for output in outputs]
    if name is not None and name not in names:
        raise UnknownName("output of the model", name, names)
    if name is None and len(names) > 1:
        raise UsageError(f"the model has several outputs: name one as output={names[0]} (there are {', '.join(names)})")
    return str(name or names[0])


def read_size(size: str | int | Sequence[int] | None) -> tuple[int, int] | None:
    """Return height and width: of a square's side, of "224", of "240x320", or of two numbers.

    Raises:
        UsageError: it is none of these.
    """
    if size is None:
        return None
    parts = size.lower().split("x") if isinstance(size, str) else [size] if isinstance(size, int) else list(size)
    try:
        sides = [int(part) for part in parts]
    except (TypeError, ValueError):
        sides = []
    if len(sides) not in (1, 2) or min(sides) < 1:
        raise UsageError(f"size must be HEIGHTxWIDTH, such as 224x224, or the side of a square, not {size!r}")
    return sides[0], sides[-1]


def _fixed(dimension: Any) -> int | None:
    """Return a dimension's size, None where the model leaves it open (a name, or nothing)."""
    return dimension if isinstance(dimension, int) and dimension > 0 else None


def _layout(shape: Sequence[Any], wanted: Layout | None, said: str) -> Layout:
    first, last = _fixed(shape[1]), _fixed(shape[3])
    possible: list[Layout] = []
    if first == COLOURS or (first is None and last != COLOURS):
        possible.append("NCHW")
    if last == COLOURS or (last is None and first != COLOURS):
        possible.append("NHWC")
    if not possible:
        raise UsageError(f"{said}: it must have {COLOURS} channels, after the batch or last")
    if wanted is None and len(possible) > 1:
        raise UsageError(f"{said}: say whether channels come first or last, as layout=NCHW or layout=NHWC")
    if wanted is not None and wanted not in possible:
        raise UsageError(f"{said}: that is {possible[0]}, not layout={wanted}")
    return wanted or possible[0]


def _size(shape: Sequence[Any], wanted: tuple[int, int] | None, said: str) -> tuple[int, int]:
    height, width = map(_fixed, shape)
    if wanted is None and (height is None or width is None):
        raise UsageError(f"{said}: it takes any size, so say which to send, as size=224x224")
    if wanted is None:
        return height or 0, width or 0
    if wanted[0] != (height or wanted[0]) or wanted[1] != (width or wanted[1]):
        raise UsageError(f"{said}: it does not take size={wanted[0]}x{wanted[1]}; leave the option out")
    return wanted
