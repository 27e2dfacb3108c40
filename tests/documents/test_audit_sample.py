"""The sample report of an audit that the README links to."""

from __future__ import annotations

import csv
import re

from bbquery.jobs.audit.reading import read
from docs.site import audit_sample
from tests.support.paths import ROOT

MOST_BYTES = 1_500_000


def test_the_sample_is_of_its_plan_and_small_enough_to_open() -> None:
    """Every photo is whole on both vendors; the page is one file of less than 1.5 MB, all of whose links are there."""
    plan, folder = read(audit_sample.FOLDER / "plan.toml").plan, audit_sample.FOLDER
    page = (folder / "report.html").read_text(encoding="utf-8")
    with (folder / "rows.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))

    assert len(page.encode()) < MOST_BYTES
    assert all((folder / link).is_file() for link in re.findall(r'href="\./([^"]*)"', page))
    assert [row["status"] for row in rows] == ["complete"] * len(audit_sample.PHOTOS) * len(plan.oracles)
    assert {row["photo"] for row in rows} == {name.partition(".")[0] for name in audit_sample.PHOTOS}
    assert "(docs/audit_sample/report.html)" in (ROOT / "README.md").read_text(encoding="utf-8")
