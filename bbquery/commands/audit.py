"""`bbquery audit`: many photos on several models, as one plan file says."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from bbquery.commands import audit_prospect, consent
from bbquery.commands.audit_init import add as add_init
from bbquery.commands.output import say
from bbquery.errors import NotWritten, UsageError
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
RUN_EXAMPLES = (
    "bbquery audit init --photos sample:cat && bbquery audit run plan.toml --dry-run",
    "bbquery audit init other.toml --photos sample:rocket && bbquery audit run other.toml --dry-run",
)
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
    schemas = kinds.add_parser("schema", help="print the JSON Schema of a plan, for editors", examples=SCHEMA_EXAMPLES)
    schemas.set_defaults(run=_schema)
    schemas.add_argument("--out", type=Path, metavar="FILE", help="where to write it (default: standard output)")


def _add_run(kinds: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    run = kinds.add_parser("run", help="run an audit, or go on with it", examples=RUN_EXAMPLES)
    run.set_defaults(run=_run)
    run.add_argument("plan", type=Path, metavar="PLAN", help="its plan file; 'bbquery audit init' writes one")
    run.add_argument("--dry-run", action="store_true", help="show what it would cost; nothing is asked")
    consent.add_yes(run)


def _run(chosen: argparse.Namespace) -> int:
    file = read(chosen.plan)
    if chosen.dry_run:
        say(*audit_prospect.lines(asyncio.run(prospect(file))))
        return 0
    raise UsageError("an audit cannot be run yet: --dry-run shows what it would cost")


def _schema(chosen: argparse.Namespace) -> int:
    text = as_json(schema())
    if chosen.out is None:
        print(text)
        return 0
    try:
        chosen.out.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise NotWritten(f"cannot write {chosen.out} ({error.strerror})") from error
    return 0
