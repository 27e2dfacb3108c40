"""Write the JSON Schema of a plan to where the site has it: `python -m docs.site.audit_schema`."""

from __future__ import annotations

from pathlib import Path

from bbquery.jobs.audit.schema import schema
from bbquery.shown import as_json

PLACE = Path(__file__).parents[1] / "reference" / "audit.schema.json"


def text() -> str:
    """Return the file."""
    return as_json(schema()) + "\n"


if __name__ == "__main__":
    PLACE.write_text(text(), encoding="utf-8")
