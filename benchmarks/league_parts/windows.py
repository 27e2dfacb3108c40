"""The part "windows": Mokuwe et al.'s timing table: queries and CPU seconds of two ways to choose windows, by size.

Exhaustive search hides every window of the paper's eight sides at every pixel; Bayesian optimisation chooses as many
windows as it is given. The model costs next to nothing, so that what is timed is the method. The photo is random grey
levels, and the score how bright a drawn square of it is. CPU seconds are of the process, whatever else runs beside it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from bbquery.plan import replay
from bbquery.saliency._window_states import AT_SIDE, SIDES
from bbquery.types import UINT8

from . import window_picture
from .network import scored
from .setting import seed_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from bbquery.plan import Ask
    from bbquery.types import Image, Scores

    from .setting import Setting

PART = "windows"
EXHAUSTIVE, BAYES = "exhaustive, a window at every pixel", "Bayesian optimisation"
QUERIES = (50, 100, 200)
PAPERS = 200
PART_OF_SIDE = 4  # the square that the score looks at


def run(setting: Setting) -> None:
    """Time what is missing, size by size."""
    for side in setting.tier.timed_sides:
        for number in range(setting.tier.timed):
            subject = f"{side}-{number:02}"
            for name, queries in ((BAYES, PAPERS), (EXHAUSTIVE, 0)):
                if setting.missing(PART, subject, name, queries):
                    _time(setting, subject, side, name, queries)
        print(f"{PART}: {side} pixels", flush=True)
    for number in range(setting.tier.timed):
        subject = f"{setting.tier.timed_sides[0]}-{number:02}"
        for queries in QUERIES:
            if setting.missing(PART, subject, BAYES, queries):
                _time(setting, subject, setting.tier.timed_sides[0], BAYES, queries)
    if not (setting.pictures / window_picture.NAME).exists():
        window_picture.draw(setting)


def drawn(subject: str, side: int) -> tuple[Image, Callable[[Ask], Scores]]:
    """Return a photo of random grey levels and what answers: how bright a square of it is, 0 to 1."""
    draw = np.random.default_rng(seed_of(subject, 0))
    seen = max(1, side // PART_OF_SIDE)
    top, left = draw.integers(side - seen, size=2)
    x = draw.integers(256, size=(side, side, 3), dtype=np.uint8)

    def answer(ask: Ask) -> Scores:
        squares = [ask.images[row][top : top + seen, left : left + seen] for row in range(len(ask.images))]
        return scored(np.array([square.mean() / 255 for square in squares]))

    return x, answer


def _time(setting: Setting, subject: str, side: int, name: str, queries: int) -> None:
    x, answer = drawn(subject, side)
    if name == BAYES:
        made = [f"bayes:batch=1,queries={queries}"]
    else:
        made = [f"occlusion:stride=1,window={round(s * side / AT_SIDE)},queries={side**2}" for s in SIDES]
    began, asked = time.process_time(), 0
    for specification in made:
        found = setting.made(*_split(specification))
        if found is None:
            return
        asked += replay(found.plan(x, UINT8, 0), answer).rows
    seconds = time.process_time() - began
    setting.keep(PART, subject, name, queries, {"seconds": seconds, "asked": float(asked)})


def _split(specification: str) -> tuple[str, int]:
    """Return a specification without its queries, and these."""
    made, _, queries = specification.rpartition(",queries=")
    return made, int(queries)
