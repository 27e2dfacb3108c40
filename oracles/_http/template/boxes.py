"""Boxes of labels in a server's response: edges at paths, in pixels or in shares of the image that was sent.

An axis is given by its two ends, by one end and a length, or by its middle and a length. Detectors err at the border,
so what lies up to a tenth of the image beyond it is cut off; a box farther out is of another unit or another image.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from bbquery.errors import UnknownName, UsageError
from bbquery.images.boxes import Box
from oracles._http.template.paths import EVERY, Path, Where, read_path
from oracles._http.wire.fields import WireError
from oracles._shared.numbers import finite
from oracles._shared.texts import brief

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from oracles._http.template.table import Table
    from oracles._shared.scored_labels import Scored

BEYOND: Final = 0.1  # of the image's side, by which an edge may pass the border
UNITS: Final = ("pixels", "shares")
ACROSS: Final = (("left", "right"), ("left", "width"), ("center_x", "width"))
DOWN: Final = (("top", "bottom"), ("top", "height"), ("center_y", "height"))
"""Pairs of numbers that say where a box lies along an axis."""

Unit: TypeAlias = Literal["pixels", "shares"] | float
"""Of the image as it was sent; a number is what its whole width, and its whole height, count."""


class Size(NamedTuple):
    """The image as it was sent, in pixels."""

    height: int
    width: int


@dataclass(frozen=True)
class BoxReader:
    """Where the numbers of boxes stand. across, down: paths by the names of a pair of `ACROSS` and of `DOWN`."""

    across: Mapping[str, Path]
    down: Mapping[str, Path]
    unit: Unit

    def placed(self, labels: Sequence[Scored], document: Any, size: Size) -> list[Scored]:
        """Return labels with their boxes, which the document holds in the same order.

        Raises:
            WireError: there are not as many boxes as labels, or one is none; names the label and the numbers.
        """
        rows = self._rows(document)
        if len(rows) != len(labels):
            raise WireError(f"{len(rows)} boxes for {len(labels)} labels")
        if labels and all(row is None for row in rows):
            raise WireError(f"no label has a box at {', '.join(path.text for path in self._paths.values())}")
        return [
            label if row is None else label._replace(box=self._box(label.name, row, size))
            for label, row in zip(labels, rows, strict=True)
        ]

    @property
    def _paths(self) -> dict[str, Path]:
        return {**self.across, **self.down}

    def _rows(self, document: Any) -> list[dict[str, Any] | None]:
        """Return the numbers of each box by name; None for a label that has none, where each box is an element."""
        paths = self._paths
        element = _element(list(paths.values()))
        if not element.steps:
            columns = [path.select(document) for path in paths.values()]
            if len({len(column) for column in columns}) > 1:
                counts = ", ".join(f"{len(column)} of {name}" for name, column in zip(paths, columns, strict=True))
                raise WireError(f"the numbers of boxes differ in count: {counts}")
            return [dict(zip(paths, numbers, strict=True)) for numbers in zip(*columns, strict=True)]
        rows = []
        for one in element.select(document):
            row = {name: path.after(element).first(one) for name, path in paths.items()}
            rows.append(None if all(said is None for said in row.values()) else row)
        return rows

    def _box(self, label: str, row: Mapping[str, Any], size: Size) -> Box:
        numbers = {name: finite(said) for name, said in row.items()}
        known = {name: number for name, number in numbers.items() if number is not None}
        said = f"the box of {brief(label)} is {', '.join(f'{name} {brief(number)}' for name, number in row.items())}"
        if len(known) < len(row):
            raise WireError(f"{said}: each must be a finite number")
        across, down = _ends(known, *self.across), _ends(known, *self.down)
        if across[0] > across[1] or down[0] > down[1]:
            raise WireError(f"{said}: its left must not be right of its right, nor its top below its bottom")
        width, height = self._sides(size)
        if _outside(across, width) or _outside(down, height):
            raise WireError(f"{said}, outside the image {self._in_words(size)}: is answer.box.unit right?")
        if self.unit == "pixels" and max(across[1], down[1]) <= 1 < max(size):
            raise WireError(f'{said}, all within the first pixel: say unit = "shares" in answer.box if they are shares')
        return Box.around([end / width for end in across], [end / height for end in down])

    def _sides(self, size: Size) -> tuple[float, float]:
        """Return width and height of the image in the unit of boxes."""
        if self.unit == "pixels":
            return size.width, size.height
        return (1.0, 1.0) if self.unit == "shares" else (self.unit, self.unit)

    def _in_words(self, size: Size) -> str:
        if self.unit == "pixels":
            return f"of {size.width} × {size.height} pixels"
        return "of shares 0 to 1" if self.unit == "shares" else f"of 0 to {self.unit:g}"


def read_boxes(table: Table) -> BoxReader | None:
    """Return where boxes stand, from the table `answer.box` of a template; None where it is empty.

    Raises:
        UsageError: a value cannot be used, or an axis is not given in one of the ways. UnknownName: an unknown key.
    """
    if not table.content:
        return None
    unit = table.need("unit", str, float)
    if isinstance(unit, str) and unit not in UNITS:
        raise UnknownName(f"value of {table.called('unit')}", unit, UNITS)
    if isinstance(unit, float | int) and not unit > 0:
        raise UsageError(f"{table.called('unit')} must be pixels, shares or a number above 0, not {unit:g}")
    reader = BoxReader(_axis(table, ACROSS), _axis(table, DOWN), unit)
    table.end()
    return reader


def _axis(table: Table, ways: Sequence[tuple[str, str]]) -> dict[str, Path]:
    """Return the paths of an axis by name."""
    names = dict.fromkeys(name for way in ways for name in way)
    given = {name: text for name in names if (text := table.take(name, str)) is not None}
    way = next((way for way in ways if set(way) == set(given)), None)
    if way is None:
        possible = ", or ".join(" and ".join(way) for way in ways)
        raise UsageError(f"answer.box takes {possible}; the template gives {' and '.join(given) or 'none'}")
    return {name: read_path(given[name], table.called(name)) for name in way}


def _element(paths: Sequence[Path]) -> Path:
    """Return the path to the elements of which each holds one box; an empty one where numbers stand in columns."""
    shared = functools.reduce(Path.shared, paths)
    choices = [place for place, step in enumerate(shared.steps) if step is EVERY or isinstance(step, Where)]
    return Path(shared.text, shared.steps[: choices[-1] + 1] if choices else ())


def _ends(numbers: Mapping[str, float], first: str, second: str) -> tuple[float, float]:
    """Return both ends of a box along an axis."""
    one, other = numbers[first], numbers[second]
    if second in ("right", "bottom"):
        return one, other
    return (one - other / 2, one + other / 2) if first.startswith("center") else (one, one + other)


def _outside(ends: tuple[float, float], side: float) -> bool:
    """Whether an end lies too far beyond the image, or all of a box beyond it."""
    near, far = ends
    return near < -BEYOND * side or far > (1 + BEYOND) * side or far < 0 or near > side
