"""Plans are read from files, dictionaries and objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbquery.jobs.audit.reading import read

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """
name = "shop"
photos = { from = ["photos/"] }
oracles = [{ name = "own", oracle = "efficientnet" }]
"""
LIKEWISE = {"name": "shop", "photos": {"from": ["photos/"]}, "oracles": [{"name": "own", "oracle": "efficientnet"}]}


def test_a_file_a_dictionary_and_an_object_are_one_plan(tmp_path: Path) -> None:
    """The same plan comes of a file, a dictionary and a plan; only the file has a path, and a folder of its own."""
    (tmp_path / "plan.toml").write_text(TEXT)

    filed, spoken = read(tmp_path / "plan.toml"), read(LIKEWISE)

    assert filed.plan == spoken.plan == read(spoken.plan).plan
    assert (filed.folder, filed.text, spoken.path) == (tmp_path.resolve(), TEXT, None)
