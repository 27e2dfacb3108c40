"""Deletion and insertion curves, drawn."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
import pytest

from bbquery.errors import UsageError
from bbquery.metrics.srg import Curves
from bbquery.report.curves import MOST, curves_png, overlaid_curves_png
from bbquery.report.curves_figure import COLOURS, LINES

pytestmark = pytest.mark.slow

TEXT = {"title": "cat $\\frac", "caption": "grey, 56 steps"}
SHARES = np.linspace(0, 1, 11)


def curves_of(height: float) -> Curves:
    return Curves(SHARES, height * (1 - SHARES), height * SHARES, "grey", "blur", 0)


def size_of(png: bytes) -> tuple[int, int]:
    with PIL.Image.open(io.BytesIO(png)) as image:
        assert set(image.info) <= {"dpi"}
        return image.size


def test_curves_are_drawn_the_same_every_time() -> None:
    """Equal curves give equal bytes, other curves others; the page has a usual size."""
    first, again, other = (curves_png(curves_of(height), **TEXT) for height in (0.8, 0.8, 0.7))

    assert first == again != other
    assert 800 < size_of(first)[0] < 1600


def test_unknown_scores_leave_a_gap() -> None:
    """A curve without an answer is drawn as far as it is known, and its area is unknown, without an error."""
    unknown = Curves(SHARES, np.full(11, np.nan), 0.5 * SHARES, "grey", "blur", 11)

    assert curves_png(unknown, **TEXT) != curves_png(curves_of(0.5), **TEXT)


@pytest.mark.parametrize("count", [1, MOST])
def test_several_maps_share_axes(count: int) -> None:
    """Up to eight maps by name, whatever their names hold, and one without any answer among them."""
    curves = {f"rise:cells={n},猫 $x": curves_of(n / 9) for n in range(count - 1)}
    curves["lost"] = Curves(SHARES, np.full(11, np.nan), np.full(11, np.nan), "grey", "blur", 22)

    png = overlaid_curves_png(curves, **TEXT)

    assert png == overlaid_curves_png(dict(reversed(curves.items())), **TEXT)  # the best first, in whatever order given
    assert max(size_of(png)) <= 1600


@pytest.mark.parametrize("count", [0, MOST + 1])
def test_more_maps_than_can_be_told_apart_are_refused(count: int) -> None:
    """No map, or more than there are colours and lines, is the caller's mistake."""
    with pytest.raises(UsageError, match="told apart"):
        overlaid_curves_png({str(n): curves_of(1) for n in range(count)}, **TEXT)


def test_every_map_has_a_line_of_its_own() -> None:
    """Neither colour nor dashes repeat, so that either alone tells the maps apart."""
    assert len(set(COLOURS)) == len(set(LINES)) == len(COLOURS) == len(LINES) == MOST
