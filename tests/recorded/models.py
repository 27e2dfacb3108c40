"""The models that the recorded runs asked. They must answer as they did then: see README.md."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bbquery.errors import OutcomeUnknown
from oracles import function

if TYPE_CHECKING:
    from bbquery import Image, Oracle

asked: list[str] = []
"""Which model was asked, once for each query."""
LOST = 7
lose: list[bool] = []
"""Whether the metered model loses what it answers to its seventh query; empty where it loses nothing."""


def _share(image: Image) -> float:
    """Return how much of the brightness is in the left half."""
    half = image.shape[1] // 2
    left, right = float(image[:, :half].mean()), float(image[:, half:].mean())
    return left / ((left + right) or 1.0)


def sides(image: Image) -> list[float]:
    """Return the shares of brightness in the left and the right half."""
    asked.append("sides")
    return [_share(image), 1 - _share(image)]


def three(image: Image) -> list[float]:
    """Return three numbers that are no probabilities."""
    asked.append("three")
    return [4 * _share(image), 1 - _share(image), float(image.mean()) / 255]


def brighter_half(image: Image) -> str:
    """Name a cat where the left half is brighter, and a dog elsewhere."""
    asked.append("brighter_half")
    return "tabby cat" if _share(image) > 0.5 else "golden retriever"


def listed(image: Image) -> list[tuple[str, float]]:
    """List labels with their scores, as a photo service does."""
    asked.append("listed")
    return [("cat", round(_share(image), 6)), ("sofa", round(1 - _share(image), 6))]


def said(image: Image) -> str:
    """Say in words what is there."""
    asked.append("said")
    return "A small cat on a sofa." if _share(image) > 0.525 else "A sofa."


def metered(image: Image) -> list[float]:
    """Answer as `sides`, for money; lose the seventh answer where it is told to."""
    asked.append("metered")
    if lose and asked.count("metered") == LOST:
        raise OutcomeUnknown("the connection broke", oracle="metered")
    return [_share(image), 1 - _share(image)]


def remote() -> Oracle:
    """Return `sides` as a model that may change unseen, so that drift is watched."""
    connected = function.connect(sides, classes="left|right", version="remote")
    connected.capabilities = replace(connected.capabilities, remote=True)  # type: ignore[misc]  # a test's own oracle
    return connected
