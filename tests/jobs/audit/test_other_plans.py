"""The same audit after its plan, its photos or its model changed: all that is asked now is answered, and only that."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from bbquery.jobs.audit.photos import listing
from bbquery.jobs.audit.reading import read
from tests.support.audits import MAPS, Small, Undrawn, photos_in, plan_of
from tests.support.oracles import FakeOracle

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

MEASURED = MAPS | {"max_queries": 12, "metrics": ["srg:steps=4"]}


@pytest.mark.parametrize(
    "change",
    [
        {"explain": MEASURED | {"metrics": ["srg:steps=3"]}}, {"explain": MEASURED | {"max_queries": 8}},
        {"explain": None}, {"repeat": {"times": 3}}, {"repeat": None}, {"seed": 3},
    ],
)  # fmt: skip
def test_a_changed_plan_is_asked_to_its_end(tmp_path: Path, change: dict[str, Any]) -> None:
    """Other metrics, other amounts and another seed find room, however much the earlier form has spent."""
    audit, before = Small(tmp_path, photos_in(tmp_path / "photos", 1)), {"explain": MEASURED}
    audit.run(plan_of("one", **before), FakeOracle())

    rows, engine = audit.run(plan_of("one", **before | change), FakeOracle())

    assert [row.status for row in rows] == ["complete"]
    assert engine.error is None


def test_another_version_of_a_model_is_another_model(tmp_path: Path) -> None:
    """Each of its photos is asked anew, the unperturbed one too."""
    audit, other = Small(tmp_path, photos_in(tmp_path / "photos", 2)), FakeOracle(version="2")
    audit.run(plan_of("one"), FakeOracle())

    rows, engine = audit.run(plan_of("one"), other)

    assert [row.status for row in rows] == ["complete"] * 2
    assert other.billed == 4
    assert engine.error is None


def test_a_photo_whose_file_changed_is_asked_anew(tmp_path: Path) -> None:
    """What was spent on the picture before does not count against the new one of its name."""
    audit = Small(tmp_path, photos_in(tmp_path / "photos", 1))
    audit.run(plan_of("one"), FakeOracle())
    photos_in(tmp_path / "photos", 1, seed=1)

    rows, engine = audit.run(plan_of("one"), FakeOracle())

    assert [row.status for row in rows] == ["complete"]
    assert engine.error is None


def test_a_row_of_another_model_is_no_result_of_this_one(tmp_path: Path) -> None:
    """Where a cap keeps photos from being asked of a new version, no row of the old one stands in for it."""
    audit = Small(tmp_path, photos_in(tmp_path / "photos", 3))
    audit.run(plan_of("one"), FakeOracle())

    audit.run(plan_of("one", caps={"max_queries": 9}), FakeOracle(version="2"))

    kept = [Undrawn(tmp_path / "out").row("one", photo.name) for photo in audit.photos]
    assert [row is not None for row in kept] == [True, False, False]


def test_a_photo_whose_name_is_no_text_is_asked_like_any_other(tmp_path: Path) -> None:
    """A name that is not UTF-8 is written out in its row, and ends nothing."""
    photos_in(tmp_path / "photos", 1)
    strange = os.fsencode(tmp_path / "photos") + b"/\xff.png"
    try:
        os.link(tmp_path / "photos" / "p00.png", strange)
    except OSError:
        pytest.skip("this file system takes no such name")
    plan = {"name": "t", "photos": {"from": [str(tmp_path / "photos")], "allow_outside": True}}
    photos = listing(read(plan | {"oracles": [{"name": "one", "oracle": "efficientnet"}]})).photos

    rows, _ = Small(tmp_path, photos).run(plan_of("one"), FakeOracle())

    assert [row.status for row in rows] == ["complete"] * 2
    assert any(row.source.endswith(r"\udcff.png") for row in rows)


def test_what_an_earlier_form_took_of_a_photo_counts_in_its_cap(tmp_path: Path) -> None:
    """A photo that cannot be whole within [caps.photo] beside what it took before is not begun; the reason says so."""
    photos, caps, maps = photos_in(tmp_path / "photos", 1), {"photo": {"max_queries": 20}}, MAPS | {"max_queries": 12}
    (tmp_path / "alone").mkdir()
    audit, alone = Small(tmp_path, photos), Small(tmp_path / "alone", photos)
    audit.run(plan_of("one", explain=maps), FakeOracle())

    rows, engine = audit.run(plan_of("one", explain=maps, seed=3, caps=caps), FakeOracle())
    (whole,), _ = alone.run(plan_of("one", explain=maps, seed=3, caps=caps), FakeOracle())

    assert rows == []
    assert "queries that an earlier form of the plan took: raise it" in str(engine.error)
    assert whole.complete
