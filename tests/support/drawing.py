"""Pictures without drawing, for tests that do not look at them: the layout is real, what matplotlib would do is not."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from PIL import Image as Pillow

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest


class Undrawn:
    """Stands for a figure and for all its parts: whatever is called on it does nothing, and nothing given is kept."""

    def __getattr__(self, name: str) -> Undrawn:
        return self

    def __call__(self, *_: object, **__: object) -> Undrawn:
        return self

    def __iter__(self) -> Iterator[Undrawn]:
        return iter(())


def blank_png() -> bytes:
    """Return a PNG of one white pixel."""
    blank = io.BytesIO()
    Pillow.new("RGB", (1, 1), "white").save(blank, "PNG")
    return blank.getvalue()


def make_blank(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every figure a white pixel."""
    blank = blank_png()
    monkeypatch.setattr("bbquery.report.figure.Figure", Undrawn())
    monkeypatch.setattr("bbquery.report.figure.FigureCanvasAgg", Undrawn())
    monkeypatch.setattr("bbquery.report.figure.Page.png", lambda _: blank)
    monkeypatch.setattr("bbquery.report.probe_figure.draw", lambda _: blank)
