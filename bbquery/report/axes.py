"""Results drawn into axes of matplotlib, which the caller may place among others. Needs matplotlib."""

from __future__ import annotations

import io
import math
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image

from bbquery.jobs.attack.result import Stress
from bbquery.jobs.compare.result import Comparison
from bbquery.jobs.evaluate.result import Evaluation
from bbquery.jobs.explain.result import Explanation
from bbquery.report import probe as probes
from bbquery.report import sentence
from bbquery.report.attack_figure import amplified
from bbquery.report.attack_headline import headline
from bbquery.report.curves_figure import COLOURS, LINES
from bbquery.report.map_picture import map_pixels
from bbquery.shown import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from bbquery.jobs.explain.result import TargetMap
    from bbquery.jobs.probe.result import Probe
    from bbquery.report.record import OfOneImage

LONGEST = 1600  # pixels of a map's side
LETTERS = 60  # of a line of a title
ACROSS = 4  # pictures in a row
INCHES = 3.2  # of a picture's side in a new figure


def new(result: OfOneImage) -> Axes:
    """Return axes in a new figure of pyplot, as large as the result needs."""
    from matplotlib import pyplot  # noqa: PLC0415 - it chooses a backend, which whoever gives axes has done

    columns, rows = _grid(len(_pictures(result)))
    wide, high = (6.4, 4.8) if isinstance(result, Evaluation) else (columns * INCHES * 1.4, rows * INCHES * 1.25)
    return pyplot.subplots(figsize=(max(wide, 4.8), max(high, 4.0)), layout="constrained")[1]


def draw(result: OfOneImage, axes: Axes) -> Axes:
    """Draw a result into axes; return them."""
    if isinstance(result, Evaluation):
        return _evaluation(result, axes)
    pictures = _pictures(result)
    axes.set_title(_wrapped(_title(result)), fontsize="medium", loc="left")
    if len(pictures) == 1:
        _show(axes, *pictures[0], letters=LETTERS // 2)
        return axes
    axes.set_axis_off()
    columns, rows = _grid(len(pictures))
    for place, picture in enumerate(pictures):
        row, column = divmod(place, columns)
        box = (column / columns, 1 - (row + 1) / rows, 0.94 / columns, 0.8 / rows)
        _show(axes.inset_axes(box), *picture, letters=LETTERS // 3)
    return axes


def _grid(pictures: int) -> tuple[int, int]:
    columns = max(min(pictures, ACROSS), 1)
    return columns, max(math.ceil(pictures / columns), 1)


def _title(result: OfOneImage) -> str:
    match result:
        case Explanation():
            return sentence.caption(result, result.maps[0]) if len(result.maps) == 1 else ""
        case Stress():
            return headline(result)
        case Comparison():
            return f"{len(result.results)} methods, {result.oracle.name}"
    return ""


def _pictures(result: OfOneImage) -> list[tuple[NDArray[np.uint8], str, tuple[int, int]]]:
    """Return what is drawn: pixels, a line below them, and the (height, width) that their coordinates count."""
    match result:
        case Explanation():
            return [_map(result, m, _below(result, m)) for m in result.maps]
        case Comparison():
            of_methods = [(each.explanation, each) for each in result.results]
            return [_map(found, found.maps[0], each.method) for found, each in of_methods if found is not None]
        case Stress():
            return _attacked(result)
        case Evaluation():
            return []
    return [_probe(result)]


def _map(explanation: Explanation, m: TargetMap, below: str) -> tuple[NDArray[np.uint8], str, tuple[int, int]]:
    return map_pixels(explanation, m, LONGEST), below, m.values.shape


def _below(explanation: Explanation, m: TargetMap) -> str:
    return sentence.plain_unit(m) if len(explanation.maps) == 1 else sentence.verdict(explanation, m)


def _attacked(stress: Stress) -> list[tuple[NDArray[np.uint8], str, tuple[int, int]]]:
    best = None if stress.found is None else stress.found.best
    pictures = [(stress.x, "clean")]
    if best is not None:
        changed, factor = amplified(stress.x, best)
        pictures += [(changed, f"difference, × {factor:g}"), (best, "found")]
    return [(_levels(pixels), below, pixels.shape[:2]) for pixels, below in pictures]


def _levels(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    levels: NDArray[np.uint8] = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return levels


def _probe(probe: Probe) -> tuple[NDArray[np.uint8], str, tuple[int, int]]:
    with PIL.Image.open(io.BytesIO(probes.picture(probe))) as picture:
        pixels = np.array(picture.convert("RGB"))
    return pixels, "", pixels.shape[:2]


def _show(axes: Axes, pixels: NDArray[np.uint8], below: str, size: tuple[int, int], *, letters: int) -> None:
    """Show pixels, with the coordinates of the photo that they are of."""
    height, width = size
    axes.imshow(pixels, extent=(-0.5, width - 0.5, height - 0.5, -0.5), interpolation="antialiased")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel(_wrapped(below, letters), fontsize="x-small")


def _evaluation(evaluation: Evaluation, axes: Axes) -> Axes:
    axes.set_title(_wrapped(f"How the map of {sentence.quoted(evaluation.target)} ranks pixels"), loc="left")
    curves = evaluation.curves
    if curves is None:
        axes.set_axis_off()
        axes.text(0, 1, "\n".join(_measured(evaluation)), va="top", transform=axes.transAxes)
        return axes
    for place, (name, values) in enumerate((("insertion", curves.insertion), ("deletion", curves.deletion))):
        axes.plot(curves.shares, values, color=COLOURS[place], linestyle=LINES[place], label=name)
    axes.set_xlabel("share of pixels taken, the most important first")
    axes.set_ylabel(_wrapped(evaluation.bound.about.unit))
    axes.legend(title=f"SRG {curves.srg:z.3f}")
    return axes


def _measured(evaluation: Evaluation) -> Sequence[str]:
    return [f"{each.metric}: {each.value:.4g} ({each.better} is better)" for each in evaluation.measurements]


def _wrapped(text: str, letters: int = LETTERS) -> str:
    """Return text in lines, none of it taken for mathematics."""
    return textwrap.fill(shown(text), letters).replace("$", r"\$")
