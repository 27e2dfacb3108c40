"""A page of each kind, made of given numbers, with what is hostile in names and labels."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bbquery.client.halt import Interrupted
from bbquery.jobs.explain.series import ImageResult
from bbquery.jobs.explain.verified import Part, Verified
from bbquery.report import folder
from bbquery.report.pages import index
from bbquery.types import Vector
from tests.support.explanations import NAMES, explanation_of, map_of

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.jobs.explain.result import Explanation, TargetMap

HOSTILE = "<img src=x onerror=document.title='broken'>"
COMMAND = ["bbquery", "explain", f"{HOSTILE}.png", "--max-queries", "100"]
SIDE = 32
PHOTO = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
LEFT = np.where(np.arange(SIDE) < SIDE // 2, 1.0, -0.2) * np.ones((SIDE, SIDE))
LEFT[:4] = np.nan
CERTAIN = np.full((SIDE, SIDE), 0.1)
FLAT = np.zeros((SIDE, SIDE))
LABELS = (HOSTILE, *NAMES[1:])


def map_with_facts(**changes: object) -> TargetMap:
    """Return a good map of a hostile label, of which two facts were verified."""
    kept = np.broadcast_to(np.arange(SIDE) < SIDE // 4, (SIDE, SIDE))
    image = np.where(kept[:, :, None], PHOTO, 128).astype(np.uint8)
    answers = (Vector(np.array([0.5, 0.3, 0.2])), Vector(np.array([0.52, 0.28, 0.2])))
    part = Part(0.25, image, kept, answers, "25 % of the photo is enough", 0.5)
    verified = Verified(enough=part, breaks=None, queries=24, filling="grey", why="nothing that was hidden changed it")
    return map_of(LEFT, error=CERTAIN, target=HOSTILE, names=LABELS, verified=verified, **changes)  # type: ignore[arg-type]  # any of its options


def good() -> Explanation:
    return explanation_of(map_with_facts(), photo=PHOTO, names=LABELS, posted=2 * 10**9, held=10**9)


def empty() -> Explanation:
    """Return an explanation by a map that says nothing."""
    return explanation_of(map_of(FLAT, error=CERTAIN), photo=PHOTO)


def partial() -> Explanation:
    stopped = map_of(LEFT, error=CERTAIN, rows=200, stopped="interrupted")
    return replace(explanation_of(stopped, photo=PHOTO), error=Interrupted("interrupted by Ctrl-C"))


def two_targets() -> Explanation:
    return explanation_of(map_of(LEFT, error=CERTAIN), map_of(-LEFT, target=NAMES[1]), photo=PHOTO)


def write_explanation(made: Callable[[], Explanation], place: Path) -> None:
    place.parent.mkdir(exist_ok=True)
    folder.write(made(), place.parent, command=COMMAND, source=f"{HOSTILE}.png", resume="bbquery explain …")


def write_index(place: Path) -> None:
    place.parent.mkdir(exist_ok=True)
    results = [
        result("a-good", good()), result("b-empty", empty()), result("c-partial", partial()),
        result("d-failed", None), result("e-not-begun", None, ended=True),
    ]  # fmt: skip
    entries = [index.entry(each, f"{HOSTILE}.png") for each in results]
    index.write(place.parent, entries, budget=good().budget, command=COMMAND, resume="bbquery explain …")


def result(name: str, explanation: Explanation | None, *, ended: bool = False) -> ImageResult:
    error = Interrupted(f"stopped by {HOSTILE}") if explanation is None else explanation.error
    return ImageResult(name, "photo.png", explanation, error, ended_run=ended, rest=good().rest)


SITE: Mapping[str, Callable[[Path], None]] = {
    **{
        f"{made.__name__}/report.html": functools.partial(write_explanation, made)
        for made in (good, empty, partial, two_targets)
    },
    "many/index.html": write_index,
}
"""How each page is written, by its path below a folder."""
