"""JSON Schema of a plan, for editors: made of the plan's classes and of their docstrings."""

from __future__ import annotations

from typing import Any

import msgspec

from bbquery.jobs.audit import plan
from bbquery.option_docs import about, lines_of

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a plan."""
    made: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(msgspec.json.schema(plan.Plan)))  # lists, no tuples
    for name, table in made["$defs"].items():
        struct = getattr(plan, name)
        table["description"] = " ".join(about(struct).split())
        lines = lines_of(struct)
        for field in msgspec.structs.fields(struct):
            table["properties"][field.encode_name]["description"] = lines[field.name]
    return {"$schema": DIALECT, "title": "Plan of an audit by bbquery", **made}
