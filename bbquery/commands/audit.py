"""`bbquery audit`: many photos on several models, as one plan file says."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from bbquery.commands import audit_prospect, audit_run, audit_there, consent
from bbquery.commands.audit_init import add as add_init
from bbquery.commands.ledger import add_ledger
from bbquery.commands.output import say
from bbquery.commands.output_folder import FORCE
from bbquery.errors import NotWritten
from bbquery.jobs.audit.engines import LOCAL
from bbquery.jobs.audit.prepared import place_of
from bbquery.jobs.audit.prospect import prospect
from bbquery.jobs.audit.reading import read
from bbquery.jobs.audit.schema import schema
from bbquery.shown import as_json

ABOUT = """Audit models: make maps of many photos, attack them, and judge the whole by gates, within one cap, as one
plan file says. 'bbquery audit PLAN' is 'bbquery audit run PLAN'. The same command goes on where a run ended, and pays
only what is missing."""
EXAMPLES = (
    "bbquery audit init --photos sample:cat sample:rocket",
    "bbquery audit init --photos sample:cat && bbquery audit plan.toml --dry-run",
)
ENGINE = """what asks the photos: local, or dask:tcp://HOST:PORT for the workers of a Dask cluster, which needs a ledger
on PostgreSQL (default: local)"""
RUN_EXAMPLES = (
    "bbquery audit init --photos sample:cat && bbquery audit run plan.toml --dry-run",
    "bbquery audit init other.toml --photos sample:rocket && bbquery audit run other.toml --dry-run",
)
_MADE = "bbquery audit init --photos sample:cat && bbquery audit plan.toml"
STATUS = (f"{_MADE} && bbquery audit status plan.toml", f"{_MADE} && bbquery audit status plan.toml --json")
REPORT = (f"{_MADE} && bbquery audit report plan.toml", f"{_MADE} && bbquery audit report audit-audit")
EXPORT = (
    f"{_MADE} && bbquery audit export plan.toml",
    f"{_MADE} && bbquery audit export plan.toml --format jsonl --out rows.jsonl",
)
FOLDER = "the folder of an audit, or its plan"
SCHEMA_EXAMPLES = ("bbquery audit schema", "bbquery audit schema --out audit.schema.json")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare it."""
    audit = commands.add_parser(
        "audit", help="audit models by many photos, as a plan file says", description=ABOUT, examples=EXAMPLES,
        implied="run",
    )  # fmt: skip
    kinds = audit.add_subparsers(required=True, metavar="PLAN or COMMAND")
    _add_run(kinds)
    add_init(kinds)
    _add_status(kinds)
    _add_report(kinds)
    _add_export(kinds)
    schemas = kinds.add_parser("schema", help="print the JSON Schema of a plan, for editors", examples=SCHEMA_EXAMPLES)
    schemas.set_defaults(run=_schema)
    schemas.add_argument("--out", type=Path, metavar="FILE", help="where to write it (default, and -: standard output)")


def _add_run(kinds: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    run = kinds.add_parser("run", help="run an audit, or go on with it", examples=RUN_EXAMPLES)
    run.set_defaults(run=_run)
    run.add_argument("plan", type=Path, metavar="PLAN", help="its plan file; 'bbquery audit init' writes one")
    run.add_argument("--dry-run", action="store_true", help="show what it would cost; nothing is asked")
    run.add_argument(
        "--out", type=Path, metavar="DIR", help="where to write (default: as the plan's out says, else NAME-audit)"
    )
    run.add_argument("--force", action="store_true", help=FORCE)
    _add_baseline(run)
    add_ledger(run)
    run.add_argument("--engine", default=LOCAL, metavar="ENGINE", help=ENGINE)
    consent.add_yes(run)


def _add_baseline(command: argparse.ArgumentParser) -> None:
    about = """the folder of an earlier audit of the same photos: what changed since then is reported; none for no
    comparison (default: that of the last run, if it had one)"""
    command.add_argument("--baseline", type=Path, metavar="DIR", help=about)


def _add_status(kinds: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    status = kinds.add_parser("status", help="show how an audit stands, also of one that runs", examples=STATUS)
    status.set_defaults(run=_status)
    status.add_argument("audit", type=Path, metavar="FOLDER", help=FOLDER)
    status.add_argument("--json", action="store_true", help="for programs")
    add_ledger(status)


def _add_report(kinds: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    report = kinds.add_parser("report", help="write an audit's report again, asking nothing", examples=REPORT)
    report.set_defaults(run=_report)
    report.add_argument("audit", type=Path, metavar="FOLDER", help=FOLDER)
    _add_baseline(report)
    add_ledger(report)


def _add_export(kinds: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    export = kinds.add_parser("export", help="write an audit's rows for other programs", examples=EXPORT)
    export.set_defaults(run=_export)
    export.add_argument("audit", type=Path, metavar="FOLDER", help=FOLDER)
    export.add_argument(
        "--format", choices=("csv", "jsonl"), default="csv", help="a table, or all that is kept, a line a row"
    )
    export.add_argument("--out", type=Path, metavar="FILE", help="where to write (default, and -: standard output)")


def _run(chosen: argparse.Namespace) -> int:
    file = read(chosen.plan)
    if chosen.dry_run:
        place_of(file, chosen.out)
        say(*audit_prospect.lines(asyncio.run(prospect(file))))
        return 0
    return audit_run.run(chosen, file)


def _status(chosen: argparse.Namespace) -> int:
    return audit_there.status(chosen)


def _report(chosen: argparse.Namespace) -> int:
    return audit_there.report(chosen)


def _export(chosen: argparse.Namespace) -> int:
    return audit_there.export(chosen)


def _schema(chosen: argparse.Namespace) -> int:
    text = as_json(schema())
    if chosen.out in (None, audit_there.STANDARD_OUTPUT):
        print(text)
        return 0
    try:
        chosen.out.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise NotWritten(f"cannot write {chosen.out} ({error.strerror})") from error
    return 0
