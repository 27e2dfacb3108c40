"""Figure of a map: a page laid out in inches. Needs matplotlib, of which only objects are used, no global state."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

import numpy as np
from matplotlib import colormaps, font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bbquery.report.outline import outlined
from bbquery.report.scale import in_grey
from bbquery.report.stamp import layer as stamp_layer
from bbquery.shown import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from bbquery.images.boxes import Box
    from bbquery.report.scale import Scale

DPI = 160
MARGIN, GAP, SPACE = 0.25, 0.3, 0.1  # inches, as all lengths here
BAR, BAR_AREA = 0.13, 0.18  # the colour bar's height, without and with the space below it
TITLE, SMALL = 10, 8  # points
LINE = 1.35 / 72  # inches a line takes, per point
ROUNDED_UP = 1.03  # letters as drawn against their widths: each is rounded to whole pixels
MEASURED = 100  # points at which letters are measured
MOST_LINES = 6
NARROWEST_COLUMN = 2.7  # for the colour bar's text
STACKED_FROM = 1.6  # a photo this many times wider than high stands above its map, not beside it
STRETCHED_FROM = 6.0  # a photo of more extreme sides would be a mere line, and is stretched
FONT = "DejaVu Sans"  # matplotlib brings it along
INK, FAINT = "#222222", "#666666"
COLOURS = 257  # odd, so that 0 has a colour of its own: none
STRONGEST, CALM = 0.85, 0.6  # opacity of the last colour
VIOLET = (0.33, 0.29, 0.55, 1.0)
PALE = 0.3  # of the opacity of what is sure: that of what could be chance
PALE_SAID = "paler: could be chance (the 90 % interval includes 0)"
SIDES = {True: ("against the target", "for the target"), False: ("weaker", "stronger, for or against")}


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where things stand. panel: (width, height) of a photo as drawn. stacked: the map is below it, not beside it."""

    panel: tuple[float, float]
    stacked: bool
    stretched: bool

    @classmethod
    def of(cls, height: int, width: int) -> Layout:
        """Return the layout for a photo of this size in pixels."""
        ratio = min(max(width / height, 1 / STRETCHED_FROM), STRETCHED_FROM)
        stacked = ratio >= STACKED_FROM
        across = 6.4 if stacked else min(4.2, 4.8 * ratio)
        return cls(panel=(across, across / ratio), stacked=stacked, stretched=ratio != width / height)

    @property
    def column(self) -> float:
        """The width of each of the two columns."""
        return (self.panel[0] - GAP) / 2 if self.stacked else max(self.panel[0], NARROWEST_COLUMN)

    @property
    def width(self) -> float:
        """The width of both columns."""
        return 2 * self.column + GAP

    @property
    def panels(self) -> float:
        """The height of photo and map with their headings."""
        one = SMALL * LINE + self.panel[1]
        return 2 * one + SPACE if self.stacked else one

    def corner(self, index: int) -> tuple[float, float]:
        """Return left and top of the photo (0) or the map (1) with its heading, within the panels' area."""
        if self.stacked:
            return 0.0, index * (SMALL * LINE + self.panel[1] + SPACE)
        return index * (self.column + GAP) + (self.column - self.panel[0]) / 2, 0.0

    def place(self, index: int, top: float) -> tuple[float, float, float, float]:
        """Return left, top, width and height on the page of the photo (0) or the map (1), the panels being at `top`."""
        left, down = self.corner(index)
        return MARGIN + left, top + down + SMALL * LINE, *self.panel


class Page:
    """A figure on which things are placed in inches from its top left corner."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
        self.canvas = FigureCanvasAgg(self.figure)

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Return axes without ticks at this place."""
        place = (left / self.width, 1 - (top + height) / self.height, width / self.width, height / self.height)
        axes = self.figure.add_axes(place)
        axes.set_axis_off()
        return axes

    def text(
        self,
        left: float,
        top: float,
        lines: list[str],
        *,
        points: int = SMALL,
        colour: str = INK,
        align: Literal["left", "center", "right"] = "left",
    ) -> None:
        """Write lines below one another; nothing in them is markup."""
        for number, line in enumerate(lines):
            self.figure.text(
                left / self.width,
                1 - (top + number * points * LINE) / self.height,
                shown(line),
                fontsize=points,
                color=colour,
                ha=align,
                va="top",
                family=FONT,
                parse_math=False,
                usetex=False,
            )

    def png(self) -> bytes:
        """Return the page, without a mark of who drew it or when."""
        buffer = io.BytesIO()
        self.canvas.print_png(  # type: ignore[no-untyped-call]  # matplotlib annotates this method in part only
            buffer, metadata={"Software": None}, pil_kwargs={"compress_level": 3}
        )
        return buffer.getvalue()


def draw(
    photo: NDArray[np.uint8],
    values: NDArray[np.float64],
    *,
    scale: Scale,
    signed: bool,
    title: str,
    caption: str,
    unit: str,
    sure: NDArray[np.float64] | None = None,
    stamp: str = "",
    box: Box | None = None,
) -> bytes:
    """Return the PNG of a photo (H, W, 3) uint8 and a map on it (H, W); see `bbquery.report.overlay.overlay_png`."""
    layout = Layout.of(*values.shape)
    heading = wrapped(title, TITLE, layout.width)
    left, right = wrapped(caption, SMALL, layout.column), wrapped(unit, SMALL, layout.column)
    notes = [
        line
        for note in _notes(values, scale, pale=sure is not None and not stamp)
        for line in wrapped(note, SMALL, layout.column)
    ]
    panels = MARGIN + len(heading) * TITLE * LINE + SPACE
    footer = panels + layout.panels + SPACE
    depth = max(len(left) * SMALL * LINE, BAR_AREA + (len(right) + len(notes) + 2) * SMALL * LINE)

    page = Page(layout.width + 2 * MARGIN, footer + depth + MARGIN)
    page.text(MARGIN, MARGIN, heading, points=TITLE)
    mixed = outlined(blend(photo, values, scale, signed=signed, sure=sure), box)
    panel(page, layout, index=0, top=panels, heading="photo", pixels=outlined(photo, box))
    drawn = panel(page, layout, index=1, top=panels, heading="map on the photo", pixels=mixed)
    hatch(drawn, np.isfinite(values))
    if stamp:
        stamp_on(page, layout.place(1, panels), stamp)
    page.text(MARGIN, footer, left, colour=FAINT)
    key(
        page, MARGIN + layout.column + GAP, footer, layout.column,
        scale=scale, signed=signed, text=right + notes, bands=bands(sure, stamp),
    )  # fmt: skip
    png = page.png()
    page.figure.clear()  # its parts refer to each other, and would keep their pixels until they are looked for
    return png


def ramp(*, signed: bool, calm: bool = False) -> NDArray[np.float64]:
    """Return the colours of a scale, (257, 4) RGBA in 0 to 1, the more opaque the stronger.

    Signed: ColorBrewer's red and blue, which red-green blindness tells apart, without its near-white middle, which
    would veil the photo, and its near-black ends. Unsigned: inferno, which is perceptually uniform. Calm: one violet.
    """
    share = np.linspace(0, 1, COLOURS)
    strength = np.abs(2 * share - 1) if signed else share
    place = 0.5 + np.sign(share - 0.5) * (0.22 + 0.22 * strength) if signed else share
    colours = np.array(colormaps["RdBu_r" if signed else "inferno"](place), dtype=np.float64)
    if calm:
        colours[:] = VIOLET
    colours[:, 3] = (CALM if calm else STRONGEST) * strength**0.7
    return colours


def blend(
    photo: NDArray[np.uint8],
    values: NDArray[np.float64],
    scale: Scale,
    *,
    signed: bool,
    sure: NDArray[np.float64] | None = None,
) -> NDArray[np.uint8]:
    """Return the photo in grey with the map's colours on it, faded where the map has no value; all (H, W), RGB.

    sure: (H, W), 0 to 1, how sure the sign is: colours are as opaque as their strength says at 1, and pale at 0. None:
    nothing is known of that.
    """
    grey = in_grey(photo)
    known = np.isfinite(values)
    share = (np.where(known, values, scale.low) - scale.low) / (scale.high - scale.low)
    colours = ramp(signed=signed, calm=scale.calm)[np.rint(np.clip(share, 0, 1) * (COLOURS - 1)).astype(int)]
    opacity = colours[:, :, 3:]
    if sure is not None:
        opacity = opacity * (PALE + (1 - PALE) * np.nan_to_num(sure))[:, :, None]
    mixed = grey * (1 - opacity) + 255 * colours[:, :, :3] * opacity
    faded = 255 - 0.3 * (255 - grey)
    return np.rint(np.where(known[:, :, None], mixed, faded)).astype(np.uint8)


def panel(page: Page, layout: Layout, *, index: int, top: float, heading: str, pixels: NDArray[np.uint8]) -> Axes:
    """Draw the first (0) or the second (1) picture below its heading; return its axes."""
    left, down = layout.corner(index)
    stretched = ", stretched" if layout.stretched else ""
    page.text(MARGIN + left, top + down, [heading + stretched], colour=FAINT)
    axes = page.axes(*layout.place(index, top))
    axes.imshow(pixels, aspect="auto", interpolation="antialiased", origin="upper")
    return axes


def stamp_on(page: Page, place: tuple[float, float, float, float], text: str) -> None:
    """Write a text across a picture at left, top, width and height."""
    width, height = (round(side * DPI) for side in place[2:])
    page.axes(*place).imshow(stamp_layer(text, width, height), aspect="auto", interpolation="nearest", origin="upper")


def hatch(axes: Axes, known: NDArray[np.bool_]) -> None:
    """Hatch what lies outside the box of known values: it was not shown to the model."""
    rows, columns = np.flatnonzero(known.any(axis=1)), np.flatnonzero(known.any(axis=0))
    height, width = known.shape
    top, bottom = (rows[0], rows[-1] + 1) if rows.size else (height, height)
    left, right = (columns[0], columns[-1] + 1) if columns.size else (width, width)
    outside = [(0, 0, width, top), (0, bottom, width, height), (0, top, left, bottom), (right, top, width, bottom)]
    for x, y, end, low in outside:
        if end > x and low > y:
            corner = (x - 0.5, y - 0.5)  # a pixel's centre has its index
            axes.add_patch(Rectangle(corner, end - x, low - y, fill=False, hatch="////", edgecolor="#999999", lw=0))


def key(
    page: Page,
    left: float,
    top: float,
    width: float,
    *,
    scale: Scale,
    signed: bool,
    text: list[str],
    bands: tuple[float, ...] = (1.0,),
) -> None:
    """Draw the colour bar with its ends, what its sides mean, and below it the lines of `text`."""
    lines = top
    if scale.bar:
        bar(page, left, top, width, colours=ramp(signed=signed), bands=bands)
        against, favour = SIDES[signed]
        spread(page, left, top + BAR_AREA, width, numbers(scale))
        spread(page, left, top + BAR_AREA + SMALL * LINE, width, (against, "", favour))
        lines = top + BAR_AREA + 2 * SMALL * LINE
    page.text(left + width / 2, lines, text, colour=FAINT, align="center")


def bands(sure: NDArray[np.float64] | None, stamp: str = "") -> tuple[float, ...]:
    """Return the opacities in which a map's colours are drawn, as shares: of what is sure, and of what is pale."""
    if stamp:
        return (PALE,)
    return (1.0,) if sure is None else (1.0, PALE)


def bar(
    page: Page,
    left: float,
    top: float,
    width: float,
    *,
    colours: NDArray[np.float64],
    bands: tuple[float, ...] = (1.0,),
) -> None:
    """Draw the colours of a scale, (257, 4), from low to high, in a band of each opacity, one below the other."""
    pixels = bar_pixels(colours, bands)
    page.axes(left, top, width, BAR).imshow(pixels, aspect="auto", interpolation="nearest", origin="upper")


def bar_pixels(colours: NDArray[np.float64], bands: tuple[float, ...]) -> NDArray[np.uint8]:
    """Return the colours of a scale, (257, 4), as on a light grey photo: (bands, 257, 3), one for each opacity."""
    opacity = colours[:, 3:] * np.array(bands)[:, None, None]
    pixels: NDArray[np.uint8] = np.rint(255 * (colours[:, :3] * opacity + 0.75 * (1 - opacity))).astype(np.uint8)
    return pixels


def spread(page: Page, left: float, top: float, width: float, words: tuple[str, str, str]) -> None:
    """Write words at the left end, in the middle and at the right end."""
    page.text(left, top, [words[0]])
    page.text(left + width / 2, top, [words[1]], align="center")
    page.text(left + width, top, [words[2]], align="right")


def numbers(scale: Scale) -> tuple[str, str, str]:
    """Return the values at the ends and in the middle of a scale."""
    middle = (scale.low + scale.high) / 2
    low, centre, high = (f"{value:.3g}".replace("-", "−") for value in (scale.low, middle, scale.high))
    return ("≤ " if scale.below else "") + low, centre, ("≥ " if scale.above else "") + high


def _notes(values: NDArray[np.float64], scale: Scale, *, pale: bool) -> list[str]:
    notes = [scale.note] if scale.note else []
    if scale.bar and pale:
        notes.append(PALE_SAID)
    if scale.bar and not np.isfinite(values).all():
        notes.append("hatched: not shown to the model")
    return notes


def wrapped(text: str, points: int, width: float) -> list[str]:
    """Wrap a text to a width, by its letters' own widths, a few lines at most; what the font lacks becomes a box."""
    glyphs = _glyphs()
    spaced = (" " if letter.isspace() else letter for letter in shown(text))
    known = "".join(letter if ord(letter) in glyphs else "□" for letter in spaced)
    lines = _filled(known.split(), points, width)
    if len(lines) <= MOST_LINES:
        return lines
    last = lines[MOST_LINES - 1]
    while last and _width(f"{last} …", points) > width:
        last = last[:-1]
    return [*lines[: MOST_LINES - 1], f"{last.rstrip()} …"]


def _filled(words: list[str], points: int, width: float) -> list[str]:
    """Return words in lines, as many in each as fit; a word that fits in none is broken."""
    lines: list[str] = []
    for word in words:
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and _width(joined, points) <= width:
            lines[-1] = joined
            continue
        pieces = _broken(word, points, width)
        lines += pieces
        if len(lines) > MOST_LINES:
            break
    return lines


def _broken(word: str, points: int, width: float) -> list[str]:
    """Return a word in pieces that fit, of a letter each at least."""
    pieces = [""]
    for letter in word:
        if pieces[-1] and _width(pieces[-1] + letter, points) > width:
            pieces.append("")
        pieces[-1] += letter
    return pieces


def _width(text: str, points: int) -> float:
    """Return how wide a text of the font's own letters is."""
    return sum(map(_advance, text)) * points * ROUNDED_UP / 72


@cache
def _advance(letter: str) -> float:
    """Return how wide a letter is, in the font's size, as it was designed."""
    font = font_manager.get_font(font_manager.findfont(FONT))
    font.set_size(MEASURED, 72)
    return float(font.load_char(ord(letter)).linearHoriAdvance) / 2**16 / MEASURED


@cache
def _glyphs() -> frozenset[int]:
    return frozenset(font_manager.get_font(font_manager.findfont(FONT)).get_charmap())
