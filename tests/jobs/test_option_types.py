"""What is given from Python in a type that was not promised: refused by its name, before anything is asked."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import bbquery
from bbquery.errors import UsageError
from oracles import function
from tests.support import models

if TYPE_CHECKING:
    from bbquery.ledger.ledger import Ledger

PHOTO = np.random.default_rng(0).integers(100, 200, (16, 20, 3), dtype=np.uint8)
MAP = np.arange(320.0).reshape(16, 20)
NEVER = function.connect(lambda _: pytest.fail("it was asked"), classes="left|right", version="1")
VERBS = ("attack", "attack_many", "compare", "evaluate", "explain", "explain_many", "probe")
WRONG: list[tuple[str, Any]] = [
    ("target", 3), ("target", [3]), ("target", ["left", None]), ("target", b"left"),
    ("max_queries", "50"), ("max_queries", 50.5), ("max_queries", float("nan")), ("max_queries", True),
    ("max_tokens", "50"), ("max_usd", [0.1]), ("max_queries_per_image", "50"), ("max_tokens_per_image", 1.5),
    ("seed", "0"), ("seed", -1), ("seed", 1.5), ("seed", None),
    ("spare", "3"), ("spare", 1.5), ("drift_every", "3"), ("drift_every", 1.5), ("drift_every", None),
    ("longest_wait", "3"), ("project", 3), ("ledger", "ledger.sqlite3"),
    ("watch", object()), ("watch", bbquery.Watch), ("progress", "yes"), ("progress", 1),
    ("oracle", None), ("oracle", 3), ("oracle", dict), ("classes", ["left"]), ("score", 3), ("score", object()),
    ("method", 3), ("method", ["rise"]), ("methods", 3), ("methods", None), ("methods", [3, 4]),
    ("attack", 3), ("attack", None), ("controls", 3), ("controls", ["pink"]), ("labels", 3), ("labels", "left"),
    ("labels", ["left", "right"]), ("rmse", 0.1), ("rmse", "0.1"), ("rmse", ["0.1"]),
    ("metrics", 3), ("metrics", None), ("metrics", [3]), ("metrics", [object()]),
    ("box", (1, 2, 3, 4)), ("box", [(1, 2, 3)]), ("box", [(0.5, 0, 3, 4)]), ("box", "1,2,3,4"),
    ("fill", None), ("fill", [3]), ("radius", "2"), ("montage", 3), ("montage", [3]), ("gradient", 3),
    ("map", None), ("map", MAP.tolist()), ("map", MAP.astype(str)), ("map", MAP * 1j),
    ("images", "sample:cat"), ("images", PHOTO), ("images", 3),
]  # fmt: skip
"""An option, and what it does not take."""
IN_OTHER_WORDS = {
    "max_queries": "queries", "max_tokens": "tokens", "max_usd": "dollars", "max_queries_per_image": "queries",
    "max_tokens_per_image": "tokens", "longest_wait": "longest wait", "montage": "montage|image", "metrics": "metric",
    "methods": "method", "controls": "control", "rmse": "rmse|RMSE",
}  # fmt: skip


def words(verb: str) -> dict[str, Any]:
    """Return what a verb needs to run."""
    given: dict[str, Any] = {"image": PHOTO, "oracle": NEVER, "max_queries": 400}
    match verb:
        case "compare":
            given["methods"] = "rise,lr"
        case "evaluate":
            given["map"] = MAP
        case "explain_many" | "attack_many":
            given["images"] = [given.pop("image")]
    return given


CASES = [
    pytest.param(verb, option, value, id=f"{verb}-{option}-{number}")
    for number, (option, value) in enumerate(WRONG)
    for verb in VERBS
    if option in inspect.signature(getattr(bbquery, verb)).parameters
    if (verb, option, value) != ("evaluate", "oracle", None)  # that of run.json
]


@pytest.mark.parametrize(("verb", "option", "value"), CASES)
def test_a_wrong_type_is_refused_by_name(verb: str, option: str, value: Any, ledger: Ledger) -> None:
    """A value of a wrong type is a UsageError that says which option it is, and nothing was asked for it."""
    with pytest.raises(UsageError, match=IN_OTHER_WORDS.get(option, option)):
        list(getattr(bbquery, verb)(**{**words(verb), "ledger": ledger, option: value}))


def test_integers_of_numpy_are_integers(ledger: Ledger) -> None:
    """Numbers out of an array make the run that Python's own make, and it resumes it."""
    oracle = function.connect(models.sides, classes="left|right", version="1")
    own: dict[str, Any] = {"max_queries": 20, "seed": 3, "spare": 2}

    first = bbquery.explain(PHOTO, oracle, method="rise", ledger=ledger, **own)

    of_numpy: dict[str, Any] = {name: np.int64(value) for name, value in own.items()}
    again = bbquery.explain(PHOTO, oracle, method="rise", ledger=ledger, **of_numpy)
    assert (again.run, again.queries.sent) == (first.run, 0)
    assert again.budget == first.budget
