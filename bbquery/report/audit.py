"""Files of an audit as a whole, in its folder: the record, rows for spreadsheets and programs, and the page."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from bbquery.jobs.record_file import SCHEMA
from bbquery.report import audit_rows
from bbquery.report.files import whole_file, write_bytes
from bbquery.report.pages import audit as pages
from bbquery.report.record import encoded, versions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bbquery.jobs.audit.summary import OracleSummary, Summary
    from bbquery.ledger.records import BudgetState

RECORD = "audit.json"
PLAN = "plan.toml"
FILES = {
    "report.html": "all of it on one page, with every photo",
    "rows.csv": "a line for each photo on each oracle, for spreadsheets",
    "rows.jsonl": "the same for programs, with maps and attacks",
}


def write(summary: Summary, photos: Sequence[str]) -> list[Path]:
    """Write what an audit comes to into its folder; return the paths, last the one to open.

    photos: names, in the plan's order. `audit.json` is written last.

    Raises:
        UsageError: the folder cannot be written. MissingExtra: no Jinja.
    """
    folder = summary.folder
    page = pages.write(folder, summary)
    with whole_file(folder / "rows.csv") as put:
        audit_rows.write_csv(summary.rows(), put)
    with whole_file(folder / "rows.jsonl") as put:
        audit_rows.write_jsonl(summary.rows(), put)
    write_record(summary, photos)
    return [*(folder / name for name in ("rows.csv", "rows.jsonl", RECORD)), page]


def write_record(summary: Summary, photos: Sequence[str]) -> None:
    """Write audit.json alone. photos: names, in the plan's order."""
    write_bytes(summary.folder / RECORD, record(summary, photos))


def record(summary: Summary, photos: Sequence[str]) -> bytes:
    """Return audit.json. photos: names, in the plan's order."""
    return encoded(
        {
            "schema": SCHEMA,
            "verb": "audit",
            "run": summary.run,
            "status": "partial" if summary.rests else "complete",
            "stopped": summary.ended or next((each.ended for each in summary.oracles if each.ended), None),
            "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "command": summary.command,
            "versions": versions(),
            "name": summary.name,
            "began": summary.began,
            "plan": summary.plan,
            "photos": photos,
            "oracles": [_oracle(each) for each in summary.oracles],
            "gates": summary.gates,
            "agreements": summary.agreements,
            "changes": summary.changes,
            "baseline": summary.baseline,
            "rests": summary.rests,
            "resume": summary.resume,
            "budget": _budget(summary.budget),
            "earlier": summary.earlier,
            "files": FILES,
        }
    )


def _oracle(found: OracleSummary) -> dict[str, Any]:
    return {**vars(found), "budget": _budget(found.budget)}


def _budget(budget: BudgetState) -> dict[str, Any]:
    return {"name": budget.name, "cap": budget.cap, "posted": budget.posted, "held": budget.held}
