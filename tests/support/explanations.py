"""Explanations made of given numbers, without a query: for what pictures, pages and sentences say of them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from bbquery import load
from bbquery.client.client import QueryCounts
from bbquery.drift import DriftReport
from bbquery.images.placement import Placement
from bbquery.jobs.explain.result import Explanation, TargetMap
from bbquery.jobs.spare import Rest
from bbquery.ledger.records import BudgetState, Cap
from bbquery.oracle import Capabilities
from bbquery.recording import Recorded
from bbquery.types import Classes, SaliencyMap, Scores, Vector
from bbquery.units import Units

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bbquery.types import Answer

RNG = np.random.default_rng(0)
PROBABILITIES = np.array([0.38, 0.45, 0.17])
NAMES = ("tiger cat", "tabby", "lynx")


def map_of(
    values: NDArray[np.float64],
    *,
    error: NDArray[np.float64] | None = None,
    target: str = NAMES[0],
    names: tuple[str, ...] = NAMES,
    score: str = "soft",
    clean: Answer | None = None,
    unit: str = "score gained by revealing a cell",
    signed: bool = True,
    rows: int = 100,
    answered: int = 100,
    decisions: tuple[int, ...] = (),
    notes: tuple[str, ...] = (),
    **changes: Any,
) -> TargetMap:
    """Return a map of these values (H, W) for one of `names`. decisions: of its copies, codes of `Decision`."""
    classes = Classes(tuple((name,) for name in names))
    recorded = Recorded()
    recorded.add(Scores(np.array(decisions, dtype=np.int8), np.array(decisions, dtype=np.float64)))
    bound = load.score(score).bind(clean or Vector(PROBABILITIES), target, classes)
    sent = SaliencyMap(values, signed, unit, rows, answered, error, notes=notes)
    made = {"stopped": None, "unread": Counter[str](), "asked": answered, "recorded": recorded, **changes}
    return TargetMap(target=target, values=values, sent=sent, score=bound, standard_error=error, **made)


def explanation_of(
    *maps: TargetMap,
    photo: NDArray[np.uint8] | None = None,
    names: tuple[str, ...] = NAMES,
    clean: Answer | None = None,
    answers: Any = "probabilities",
    posted: int = 0,
    held: int = 0,
    noise: float = 0.0,
) -> Explanation:
    """Return an explanation with these maps. posted, held: picodollars. noise: of the score of one image."""
    height, width = maps[0].values.shape
    x = RNG.integers(0, 256, (height, width, 3), dtype=np.uint8) if photo is None else photo
    classes = Classes(tuple((name,) for name in names)) if answers in ("probabilities", "scores") else None
    asked = 1 + sum(m.asked for m in maps)
    budget = BudgetState(1, "explain-0", Cap(), Units(asked, 0, posted), Units(0, 0, held))
    placement = Placement(photo=(height, width), box=(0, 0, width, height), size=(height, width))
    return Explanation(
        run="0" * 16, photo=x, x=x, placement=placement,
        maps=maps, clean=clean or Vector(PROBABILITIES),
        oracle=Capabilities(name="a model", answers=answers, identity={}, classes=classes),
        method=load.method("designed"), score=load.score("soft"), seed=0,
        queries=QueryCounts(asked, asked, 0, 0, answered=asked), budget=budget, unknown=(), error=None,
        drift=DriftReport((), noise, (), (), watched=False), seconds={},
        rest=Rest(asked, asked, asked, Units(), budget),
    )  # fmt: skip
