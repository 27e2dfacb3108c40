"""The page on an audit: what it says first, in which order photos stand, and what it carries."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
import pytest

from bbquery.jobs.intervals import rate, unknown
from bbquery.report.pages import audit, audit_photos, audit_tables
from bbquery.report.pages.page import rendered
from bbquery.units import Units
from tests.support.audit_summaries import attack_row, budget, change, gate, map_row, oracle_summary, row, summary

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.jobs.audit.row import Row


def states(folder: Path, rows: list[Row], **values: object) -> list[tuple[str, str]]:
    found = audit_photos.gallery(summary(folder, rows, **values))
    return [(entry.photo, entry.state.text) for entry in found.entries]


def test_the_worst_photo_stands_first(tmp_path: Path) -> None:
    """Broken gates, then failures, no answers, doubts; then the nearest change, and the lowest fidelity."""
    rows = [
        row("far", attacks=(attack_row(0.05),)), row("near", attacks=(attack_row(0.01),)),
        row("faithful", maps=(map_row(fidelity=0.5),)), row("unfaithful", maps=(map_row(fidelity=0.1),)),
        row("stamped", maps=(map_row(stamp="COULD BE CHANCE"),)), row("silent", nothing="refused", first=""),
        row("half", status="partial", why="a cap"), row("damaged", status="failed", why="no picture"),
        row("broke"),
    ]  # fmt: skip

    assert states(tmp_path, rows, gates=(gate("min_fidelity", "broke"),)) == [
        ("broke", "broke a gate"), ("damaged", "failed"), ("half", "partial"), ("silent", "no answer"),
        ("stamped", "could be chance"), ("near", "done"), ("far", "done"), ("unfaithful", "done"), ("faithful", "done"),
    ]  # fmt: skip


def test_a_gate_is_broken_on_its_own_oracle_only(tmp_path: Path) -> None:
    """A gate of a pair is broken on both; one of an oracle leaves the same photo on another as it is."""
    rows = [row(oracle="own"), row(oracle="other")]

    found = audit_photos.gallery(summary(tmp_path, rows, gates=(gate("no_drift", "cat", oracle="other"),)))
    pair = audit_photos.gallery(summary(tmp_path, rows, gates=(gate("a", "cat", oracle="own and other"),)))

    assert [(each.oracle, each.state.text) for each in found.entries] == [("other", "broke a gate"), ("own", "done")]
    assert {each.state.text for each in pair.entries} == {"broke a gate"}


@pytest.mark.parametrize(
    ("gates", "said"),
    [
        ((), "2 photos on 1 model: all done"),
        ((gate(), gate("no_drift")), "2 photos on 1 model: all done; all gates are met"),
        ((gate(), gate("no_drift", "cat")), "2 photos on 1 model: all done; 1 of 2 gates failed"),
        (
            (gate(verdict="cannot be told", found="", why="n = 0"), gate("no_drift", "cat")),
            "2 photos on 1 model: all done; 1 of 2 gates failed, 1 of 2 gates cannot be told",
        ),
    ],
)
def test_the_first_line_says_what_came_of_it(tmp_path: Path, gates: tuple[object, ...], said: str) -> None:
    """Whoever reads one line knows whether all was asked, and whether every gate is met."""
    assert audit.page(summary(tmp_path, [row("cat"), row("dog")], gates=gates)).verdict == said


def test_what_is_not_begun_is_not_called_done(tmp_path: Path) -> None:
    """Photos that no row tells of count as planned."""
    own = oracle_summary("own", [row()], photos=3, not_begun=2)

    assert audit.page(summary(tmp_path, [row()], oracles=(own,))).verdict == "3 photos on 1 model: 1 of 3 done"


def test_every_figure_has_its_interval_and_its_number(tmp_path: Path) -> None:
    """No share stands without what chance allows; what is not known is a dash, and a line of dashes is left out."""
    assert audit_tables.share(rate(3, 4)) == "75 % [30 %, 95 %], n = 4"
    assert audit_tables.share(unknown()) == "–"

    table = audit_tables.oracles(summary(tmp_path, [row()]))

    named = {line[0]: line[1] for line in table.rows}
    assert named["fidelity of maps"] == "0.37 [−0.01, 0.75], n = 3"
    assert "right label" not in named


def test_only_what_was_measured_has_a_column(tmp_path: Path) -> None:
    """Without attacks there is no column of nearest changes, nor a word on what attacks leave."""
    plain, attacked = [row(maps=(map_row(fidelity=-0.25),))], [row(attacks=(attack_row(0.01),))]

    found, other = (audit_photos.gallery(summary(tmp_path, rows)) for rows in (plain, attacked))

    assert (found.measured, found.entries[0].said("fidelity")) == (("fidelity",), "−0.25")
    assert (other.measured[-1], other.entries[0].said("fidelity")) == ("nearest change", "–")


def test_the_files_beside_a_first_page_are_linked(tmp_path: Path) -> None:
    """The page is written before the record, which comes last; it links to all of them from the first time on."""
    assert audit.page(summary(tmp_path, [row()])).files == ("audit.json", "rows.csv", "rows.jsonl")


def test_small_pictures_are_inside_and_large_ones_are_links(tmp_path: Path) -> None:
    """The page carries thumbnails no longer than 240 pixels; a picture that is gone is left out."""
    (tmp_path / "own").mkdir()
    PIL.Image.fromarray(np.zeros((600, 900, 3), np.uint8)).save(tmp_path / "own/photo.png")
    rows = [row("here", thumbnail="own/photo.png"), row("gone", thumbnail="own/gone.png")]

    found = audit_photos.gallery(summary(tmp_path, rows))

    pictures = {entry.photo: entry.pictures for entry in found.entries}
    assert [(each.width, each.height) for each in pictures["here"]] == [(225, 150)]
    assert pictures["gone"] == ()


def test_beyond_a_thousand_lines_no_picture_is_carried(tmp_path: Path) -> None:
    """The page of a large audit stays small enough to open."""
    PIL.Image.fromarray(np.zeros((60, 90, 3), np.uint8)).save(tmp_path / "photo.png")
    rows = [row(f"{number}", thumbnail="photo.png") for number in range(audit_photos.MANY + 1)]

    assert not any(entry.pictures for entry in audit_photos.gallery(summary(tmp_path, rows)).entries)


def test_a_path_out_of_the_folder_shows_nothing(tmp_path: Path) -> None:
    """A row that names a file elsewhere, as one that somebody changed, brings no picture of it."""
    PIL.Image.fromarray(np.zeros((6, 9, 3), np.uint8)).save(tmp_path / "secret.png")
    (tmp_path / "audit").mkdir()

    (entry,) = audit_photos.gallery(summary(tmp_path / "audit", [row(thumbnail="../secret.png")])).entries

    assert entry.pictures == ()


def test_the_nearest_changes_are_shown(tmp_path: Path) -> None:
    """Six at most, the nearest first, each with what it is called then, its votes, distance and queries."""
    PIL.Image.fromarray(np.zeros((6, 9, 3), np.uint8)).save(tmp_path / "found.png")
    rows = [row(f"{n}", attacks=(attack_row(n / 100, image="found.png"),)) for n in range(8, 0, -1)]

    nearest = audit_photos.gallery(summary(tmp_path, rows)).nearest

    assert [each.photo for each in nearest] == ["1", "2", "3", "4", "5", "6"]
    assert nearest[0].said == "called dog in 5 of 5 answers; RMSE 0.0100 after 200 queries"


def test_a_page_says_its_day_and_no_folder_of_this_machine(tmp_path: Path) -> None:
    """Near the title stands the day of the last run; a baseline is called by its folder's name."""
    found = summary(
        tmp_path, [row()], began="2026-11-30T12:34:56+00:00", baseline=f"{tmp_path}/old", changes=(change(),)
    )

    shown = rendered(audit.page(found)).decode()

    head = shown.partition("</header>")[0]
    assert "2026-11-30" in head
    assert "What changed since old" in shown
    assert str(tmp_path) not in shown


def test_dollars_of_a_page_are_rounded_up(tmp_path: Path) -> None:
    """People read cents, rounded up; the note below says where the exact amount is."""
    spent = replace(budget("shop"), posted=Units(queries=3, picodollars=302_882_700_000))

    table = audit_tables.budgets(summary(tmp_path, [row()], budget=spent))

    assert table.rows[0][1] == "3 of 1,000 queries, $0.31"
    assert "audit.json has them exactly" in table.said


def test_what_the_last_run_took_has_a_column_where_it_is_known(tmp_path: Path) -> None:
    """A report that is written again long after knows what all runs took, and nothing of the last one."""
    spent = replace(budget("shop"), posted=Units(queries=3))

    known = audit_tables.budgets(summary(tmp_path, [row()], budget=spent, earlier={"": Units(queries=1)}))
    unknown = audit_tables.budgets(summary(tmp_path, [row()], budget=spent, earlier={}))

    assert (known.header[2], known.rows[0][2]) == ("in the last run", "2 queries")
    assert len(unknown.header) == len(unknown.rows[0]) == 2
