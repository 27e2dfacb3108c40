"""Rows of made-up audits, and their summaries."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bbquery.jobs.audit.row import AttackRow, MapRow, Row
from bbquery.jobs.audit.summing import Standing, summary
from bbquery.ledger.records import BudgetState, Cap
from bbquery.units import NOTHING
from tests.support.audits import plan_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.jobs.audit.plan import Plan
    from bbquery.jobs.audit.summary import Gate, Summary

BUDGET = BudgetState(1, "audit-t", Cap(), NOTHING, NOTHING)


def map_row(fidelity: float | None = None, grid: tuple[tuple[float | None, ...], ...] = (), **values: Any) -> MapRow:
    """A map of a cat."""
    plain: dict[str, Any] = {"target": "cat", "method": "rise", "unit": "u", "stamp": "", "verdict": "v"}
    return MapRow(**plain | values, fidelity=fidelity, grid=grid)


def attack_row(rmse: float | None) -> AttackRow:
    """An attack that found a verified image so near, or none."""
    outcome = "not found" if rmse is None else "adversarial"
    return AttackRow(attack="a", outcome=outcome, rmse=rmse, linf=rmse, became="", votes=0, asked=0, queries=9)


def row(place: int, oracle: str = "one", **values: Any) -> Row:
    """A complete photo that is named a cat."""
    plain: dict[str, Any] = {"status": "complete", "first": "cat", "repeats": 2, "identity": "1"}
    return Row(photo=f"p{place}", source=f"p{place}.png", oracle=oracle, **plain | values)


def plan_with(gates: dict[str, Any], *oracles: str, **tables: Any) -> Plan:
    """A plan of everything, with gates."""
    tables = {"explain": {"metrics": ["srg"]}, "attack": {"rmse": [0.1, 0.01]}} | tables
    return plan_of(*oracles or ("one",), gates=gates, **tables)


def summed(plan: Plan, rows: Sequence[Row], before: Sequence[Row] = (), n: int | None = None) -> Summary:
    """Summarise rows. before: of a baseline. n: of photos in the plan; None where all have a row."""
    known, old = ({(each.oracle, each.photo): each for each in several} for several in (rows, before))
    photos = list(dict.fromkeys(each.photo for each in rows)) if n is None else [f"p{place}" for place in range(n)]
    return summary(
        Standing(
            plan=plan, run="1", folder=Path("out"), photos=photos, read=lambda *key: known.get(key),
            budgets={"": BUDGET} | {own.name: BUDGET for own in plan.oracles}, ended={},
            before=(lambda *key: old.get(key)) if before else None, baseline="old" if before else "",
            resume="bbquery audit plan.toml",
        )
    )  # fmt: skip


def gate_of(gates: dict[str, Any], rows: Sequence[Row], *oracles: str, **tables: Any) -> Gate:
    """Return what came of the only gate."""
    (gate,) = summed(plan_with(gates, *oracles, **tables), rows).gates
    return gate
