"""Tables of `bbquery probe`: its figures, with their intervals and what they rest on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbquery.commands.output import counted, table
from bbquery.money import dollars
from bbquery.report import probe_rows

if TYPE_CHECKING:
    from bbquery.jobs.probe.result import Probe
    from bbquery.jobs.probe.statistics import ScoreFigures

DIGITS = 3  # of the mean cost of a query that tell something


def lines(found: Probe) -> list[str]:
    """Return everything that a person should see of a probe; intervals are of 95 %."""
    return [
        f"queries: {counted(found.queries)}; {_cost(found)}",
        "",
        probe_rows.clean(found.clean),
        *(line for figures in found.chosen for line in ("", *_conditions(found, figures))),
        "",
        f"{probe_rows.SCORES_SAID}:",
        *table(probe_rows.OF_SCORES, probe_rows.of_scores(found), words=2),
        "",
        "recommended:",
        *(f"  {reason}" for reason in found.advice.reasons),
        *(f"  {line}" for line in probe_rows.further(found)),
    ]


def _cost(found: Probe) -> str:
    each = found.budget.picodollars_a_query
    if each is None:
        return "this run has paid for none"
    return (
        f"${dollars(round(each, DIGITS - len(str(each))))} a query, ${dollars(found.budget.posted.picodollars)} in all"
    )


def _conditions(found: Probe, figures: ScoreFigures) -> list[str]:
    heading = f"{probe_rows.conditions_said(figures)}:"
    return [heading, *table(probe_rows.OF_CONDITIONS, probe_rows.of_conditions(found, figures), words=1)]
