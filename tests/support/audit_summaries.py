"""An audit as it stands, made of given rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bbquery.jobs.audit.row import AttackRow, MapRow, Row
from bbquery.jobs.audit.summary import Agreement, Change, Gate, OracleSummary, Robustness, Summary
from bbquery.jobs.intervals import mean, rate, unknown
from bbquery.ledger.records import BudgetState, Cap
from bbquery.units import Units

if TYPE_CHECKING:
    from collections.abc import Sequence

SPENT = Units(queries=420, tokens=9000, picodollars=12 * 10**11)


def row(photo: str = "cat", oracle: str = "own", **values: Any) -> Row:
    """Return a row of a photo that was asked in full, changed by these values."""
    usual = {"source": f"{photo}.png", "identity": "1", "status": "complete", "first": "cat", "first_value": 0.9}
    return Row(photo=photo, oracle=oracle, **{**usual, **values})


def map_row(**values: Any) -> MapRow:
    """Return a good map, changed by these values."""
    usual = {"target": "cat", "method": "designed", "unit": "score", "stamp": "", "verdict": "Red places speak."}
    return MapRow(**{**usual, **values})


def attack_row(rmse: float | None = 0.02, **values: Any) -> AttackRow:
    """Return an attack that found an image at a distance, or none."""
    usual = {
        "attack": "lr_boundary", "outcome": "not found" if rmse is None else "adversarial", "linf": rmse,
        "became": "dog", "votes": 5, "asked": 5, "queries": 200,
    }  # fmt: skip
    return AttackRow(rmse=rmse, **{**usual, **values})


def oracle_summary(name: str, rows: Sequence[Row], **values: Any) -> OracleSummary:
    """Return one oracle over these rows; what is not told is unknown."""
    usual: dict[str, Any] = {
        "model": f"model of {name}", "served": (), "photos": len(rows), "ended": "", "right": unknown(),
        "flipped": unknown(), "refused": rate(0, len(rows)), "chance": rate(1, max(len(rows), 1)),
        "fidelity": mean(np.array([0.4, 0.5, 0.2])), "enough": unknown(), "breaks": unknown(),
        "robust": (Robustness(rmse=0.01, share=rate(1, max(len(rows), 1))),), "drifted": 0, "asked": 100,
        "answered": len(rows), "stored": 0,
        "unanswered": 3, "kinds": {"refused": 3}, "sent": 90, "from_store": 10, "budget": budget(name),
        "of_a_photo": SPENT, "unknown": 0, "seconds": 9.0,
    }  # fmt: skip
    counts = {what: sum(each.status == what for each in rows) for what in ("complete", "partial", "failed")}
    return OracleSummary(name=name, **{**usual, **counts, "not_begun": len(rows) - sum(counts.values()), **values})


def budget(name: str, cap: int = 1000) -> BudgetState:
    """Return a budget that has spent something."""
    return BudgetState(1, f"audit-{name}", Cap(queries=cap), SPENT, Units())


def gate(name: str = "min_fidelity", *photos: str, oracle: str = "own", **values: Any) -> Gate:
    """Return a gate that these photos broke, or that none broke."""
    verdict = "failed" if photos else "met"
    return Gate(**{"name": name, "oracle": oracle, "verdict": verdict, "wanted": "≥ 0.2", "found": "0.1", "photos": photos, **values})  # fmt: skip # noqa: E501 - a line of values


def summary(folder: Path, rows: Sequence[Row], **values: Any) -> Summary:
    """Return an audit of these rows, whose oracles are those that the rows name."""
    names = list(dict.fromkeys(each.oracle for each in rows))
    usual: dict[str, Any] = {
        "name": "shop", "run": "0" * 16, "plan": {"name": "shop", "explain": {"methods": ["designed"]}},
        "command": ("bbquery", "audit", "shop.toml"), "budget": budget("shop", 5000), "read": lambda: iter(rows),
        "oracles": tuple(oracle_summary(name, [each for each in rows if each.oracle == name]) for name in names),
    }  # fmt: skip
    return Summary(folder=folder, **{**usual, **values})


def agreement(*apart: str) -> Agreement:
    """Return how far two oracles agree."""
    return Agreement(oracles=("own", "other"), labels=rate(3, 4), maps=mean(np.array([0.5, 0.7])), apart=apart)


def change(*photos: str) -> Change:
    """Return what changed since a baseline."""
    before, after, difference = (mean(np.array(each)) for each in ([0.5, 0.6], [0.4, 0.4], [-0.1, -0.2]))
    return Change(oracle="own", figure="fidelity", before=before, after=after, difference=difference, photos=photos)
