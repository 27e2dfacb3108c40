"""Write what is read from the program about plans of audits: `python -m docs.site.audit_schema`.

The JSON Schema of a plan, and the tables of its keys, which stand below a mark in their page.
"""

from __future__ import annotations

from pathlib import Path

from bbquery.jobs.audit.schema import schema
from bbquery.shown import as_json
from docs.site.command_line import plan_tables

REFERENCE = Path(__file__).parents[1] / "reference"
PLACE = REFERENCE / "audit.schema.json"
PAGE = REFERENCE / "audit.md"
MARK = "<!-- below: python -m docs.site.audit_schema -->"


def text() -> str:
    """Return the schema's file."""
    return as_json(schema()) + "\n"


def page(old: str) -> str:
    """Return the page: the old one up to its mark, then every table."""
    return "\n\n".join([old.partition(MARK)[0] + MARK, *plan_tables()]) + "\n"


if __name__ == "__main__":
    PLACE.write_text(text(), encoding="utf-8")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
