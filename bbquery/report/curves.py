"""Deletion and insertion curves as a PNG: of one map, or of several on the same axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbquery.errors import MissingExtra, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    from bbquery.report.curves_figure import Curves

MOST = 8
"""Maps on the same axes: as many colours as people tell apart."""


def curves_png(curves: Curves, *, title: str, caption: str, unit: str = "score") -> bytes:
    """Return a PNG of one map's deletion and insertion curves, their areas and SRG, the signed area between.

    unit: what the score is, for the axis. Equal input gives equal bytes on one installation.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    png: bytes = _figure().one(curves, title=title, caption=caption, unit=unit)
    return png


def overlaid_curves_png(curves: Mapping[str, Curves], *, title: str, caption: str, unit: str = "score") -> bytes:
    """Return a PNG of the curves of several maps, by name: deletion on the left, insertion on the right.

    Each map has a colour and a kind of line of its own; the legend has its SRG, the best first.

    Raises:
        MissingExtra: matplotlib is not installed. UsageError: no map, or more than `MOST`.
    """
    if not 0 < len(curves) <= MOST:
        raise UsageError(f"curves of 1 to {MOST} maps can be told apart in a picture, not of {len(curves)}")
    png: bytes = _figure().several(curves, title=title, caption=caption, unit=unit)
    return png


def _figure() -> ModuleType:
    try:
        from bbquery.report import curves_figure  # noqa: PLC0415 - matplotlib is optional
    except ImportError as error:
        raise MissingExtra("report", "drawing curves", "matplotlib") from error
    return curves_figure
