"""`bbquery audit status`, `report` and `export`: of an audit that is there, also of one that runs; nothing is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from bbquery.commands.audit_run import changed, gate_lines, spent, stored, troubles
from bbquery.commands.output import near, say, standard_output, table, warn
from bbquery.ledger.ledger import Ledger
from bbquery.money import dollars
from bbquery.report import audit, audit_rows
from bbquery.report.audit_folder import AuditFolder
from bbquery.report.audit_there import baseline, compared_with, find
from bbquery.report.claim import claimed, is_taken
from bbquery.report.files import whole_file
from bbquery.shown import as_json

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from bbquery.jobs.audit.row import Row
    from bbquery.jobs.audit.summary import Summary
    from bbquery.report.audit_there import There

IN_FLIGHT = "what is held is in flight, or may have been billed: the audit says which once it has ended"
STANDARD_OUTPUT = Path("-")
WRITERS = {"csv": audit_rows.write_csv, "jsonl": audit_rows.write_jsonl}


def status(chosen: argparse.Namespace) -> int:
    """Show how an audit stands."""
    there = find(chosen.audit)
    with Ledger() as ledger:
        summary = there.summary(ledger)
    if chosen.json:
        print(as_json(json.loads(audit.record(summary, there.photos))))
        return 0
    say(*_lines(there, summary))
    return 0


def _lines(there: There, summary: Summary) -> Iterator[str]:
    header = ("oracle", "complete", "partial", "failed", "not begun", "queries", "held", "dollars")
    rows = [
        (
            each.name, f"{each.complete:,}", f"{each.partial:,}", f"{each.failed:,}", f"{each.not_begun:,}",
            f"{each.budget.posted.queries:,}", f"{each.budget.held.queries:,}", dollars(each.budget.posted.picodollars),
        )
        for each in summary.oracles
    ]  # fmt: skip
    yield f"audit {summary.name}: {len(there.photos):,} photos; {'running' if is_taken(there.place) else 'not running'}"
    yield from table(header, rows, words=1)
    running = is_taken(there.place)
    if running:  # else what ended it is said with what is missing
        yield from (f"{each.name} ended early: {each.ended}" for each in summary.oracles if each.ended)
    yield from gate_lines(summary.gates)
    yield from () if running else troubles(summary)
    yield from stored(summary)
    yield spent(summary, held_is=IN_FLIGHT) if running else spent(summary)
    yield near(there.place)


def report(chosen: argparse.Namespace) -> int:
    """Write an audit's record, rows and page again."""
    there = find(chosen.audit)
    given = None if chosen.baseline is None else baseline(chosen.baseline)
    before = compared_with(given, there.place, warn)
    with claimed(there.place, there.record["run"]), Ledger() as ledger:
        summary = there.summary(ledger, before)
        written = audit.write(summary, there.photos)
    warn(*troubles(summary), *stored(summary))
    say(*gate_lines(summary.gates), *changed(summary), *map(near, written[:-1]), spent(summary), near(written[-1]))
    return 0


def export(chosen: argparse.Namespace) -> int:
    """Write an audit's rows for other programs."""
    there = find(chosen.audit)
    write = WRITERS[chosen.format]
    if chosen.out in (None, STANDARD_OUTPUT):
        with standard_output() as put:
            write(_rows(there), put)
        return 0
    with whole_file(chosen.out) as put:
        write(_rows(there), put)
    say(str(chosen.out))
    return 0


def _rows(there: There) -> Iterator[Row]:
    """Give rows oracle by oracle, in the plan's order, read one by one."""
    rows = AuditFolder(there.place)
    for own in there.record["plan"]["oracles"]:
        for photo in there.photos:
            if (row := rows.row(own["name"], photo)) is not None:
                yield row
