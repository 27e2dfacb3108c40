"""The records that cross the seam."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bbquery.errors import UnknownName, UsageError
from bbquery.types import FLOAT, UINT8, Classes, Decision, SaliencyMap, Scores, batches
from bbquery.units import Units

BIRDS = Classes(
    names=(("Crane", "Grus"), ("crane", "hoist"), ("tench", "Tinca tinca"), ("2",)),
    keys=("n02012849", "n03126707", "N01440764", "n99"),
)

finite = st.floats(-1e6, 1e6, width=32)
pixels = hnp.arrays(np.float64, hnp.array_shapes(min_dims=1, max_dims=4, max_side=4), elements=finite)


def scores_of(*values: float, met: list[int] | None = None) -> Scores:
    decisions = [0] * len(values) if met is None else met
    return Scores(np.array(decisions, dtype=np.int8), np.array(values))


@given(pixels)
def test_uint8_pixels_are_the_nearest_grey_levels(wanted: Any) -> None:
    """Every value is rounded half to even, then clipped to 0 to 255; the shape stays."""
    realised = UINT8.realise(wanted)

    assert (realised.dtype, realised.shape) == (np.dtype(np.uint8), wanted.shape)
    assert realised.ravel().tolist() == [min(max(round(value), 0), 255) for value in wanted.ravel().tolist()]


@given(hnp.arrays(np.uint8, hnp.array_shapes(max_dims=3, max_side=6)))
def test_what_is_already_uint8_is_sent_as_it_is(image: Any) -> None:
    """Realising twice changes nothing, from whichever type the same grey levels come."""
    for dtype in (np.uint8, np.int16, np.int64, np.float32, np.float64):
        assert np.array_equal(UINT8.realise(image.astype(dtype)), image)


@given(pixels)
def test_float_pixels_are_neither_rounded_nor_clipped(wanted: Any) -> None:
    """A float domain sends to the bit what an algorithm wants."""
    realised = FLOAT.realise(wanted)

    assert realised.dtype == np.float64
    assert realised.tobytes() == wanted.tobytes()


@given(hnp.arrays(np.float32, 5, elements=finite))
def test_what_was_realised_tells_what_was_added(noise: Any) -> None:
    """The realised perturbation keeps x within the domain: x plus it is again in 0 to 255, without rounding."""
    x = np.array([0.0, 1.0, 127.0, 254.0, 255.0])

    realised = UINT8.realise(x + noise).astype(np.float64) - x

    assert np.array_equal(UINT8.realise(x + realised).astype(np.float64), x + realised)


@pytest.mark.parametrize(
    ("label", "index"),
    [
        ("0", 0),
        ("3", 3),
        ("grus", 0),
        ("HOIST", 1),
        (" Tinca tinca ", 2),
        ("n03126707", 1),
        ("n01440764", 2),
        ("N02012849", 0),
        ("2", 3),
        ("#2", 2),
        ("crane, Grus", 0),
        ("crane, hoist", 1),
    ],
)
def test_a_class_is_found_by_key_name_or_index(label: str, index: int) -> None:
    """Case and surrounding spaces do not matter; a number is a name before it is an index."""
    assert BIRDS.find(label) == index


@pytest.mark.parametrize(("label", "index"), [("1", 0), ("2", 1), ("3", 2), ("0", 3), ("#1", 1), ("#3", 3)])
def test_a_class_whose_name_is_a_number_is_found_by_its_name(label: str, index: int) -> None:
    """Grades, ages and digits are names; the index of a class is written with "#" where a name has the number."""
    assert Classes((("1",), ("2",), ("3",), ("0",))).find(label) == index


def test_a_key_is_found_before_a_name() -> None:
    """Keys are exact, so the key of one class wins over the same name of another."""
    assert Classes((("7",), ("8",)), ("8", "7")).find("8") == 0


def test_a_number_that_is_a_name_and_the_index_of_another_is_said() -> None:
    """A line says which class is meant, and how to write the other."""
    digits = Classes((("1",), ("2",), ("3",), ("0",)))

    assert digits.collision("1") == (
        "'1' is taken for the class of that name, number 0, and not for class number 1, which is '2': "
        "write #1 to mean that one"
    )
    assert Classes((("7",), ("8",), ("0",)), ("a", "b", "c")).collision("0") == (
        "'0' is taken for the class of that name, number 2, and not for class number 0, which is '7': "
        "write a to mean that one"
    )


@pytest.mark.parametrize("label", ["0", "#1", "7", "crane, Grus", "hoist"])
def test_a_label_that_can_mean_one_class_only_needs_no_word(label: str) -> None:
    """Neither an index that is no name, nor a name that is no index, is said to collide."""
    birds = Classes((("crane", "Grus"), ("hoist",), ("7",)))

    assert birds.collision(label) is None


@given(st.lists(st.text("#0123a", min_size=1, max_size=3), min_size=1, max_size=6), st.booleans())
def test_every_class_can_be_written_so_that_it_alone_is_meant(names: list[str], keyed: bool) -> None:
    """Whatever names are made of, there is a way to write each class that no other shares."""
    classes = Classes(tuple((name,) for name in names), tuple(f"n{i}" for i in range(len(names))) if keyed else ())

    assert [classes.find(classes.unique(index)) for index in range(len(names))] == list(range(len(names)))


@pytest.mark.parametrize("label", ["caf\u00e9", "cafe\u0301", "CAFE\u0301", " Caf\u00c9 "])
@pytest.mark.parametrize("name", ["caf\u00e9", "cafe\u0301"])
def test_composed_and_decomposed_accents_are_one_name(name: str, label: str) -> None:
    """A file from one system and a keyboard of another write the same name in different code points."""
    assert Classes((("dog",), (name,))).find(label) == 1


def test_a_number_of_thousands_of_digits_is_no_index() -> None:
    """It is refused as a label, like any other."""
    with pytest.raises(UnknownName):
        BIRDS.find("9" * 5000)


def test_a_name_of_several_classes_asks_for_a_key() -> None:
    """An ambiguous name is refused, and what tells the classes apart is listed."""
    with pytest.raises(UnknownName, match="several classes have this name") as caught:
        BIRDS.find("crane")

    assert caught.value.known == ("n02012849", "n03126707")


def test_a_name_of_several_classes_asks_for_an_index_where_there_are_no_keys() -> None:
    """Without keys, indices tell equal names apart."""
    with pytest.raises(UnknownName) as caught:
        Classes((("fox",), ("dog",), ("Fox",))).find("fox")

    assert caught.value.known == ("#0", "#2")


def test_a_name_given_twice_to_one_class_is_not_ambiguous() -> None:
    """Names that differ in case alone are one name of their class."""
    assert Classes((("Fox", "fox"), ("dog",))).find("FOX") == 0


@pytest.mark.parametrize("label", ["crab", "4", "#4", "-1", "1.0", "", "n0"])
def test_an_unknown_label_is_refused_with_the_known_ones(label: str) -> None:
    """What is neither index, key nor name is refused; an index must be within the classes."""
    with pytest.raises(UnknownName) as caught:
        BIRDS.find(label)

    assert caught.value.known == ("crane", "grus", "hoist", "tench", "tinca tinca", "2")


def test_an_unknown_label_among_many_shows_the_nearest() -> None:
    """Among a thousand classes a slip of the finger is answered with what was probably meant."""
    many = Classes((*((f"species {i}",) for i in range(999)), ("hammerhead shark",)))

    with pytest.raises(UnknownName, match="nearest of 1000: hammerhead shark"):
        many.find("hamerhead shark")


def test_classes_show_their_first_name() -> None:
    """People see the first name of a class."""
    assert ([BIRDS.show(i) for i in range(len(BIRDS))], len(BIRDS)) == (["Crane", "crane", "tench", "2"], 4)


@pytest.mark.parametrize("keys", [("a", "b", "a"), ("a", "b", "A"), ("n1", "n1", "n2")])
def test_classes_with_a_key_twice_are_refused(keys: tuple[str, ...]) -> None:
    """A key that two classes have would find the wrong one; case does not tell keys apart."""
    with pytest.raises(UsageError, match=f"several classes have the key '{keys[0]}'"):
        Classes((("fox",), ("dog",), ("hen",)), keys)


@pytest.mark.parametrize("keys", [("a",), ("a", "b", "c", "d")])
def test_classes_have_as_many_keys_as_names_or_none(keys: tuple[str, ...]) -> None:
    """Keys that cannot be matched with classes are refused, with both numbers."""
    with pytest.raises(UsageError, match=f"{len(keys)} keys for 3 classes"):
        Classes((("fox",), ("dog",), ("hen",)), keys)


def test_scores_without_repeats_fill_themselves_in() -> None:
    """One answer a row: no spread, and a row is answered where its value is a number."""
    scores = scores_of(0.5, np.nan, 1.0)

    assert np.isnan(scores.spread).all()
    assert scores.answers.tolist() == [1, 0, 1]
    assert (scores.answers.dtype, len(scores)) == (np.dtype(np.int64), 3)


def test_scores_with_repeats_keep_what_they_are_given() -> None:
    """Spread and counts over repeats are taken as they are."""
    scores = Scores(np.zeros(2, np.int8), np.array([1.0, 2.0]), np.array([0.1, 0.2]), np.array([5, 4]))

    assert (scores.spread.tolist(), scores.answers.tolist()) == ([0.1, 0.2], [5, 4])


@pytest.mark.parametrize("wrong", ["decision", "spread", "answers"])
@pytest.mark.parametrize("rows", [1, 4])
def test_scores_whose_arrays_differ_in_length_are_refused(wrong: str, rows: int) -> None:
    """What was given for other rows is never replaced in silence: the message says how many rows each array has."""
    arrays: dict[str, Any] = {
        "decision": np.zeros(3, np.int8),
        "value": np.zeros(3),
        "spread": np.zeros(3),
        "answers": np.ones(3, np.int64),
    }

    with pytest.raises(UsageError, match=f"{wrong} has {rows}"):
        Scores(**arrays | {wrong: arrays["value"].repeat(2)[:rows]})


def test_blank_scores_are_neither_met_nor_failed() -> None:
    """No answer is NaN and undecided, never 0 or False."""
    blank = Scores.blank(3)

    assert np.isnan(blank.value).all()
    assert blank.undecided.all()
    assert not blank.met.any()
    assert blank.answers.tolist() == [0, 0, 0]


@given(n=st.integers(0, 8), start=st.integers(0, 8), stop=st.integers(0, 8))
def test_rows_cut_every_array_alike(n: int, start: int, stop: int) -> None:
    """Rows start to stop of all four arrays belong to the same questions."""
    numbers: Any = np.arange(n)
    scores = Scores((numbers % 3 - 1).astype(np.int8), numbers / 7, numbers * 0.5, numbers + 1)

    part = scores.rows(start, stop)

    kept = numbers[start:stop]
    assert np.array_equal(part.value, kept / 7)
    assert np.array_equal(part.decision, kept % 3 - 1)
    assert np.array_equal(part.spread, kept * 0.5)
    assert np.array_equal(part.answers, kept + 1)


def test_decisions_are_met_not_met_or_undecided() -> None:
    """The three codes are told apart by `met` and `undecided`."""
    scores = scores_of(1.0, 2.0, 3.0, met=[Decision.MET, Decision.NOT_MET, Decision.UNDECIDED])

    assert scores.met.tolist() == [True, False, False]
    assert scores.undecided.tolist() == [False, False, True]


@given(total=st.integers(0, 500), size=st.integers(1, 300))
def test_batches_hold_every_row_once_and_only_the_last_is_smaller(total: int, size: int) -> None:
    """Batches add up, none is empty, and all but the last have the size asked for."""
    split = batches(total, size)

    assert sum(split) == total
    assert all(rows == size for rows in split[:-1])
    assert all(0 < rows <= size for rows in split)


@pytest.mark.parametrize(("answered", "partial"), [(9, True), (10, False)])
def test_a_map_on_fewer_answers_than_asked_is_partial(answered: int, partial: bool) -> None:
    """One missing answer makes a map partial."""
    found = SaliencyMap(np.zeros((2, 2)), signed=True, unit="score", rows=10, answered=answered)

    assert found.partial is partial


amounts = st.builds(Units, st.integers(0, 5), st.integers(0, 5), st.integers(0, 10**15))


@given(amounts, amounts, st.integers(0, 5))
def test_amounts_add_up_unit_by_unit(one: Units, other: Units, n: int) -> None:
    """Sums, multiples and comparisons are those of each unit for itself, in integers without a rounding."""
    pairs = list(zip(astuple(one), astuple(other), strict=True))

    assert astuple(one.plus(other)) == tuple(a + b for a, b in pairs)
    assert astuple(one.times(n)) == tuple(a * n for a, _ in pairs)
    assert one.within(other) == all(a <= b for a, b in pairs)


def test_an_amount_is_nothing_unless_said() -> None:
    """Units count from zero."""
    assert Units() == Units(queries=0, tokens=0, picodollars=0)
