"""Photos of an audit: folders, patterns, samples and CSV files, in an order that nothing but the plan decides."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import pytest

from bbquery.errors import UsageError
from bbquery.jobs.audit import table
from bbquery.jobs.audit.photos import Listing, Photo, listing
from bbquery.jobs.audit.reading import read
from bbquery.metrics import Box

if TYPE_CHECKING:
    from pathlib import Path

OWN = {"name": "own", "oracle": "efficientnet"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A plan's folder: two photos, a hidden one and a note in photos/, two more below, one beside the folder."""
    for name in (
        "photos/b.jpg",
        "photos/a.jpg",
        "photos/.hidden.jpg",
        "more/a.jpg",
        "more/deep/c.png",
        "../outside.png",
    ):
        path = tmp_path / "plan" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(np.zeros((8, 9, 3), np.uint8)).save(path)
    (tmp_path / "plan" / "photos" / "note.txt").write_text("no photo")
    return tmp_path / "plan"


def toml(table: dict[str, Any]) -> str:
    """Return a table in TOML."""
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())


def listed(folder: Path, *items: str, seed: int = 0, oracle: Any = OWN, explain: Any = None, **options: Any) -> Listing:
    """Return what a plan file in a folder lists."""
    tables = {"[photos]": {"from": items, **options}, "[[oracles]]": oracle, "[explain]": explain or {}}
    head = toml({"name": "a", "seed": seed})
    (folder / "plan.toml").write_text(head + "".join(f"{name}\n{toml(table)}" for name, table in tables.items()))
    return listing(read(folder / "plan.toml"))


def given(found: Listing) -> list[str]:
    return [photo.given for photo in found.photos]


def test_folders_patterns_and_samples_are_listed_in_order(folder: Path) -> None:
    """Items come in their order, a folder's and a pattern's photos by name; hidden files and other files do not."""
    found = listed(folder, "more/**/*.*", "sample:cat", "photos/")

    assert given(found) == ["more/a.jpg", "more/deep/c.png", "sample:cat", "photos/a.jpg", "photos/b.jpg"]


def test_a_photo_that_is_listed_twice_counts_once(folder: Path) -> None:
    """A folder, a pattern, a link and a CSV file may name the same file: it stands where it was named first."""
    (folder / "photos" / "link.jpg").symlink_to(folder / "photos" / "b.jpg")
    (folder / "list.csv").write_text("photo,label\nphotos/a.jpg,cat\n")

    found = listed(folder, "photos/b.jpg", "photos/*.jpg", "list.csv")

    assert [(photo.given, photo.label) for photo in found.photos] == [("photos/b.jpg", None), ("photos/a.jpg", "cat")]
    assert found.again == 3


def test_a_table_gives_labels_and_boxes(folder: Path) -> None:
    """Columns may come in any order; boxes of several rows or of one are added; paths count from the table's folder."""
    (folder / "more" / "list.csv").write_text(
        'box,photo,label\n"1,2,3,4",a.jpg,"cat, tabby"\n\n5 6 7 8;1 1 1 1,a.jpg,"cat, tabby"\n,deep/c.png,\n'
    )

    found = listed(folder, "more/list.csv")

    boxes = (Box(1, 2, 3, 4), Box(5, 6, 7, 8), Box(1, 1, 1, 1))
    assert found.photos == (
        Photo("a", str(folder / "more/a.jpg"), "more/a.jpg", "cat, tabby", boxes, "list.csv:2"),
        Photo("c", str(folder / "more/deep/c.png"), "more/deep/c.png", None, ()),
    )


def test_every_fault_of_a_table_is_said_with_its_line(folder: Path) -> None:
    """Missing files, bad boxes, missing cells and second labels are said together, before anything is asked."""
    (folder / "list.csv").write_text(
        'photo,label,box\nphotos/aa.jpg,cat,\nphotos/a.jpg,cat,"1,2,0,4"\nphotos/a.jpg,cat\nphotos/b.jpg,cat,\n'
        f"photos/b.jpg,dog,\n,x,\n../outside.png,,\n{'x' * 5000},,\n"
    )

    with pytest.raises(UsageError) as refused:
        listed(folder, "list.csv")

    assert [line.partition("list.csv:")[2] for line in str(refused.value).split("\n")] == [
        "2: there is no file photos/aa.jpg; did you mean 'photos/a.jpg'?",
        "3: '1,2,0,4' is no box: write x,y,width,height in pixels, several with ';' between",
        "4: 2 cells for 3 columns: quote what holds a comma",
        "6: photos/b.jpg is said to show 'cat' and 'dog': leave one of them",
        "7: no photo is named",
        "8: ../outside.png lies outside the plan's folder: allow_outside = true in [photos] allows that",
        "9: photo has 5,000 characters; at most 4,000 are taken",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"foto,label\n", "list.csv:1: the first line names the columns, and none is called 'foto'; did you mean 'p"),
        (b"label\n", "list.csv:1: the first line names the columns, and there is none for photo"),
        (b"", "list.csv:1: the first line names the columns, and there is none for photo"),
        (b"photo,photo\n", "list.csv:1: two columns have one name"),
        (b"photo\n" + b"x" * 200_000, "list.csv:2: field larger than field limit"),
        (b'photo\n"a" b\n', "list.csv:2: "),
        (b"photo\ncaf\xe9.jpg\n", "list.csv is not UTF-8"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_read_is_refused(folder: Path, text: bytes, said: str) -> None:
    """Unknown columns, broken quotes, endless cells and other encodings are refused, with the line."""
    (folder / "list.csv").write_bytes(text)

    with pytest.raises(UsageError) as refused:
        listed(folder, "list.csv")

    assert said in str(refused.value)


def test_an_audit_of_no_photo_is_refused(folder: Path) -> None:
    """A table with a head alone, as of a query that found nothing: exit code 0 would say that all is well."""
    (folder / "none.csv").write_text("photo,label\n")

    with pytest.raises(UsageError, match="lists no photo"):
        listed(folder, "none.csv")


def test_a_table_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More rows than the most, or more bytes, are refused: nothing grows without bound by a file."""
    (folder / "list.csv").write_text("photo\n" + "photos/a.jpg\n" * 4)

    monkeypatch.setattr(table, "MOST_ROWS", 3)
    with pytest.raises(UsageError, match="more than 3 rows"):
        listed(folder, "list.csv")
    monkeypatch.setattr(table, "MOST_BYTES", 10)
    with pytest.raises(UsageError, match="larger than 10 bytes"):
        listed(folder, "list.csv")


@pytest.mark.parametrize("item", ["../outside.png", "../*.png", "{above}/outside.png", "link.png", "linked/*.png"])
def test_no_photo_lies_outside_the_plans_folder_unless_that_is_allowed(folder: Path, item: str) -> None:
    """Neither .. nor an absolute path nor a link leads out; allow_outside lets them."""
    (folder / "link.png").symlink_to(folder.parent / "outside.png")
    (folder / "linked").symlink_to(folder.parent)
    item = item.format(above=folder.parent)

    with pytest.raises(UsageError, match="lies outside the plan's folder: allow_outside = true"):
        listed(folder, item)

    (photo,) = listed(folder, item, allow_outside=True).photos
    assert photo.source == photo.given == str(folder.parent / "outside.png")


def test_an_order_by_chance_is_the_seeds_and_stays_when_a_photo_is_added(folder: Path) -> None:
    """One seed gives one order, whatever the listing's; another seed another; a photo that is added moves none."""
    for number in range(8):
        (folder / "photos" / f"{number}.jpg").write_bytes(b"x")
    first = given(listed(folder, "photos/", order="random"))
    others = [given(listed(folder, "photos/", order="random", seed=seed)) for seed in range(1, 4)]
    (folder / "photos" / "added.jpg").write_bytes(b"x")
    later = given(listed(folder, "photos/b.jpg", "photos/", order="random"))

    assert sorted(first) != first
    assert any(other != first for other in others)
    assert [each for each in later if each != "photos/added.jpg"] == first


def test_a_limit_takes_the_first(folder: Path) -> None:
    """The limit counts photos of the order, and how many are left out is known."""
    found = listed(folder, "photos/", "more/a.jpg", limit=2)

    assert (given(found), found.beyond) == (["photos/a.jpg", "photos/b.jpg"], 1)


def test_names_of_photos_that_are_called_alike_never_pass_to_another(folder: Path) -> None:
    """Photos of one name in two folders get hashes of their paths, whatever their order; others are called plainly."""
    names = {photo.given: photo.name for photo in listed(folder, "photos/", "more/a.jpg").photos}
    turned = {photo.given: photo.name for photo in listed(folder, "more/a.jpg", "photos/").photos}

    assert names == turned
    assert names["photos/b.jpg"] == "b"
    assert len({names["photos/a.jpg"], names["more/a.jpg"], "a"}) == 3


def test_a_target_may_be_the_photos_own_label(folder: Path) -> None:
    """The target "{label}" is the label in the table; a photo without one is said before anything is asked."""
    (folder / "list.csv").write_text("photo,label\nphotos/a.jpg,cat\n")
    oracle = {**OWN, "target": ["{label}", "dog"]}

    (photo,) = listed(folder, "list.csv", oracle=oracle).photos
    with pytest.raises(UsageError, match=r"target: needs a label of each photo, and none is known of photos/b\.jpg"):
        listed(folder, "list.csv", "photos/", oracle=oracle)

    plan = read(folder / "plan.toml").plan
    assert photo.targets(plan.oracles[0]) == ("cat", "dog")


def test_a_metric_of_boxes_needs_a_box_of_each_photo(folder: Path) -> None:
    """Where a photo has no box, nothing is paid for a map that could not be judged."""
    with pytest.raises(UsageError, match=r"explain\.metrics\[1\]: needs a box of each photo, and none is known"):
        listed(folder, "photos/", explain={"metrics": ["srg", "pointing"]})


@pytest.mark.parametrize("item", ["none.jpg", "*.jpg", "empty/", "sample:none", "p\x00x", "x" * 3000, "none.csv"])
def test_what_cannot_be_found_is_refused(folder: Path, item: str) -> None:
    """A missing file, an empty folder, a pattern without a match and a name that no file can have are said as such."""
    (folder / "empty").mkdir()

    with pytest.raises(UsageError, match=r"plan\.toml:4: photos\.from\[0\]: "):
        listed(folder, item)


def test_a_damaged_photo_is_listed(folder: Path) -> None:
    """A file that is no picture ends only itself, in its turn, so the list takes it."""
    (folder / "photos" / "broken.jpg").write_bytes(b"no picture")

    assert "photos/broken.jpg" in given(listed(folder, "photos/"))
