"""How lines are put into files, and how those are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbquery import load
from bbquery.batch_oracle import BatchLimits
from bbquery.batches import questions
from bbquery.batches.feasibility import files, wanted
from bbquery.batches.folder import Folder
from bbquery.batches.limits import Filling, split
from bbquery.batches.questions import Wanted
from bbquery.batches.writer import line_name
from bbquery.errors import StorageFailed, UsageError
from bbquery.ledger import codec
from bbquery.plan import Ask, Yielded, step
from bbquery.saliency.rise import Rise
from bbquery.types import UINT8, Scores
from bbquery.units import Units
from tests.support.batches_vendor import HALF, HALF_BILL, Vendor
from tests.support.images import tiny_images

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 50
limits = st.builds(BatchLimits, lines=st.integers(1, 8), bytes=st.integers(LARGEST, 200))
sizes = st.lists(st.integers(0, LARGEST), max_size=60)


@given(sizes=sizes, limits=limits)
def test_every_line_is_in_one_file_and_every_file_within_the_limits(sizes: list[int], limits: BatchLimits) -> None:
    """Files follow each other without a gap, hold lines in order, and none has too many lines or bytes or is empty."""
    numbers = list(split(sizes, limits))

    assert len(numbers) == len(sizes)
    assert numbers == sorted(numbers)
    assert sorted(set(numbers)) == list(range(len(set(numbers))))
    for number in set(numbers):
        held = [size for size, of in zip(sizes, numbers, strict=True) if of == number]
        assert len(held) <= limits.lines
        assert sum(held) <= limits.bytes


@given(sizes=sizes, limits=limits)
def test_a_file_is_closed_only_where_the_next_line_does_not_fit(sizes: list[int], limits: BatchLimits) -> None:
    """There are no more files than lines in this order need."""
    numbers = list(split(sizes, limits))

    for place in range(1, len(sizes)):
        if numbers[place] != numbers[place - 1]:
            before = [size for size, of in zip(sizes, numbers, strict=True) if of == numbers[place - 1]]
            assert len(before) == limits.lines or sum(before) + sizes[place] > limits.bytes


@given(held=st.lists(st.integers(0, LARGEST), max_size=4), sizes=sizes, limits=limits)
def test_room_is_counted_alike_for_one_line_and_for_many(
    held: list[int], sizes: list[int], limits: BatchLimits
) -> None:
    """As many lines fit at once as fit one by one."""
    together, one_by_one = Filling(limits), Filling(limits)
    for size in held:
        together.add(size)
        one_by_one.add(size)
    fitting = together.room_for(sizes)

    found = 0
    for size in sizes:
        if not one_by_one.room_for([size]):
            break
        one_by_one.add(size)
        found += 1

    assert fitting == found


@pytest.mark.parametrize("limits", [BatchLimits(lines=9, bytes=10), BatchLimits(lines=0, bytes=100)])
def test_a_line_that_no_file_may_hold_is_refused(limits: BatchLimits) -> None:
    """It is told before anything is written, with both sizes."""
    with pytest.raises(UsageError, match="one question takes 11 bytes"):
        list(split([3, 11] if limits.lines else [11], limits))


@given(st.integers(0, 2**63 - 1))
def test_a_lines_name_is_as_long_as_any_other(attempt: int) -> None:
    """So its size is known before its number is, and the number can be read back."""
    assert len(line_name(attempt)) == len(line_name(0))
    assert int(line_name(attempt)) == attempt


# --- what is asked ---


@pytest.mark.parametrize("name", load.names("method"))
def test_a_method_that_does_not_adapt_asks_the_same_whatever_it_is_told(name: str) -> None:
    """Each method says whether it adapts; if not, no answers and many answers get the same questions."""
    x, method = tiny_images(1)[0], load.method(name, queries=300)
    if method.adaptive:
        return

    blind = [ask.images[row].tobytes() for ask in questions.asks(method.plan(x, UINT8, 1)) for row in _rows(ask)]

    told, plan, sent = [], method.plan(x, UINT8, 1), None
    while isinstance(state := step(plan, sent), Yielded):
        told += [state.ask.images[row].tobytes() for row in _rows(state.ask)]
        sent = Scores(np.ones(len(state.ask.images), np.int8), np.linspace(0, 1, len(state.ask.images)))
    assert blind == told
    assert len(blind) == 300


def _rows(ask: Ask) -> range:
    return range(len(ask.images))


def test_questions_have_the_keys_of_the_ordinary_run() -> None:
    """The key is that of oracle, pixels and sample; repeats begin where they are told to."""
    images = tiny_images(2)

    found = list(questions.rows([Wanted(Ask(images, (1, 2)), first_sample=3)], "fingerprint"))

    keys = [[q.key for q in row.questions] for row in found]
    digests = [codec.image_digest(image) for image in images]
    expected = [[(0, 3)], [(1, 3), (1, 4)]]
    assert keys == [[codec.answer_key("fingerprint", digests[i], n) for i, n in row] for row in expected]


def test_rows_are_rendered_as_they_are_read() -> None:
    """However many there are, no more are in memory than are worked on."""
    rendered: list[int] = []

    class Lazy:
        def __len__(self) -> int:
            return 10**6

        def __getitem__(self, row: int, /) -> np.ndarray:
            rendered.append(row)
            return np.full((2, 2, 3), row % 256, np.uint8)

    first = next(questions.chunks(questions.rows([Wanted(Ask(Lazy()))], "fingerprint"), 16))

    assert len(first) == len(rendered) == 16


def test_the_unperturbed_image_stands_at_both_ends() -> None:
    """Its repeats have the samples that the checks for drift will look for."""
    clean = tiny_images(1)[0]

    first, *_, last = wanted(Rise(queries=3, cells=3).plan(clean, UINT8, 0), clean, (2, 1))

    assert (first.ask.repeats, first.first_sample) == ((2,), 1)
    assert (last.ask.repeats, last.first_sample) == ((1,), 3)
    assert np.array_equal(first.ask.images[0], clean)


def test_an_estimate_counts_each_question_once(tmp_path: Path) -> None:
    """Lines, files, bytes and dollars are those of what would be written; nothing is."""
    vendor = Vendor(tmp_path / "vendor", BatchLimits(lines=4, bytes=10**6))
    images = tiny_images(6)

    found = files(vendor, [Wanted(Ask(images)), Wanted(Ask(images[:2])), Wanted(Ask(images[:1]), 1)])

    line = len(vendor.batch_line(vendor.encode(images[0]), line_name(0)))
    assert (found.lines, found.files, found.bytes) == (7, 2, 7 * line)
    assert (found.worst, found.expected) == (Units(7, 0, 7 * HALF), Units(7, 0, 7 * HALF_BILL))
    assert vendor.submissions() == {}


def test_an_estimate_of_nothing_is_nothing(tmp_path: Path) -> None:
    """A plan that asks nothing needs no file."""
    assert files(Vendor(tmp_path / "vendor"), []).files == 0


# --- the folder ---


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    """Where a file stands in its place, the person is told which."""
    (tmp_path / "l.sqlite3.batches").write_text("")

    with pytest.raises(StorageFailed, match=r"l\.sqlite3\.batches"):
        Folder(tmp_path / "l.sqlite3")


def test_one_at_a_time_works_on_a_budgets_batches(tmp_path: Path) -> None:
    """The lock of one budget is held once, and is another than that of the next."""
    folder, again = Folder(tmp_path / "l.sqlite3"), Folder(tmp_path / "l.sqlite3")

    with folder.locked(1) as first, again.locked(1) as second, again.locked(2) as other:
        held = (first, second, other)
    with again.locked(1) as later:
        assert (held, later) == ((True, False, True), True)
