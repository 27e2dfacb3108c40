"""The JSON Schema of a plan, which editors read."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from bbquery.errors import UsageError
from bbquery.jobs.audit.reading import read
from bbquery.jobs.audit.schema import DIALECT, schema
from docs.site import audit_schema
from tests.support.paths import ROOT

PLANS = sorted((ROOT / "examples").glob("*.toml"))
OWN: dict[str, Any] = {
    "name": "a",
    "photos": {"from": ["a.jpg"]},
    "oracles": [{"name": "own", "oracle": "efficientnet", "target": ["cat", "dog"], "max_usd": "0.5"}],
    "caps": {"max_usd": 3, "max_hours": 0.5, "photo": {"max_queries": 5}},
}


def test_the_published_schema_is_that_of_the_program() -> None:
    """The file is what `python -m docs.site.audit_schema` writes; run that after a change of the plan."""
    assert audit_schema.PLACE.read_text(encoding="utf-8") == audit_schema.text()


def test_the_page_of_plans_holds_every_key_of_the_program() -> None:
    """Whoever reads the repository finds what the site shows; `python -m docs.site.audit_schema` writes it."""
    found = audit_schema.PAGE.read_text(encoding="utf-8")

    assert found == audit_schema.page(found)
    assert "`max_queries`" in found


def test_every_table_and_key_is_described() -> None:
    """An editor shows what each table and each key is, in words."""
    for table in schema()["$defs"].values():
        assert table["description"].endswith(".")
        assert all(key["description"].endswith(".") for key in table["properties"].values())
        assert table["additionalProperties"] is False


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.name)
def test_example_plans_follow_the_schema(path: Path) -> None:
    """What the examples show is what an editor would accept."""
    assert jsonschema_rs.is_valid(schema(), tomllib.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "change",
    [
        {"seed": -1}, {"nmae": "b"}, {"photos": {"from": []}}, {"repeat": {"times": 1}}, {"caps": {"max_usd": 0}},
        {"oracles": []}, {"gates": {"no_drift": 1}}, {"photos": {"from": ["a"], "order": "rnadom"}},
    ],
)  # fmt: skip
def test_the_schema_refuses_what_the_program_refuses(change: dict[str, Any]) -> None:
    """A plan that the program takes is valid, and one that it refuses for its structure is not."""
    jsonschema_rs.validate(schema(), OWN)
    read(OWN)

    with pytest.raises(UsageError):
        read({**OWN, **change})
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.validate(schema(), {**OWN, **change})


def test_the_schema_is_json_schema() -> None:
    """It is valid by the dialect that it names."""
    assert schema()["$schema"] == DIALECT
    jsonschema_rs.meta.validate(json.loads(audit_schema.text()))
