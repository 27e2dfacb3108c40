"""Several pictures of one photo on a page, in rows of equal columns, each with a heading and lines below it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bbquery.report.figure import (
    BAR,
    FAINT,
    GAP,
    INK,
    LINE,
    MARGIN,
    SMALL,
    SPACE,
    STRETCHED_FROM,
    TITLE,
    Page,
    bands,
    bar,
    blend,
    hatch,
    numbers,
    ramp,
    spread,
    stamp_on,
    wrapped,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bbquery.report.scale import Scale

WIDEST = 9.2  # inches, of all columns
LONGER, LONGER_OF_TWO = 2.5, 3.6  # of a picture: its height where it is square, among several and among two
MOST_ACROSS = 1.22  # times that, of a wide one
NARROWEST = 2.2  # of a column, for its text
BAR_SPACE = 0.05
HATCHED = "Hatched: not shown to the model."


@dataclass(frozen=True, eq=False)
class Tile:
    """A picture. pixels: (H, W, 3) uint8. known: (H, W), where it has a value; None: everywhere. lines: below it.

    scale: of the colour bar below it, of a signed map or another; None: no bar. bands: the opacities in it. stamp: what
    is written across the picture.
    """

    heading: str
    pixels: NDArray[np.uint8]
    lines: tuple[str, ...] = ()
    known: NDArray[np.bool_] | None = None
    scale: Scale | None = None
    signed: bool = True
    bands: tuple[float, ...] = (1.0,)
    stamp: str = ""


def map_tile(
    heading: str,
    photo: NDArray[np.uint8],
    values: NDArray[np.float64],
    scale: Scale,
    *,
    signed: bool,
    lines: Sequence[str],
    sure: NDArray[np.float64] | None = None,
    stamp: str = "",
) -> Tile:
    """Return the tile of a map (H, W) on its photo (H, W, 3), both reduced for display.

    sure: (H, W), how sure the sign is, as of `bbquery.report.figure.blend`. stamp: what is written across it.
    """
    pixels = blend(photo, values, scale, signed=signed, sure=sure)
    said = (*lines, *([scale.note] if scale.note else []))
    drawn = scale if scale.bar else None
    return Tile(heading, pixels, said, np.isfinite(values), drawn, signed, bands(sure, stamp), stamp)


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Where tiles stand. panel: width and height of a picture. columns: how many stand beside each other."""

    panel: tuple[float, float]
    columns: int

    @classmethod
    def of(cls, size: tuple[int, int], count: int) -> Grid:
        """Return the grid for so many pictures of a (height, width); extreme sides are stretched to be seen."""
        ratio = min(max(size[1] / size[0], 1 / STRETCHED_FROM), STRETCHED_FROM)
        longer = LONGER_OF_TWO if count <= 2 else LONGER
        across = min(longer * MOST_ACROSS, longer * ratio) if ratio > 1 else longer * ratio
        most = max(1, int((WIDEST + GAP) / (max(across, NARROWEST) + GAP)))
        rows = -(-count // most)
        return cls(panel=(across, across / ratio), columns=-(-count // rows))

    @property
    def column(self) -> float:
        """The width of a column."""
        return max(self.panel[0], NARROWEST)

    @property
    def width(self) -> float:
        """The width of all columns."""
        return self.columns * (self.column + GAP) - GAP


@dataclass(frozen=True)
class Sheet:
    """Tiles under a title and above lines, laid out. depths: how much stands below the pictures of each row."""

    grid: Grid
    tiles: tuple[Tile, ...]
    title: tuple[str, ...]
    below: tuple[str, ...]

    @classmethod
    def of(cls, tiles: Sequence[Tile], *, title: str, below: Sequence[str] = ()) -> Sheet:
        """Lay tiles of one photo out. below: paragraphs under them."""
        height, width = tiles[0].pixels.shape[:2]
        grid = Grid.of((height, width), len(tiles))
        seen = all(tile.known is None or tile.known.all() for tile in tiles)
        paragraphs = below if seen else [*below, HATCHED]
        under = [line for paragraph in paragraphs for line in wrapped(paragraph, SMALL, grid.width)]
        return cls(grid, tuple(tiles), tuple(wrapped(title, TITLE, grid.width)), tuple(under))

    @property
    def top(self) -> float:
        """Where the first row begins."""
        return MARGIN + len(self.title) * TITLE * LINE + SPACE

    @property
    def rows(self) -> list[tuple[Tile, ...]]:
        """The tiles, row by row."""
        return [self.tiles[at : at + self.grid.columns] for at in range(0, len(self.tiles), self.grid.columns)]

    @property
    def foot(self) -> float:
        """Where the last row ends."""
        return self.top + sum(self.row_height(row) for row in self.rows)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the page."""
        return self.grid.width + 2 * MARGIN, self.foot + len(self.below) * SMALL * LINE + MARGIN

    def row_height(self, row: Sequence[Tile]) -> float:
        """Return the height of a row with its headings and what is below it."""
        heading = max(len(self.heading(tile)) for tile in row) * SMALL * LINE
        return heading + self.grid.panel[1] + max(self._depth(tile) for tile in row) + 2 * SPACE

    def heading(self, tile: Tile) -> list[str]:
        """Return a tile's heading, wrapped."""
        return wrapped(tile.heading, SMALL, self.grid.column)

    def lines(self, tile: Tile) -> list[str]:
        """Return what is written below a tile, wrapped."""
        return [line for text in tile.lines for line in wrapped(text, SMALL, self.grid.column)]

    def _depth(self, tile: Tile) -> float:
        bar = BAR + BAR_SPACE + SMALL * LINE if tile.scale else 0.0
        return BAR_SPACE + bar + len(self.lines(tile)) * SMALL * LINE

    def draw(self, page: Page) -> None:
        """Draw it from the page's top on."""
        page.text(MARGIN, MARGIN, list(self.title), points=TITLE)
        top = self.top
        for row in self.rows:
            heading = max(len(self.heading(tile)) for tile in row) * SMALL * LINE
            for place, tile in enumerate(row):
                left = MARGIN + place * (self.grid.column + GAP)
                page.text(left, top, self.heading(tile), colour=INK)
                self._tile(page, tile, left, top + heading)
            top += self.row_height(row)
        page.text(MARGIN, top, list(self.below), colour=FAINT)

    def _tile(self, page: Page, tile: Tile, left: float, top: float) -> None:
        axes = page.axes(left, top, *self.grid.panel)
        axes.imshow(tile.pixels, aspect="auto", interpolation="antialiased", origin="upper")
        if tile.known is not None:
            hatch(axes, tile.known)
        if tile.stamp:
            stamp_on(page, (left, top, *self.grid.panel), tile.stamp)
        below = top + self.grid.panel[1] + BAR_SPACE
        if tile.scale is not None:
            self._bar(page, tile, tile.scale, left, below)
            below += BAR + BAR_SPACE + SMALL * LINE
        page.text(left, below, self.lines(tile), colour=FAINT)

    def _bar(self, page: Page, tile: Tile, scale: Scale, left: float, top: float) -> None:
        """Draw a colour bar with its numbers, as wide as the column."""
        bar(page, left, top, self.grid.column, colours=ramp(signed=tile.signed, calm=scale.calm), bands=tile.bands)
        spread(page, left, top + BAR + BAR_SPACE, self.grid.column, numbers(scale))


def sheet_png(sheet: Sheet) -> bytes:
    """Return the PNG of a sheet."""
    page = Page(*sheet.size)
    sheet.draw(page)
    png = page.png()
    page.figure.clear()  # its parts refer to each other, and would keep their pixels until they are looked for
    return png
