"""Rows of audits for spreadsheets and programs: whatever a label holds, it is words."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from bbquery.report.audit_rows import COLUMNS, write_csv, write_jsonl
from tests.support.audit_rows import attack_row, map_row, row
from tests.support.paths import ROOT

HOSTILE = '=HYPERLINK("http://x.example")'


def _table(*rows: object) -> list[dict[str, str]]:
    parts: list[bytes] = []
    write_csv(rows, parts.append)  # type: ignore[arg-type] # rows
    return list(csv.DictReader(io.StringIO(b"".join(parts).decode())))


@pytest.mark.parametrize("text", [HOSTILE, "+1+1", "-cmd|x", "@SUM(A1)"])
def test_no_cell_is_a_formula(text: str) -> None:
    """Labels, answers and names of files that begin as one are words in the table."""
    (cells,) = _table(row(0, label=text, first=text, why=text))

    assert [cells[name] for name in ("label", "first", "why")] == [f"'{text}"] * 3


def test_no_cell_moves_a_cursor_or_begins_a_line() -> None:
    """Control characters are written by their numbers."""
    (cells,) = _table(row(0, first="a\x1b[2J\r\nb"))

    assert cells["first"] == "a\\u001b[2J\\r\\nb"


def test_what_is_not_known_is_an_empty_cell_and_numbers_stay_numbers() -> None:
    """A figure of several maps or attacks is their first or nearest."""
    first, second = _table(
        row(0, maps=(map_row(-0.25, enough=0.5),), attacks=(attack_row(0.02), attack_row(0.01)), right=False), row(1)
    )

    assert (first["fidelity"], first["enough"], first["rmse"], first["right"]) == ("-0.25", "0.5", "0.01", "no")
    assert (second["fidelity"], second["rmse"], second["right"]) == ("", "", "")


def test_lines_of_json_hold_all_that_a_row_does() -> None:
    """One line a row, with maps and attacks."""
    parts: list[bytes] = []
    write_jsonl([row(0, maps=(map_row(0.5),)), row(1)], parts.append)

    lines = b"".join(parts).splitlines()
    assert len(lines) == 2
    assert json.loads(lines[0])["maps"][0]["fidelity"] == 0.5


def test_every_column_is_explained_in_its_order() -> None:
    """The page on records says of each column what it means, and of no other."""
    page = (ROOT / "docs/records.md").read_text(encoding="utf-8")
    section = page.partition("## Columns of `rows.csv`")[2].partition("\n## ")[0]

    assert re.findall(r"^\| `(\w+)` \| \S", section, re.MULTILINE) == list(COLUMNS)
