"""JSON paths: whatever a server's answer holds can be reached, and nothing is reached by mistake."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbquery.errors import UsageError
from oracles._http.template.paths import read_path
from oracles._http.wire.fields import WireError

names = st.text(max_size=6) | st.sampled_from(["label", "a-b", "a b", "0", "'", '"', "\\", "]", ".", "*", "$", "Ä"])
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6)
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4), max_leaves=20
)


def written(draw: st.DrawFn, key: str | int, length: int) -> str:
    """Write one step in one of the ways that it can be written; length: of the list, for an index."""
    if isinstance(key, int):
        return f"[{draw(st.sampled_from([key, key - length]))}]"
    escaped = key.replace("\\", "\\\\")
    ways = ["['" + escaped.replace("'", "\\'") + "']", '["' + escaped.replace('"', '\\"') + '"]']
    if key.isidentifier() and key.replace("_", "a").isalnum():  # letters and digits; Python allows a few signs more
        ways.append(f".{key}")
    return draw(st.sampled_from(ways))


@st.composite
def places(draw: st.DrawFn) -> tuple[Any, str, Any]:
    """Return a document, a path to a place in it, and what is there."""
    document = value = draw(documents)
    text = "$"
    while value and isinstance(value, list | dict) and draw(st.booleans()):
        keys: list[Any] = list(range(len(value))) if isinstance(value, list) else list(value)
        key = draw(st.sampled_from(keys))
        text += written(draw, key, len(value))
        value = value[key]
    return document, text, value


@given(places())
def test_every_place_can_be_reached(place: tuple[Any, str, Any]) -> None:
    """A path written by hand to anything in any document selects that thing alone."""
    document, text, value = place

    path = read_path(text, "answer.values")

    assert path.select(document) == [value]
    assert path.first(document) == value
    assert path.text == text


@given(places(), st.sampled_from(["[*]", ".*"]))
def test_every_one_means_each_in_order(place: tuple[Any, str, Any], every: str) -> None:
    """A star selects the elements of a list or the members of an object, and finds nothing else to go into."""
    document, text, value = place
    path = read_path(text + every, "answer.values")

    if isinstance(value, list):
        assert path.select(document) == value
    elif isinstance(value, dict):
        assert path.select(document) == list(value.values())
    else:
        with pytest.raises(WireError, match="finds no elements or members"):
            path.select(document)


@given(places(), st.data())
def test_what_is_absent_is_an_error_and_not_empty(place: tuple[Any, str, Any], data: st.DataObject) -> None:
    """A member or element that is not there is said to be missing; where it may be, nothing is found."""
    document, text, value = place
    length = len(value) if isinstance(value, list) else 0
    step = data.draw(st.sampled_from([f"[{length}]", f"[{-length - 1}]", ".absent_from_all", "['absent_from_all']"]))
    path = read_path(text + step, "answer.values")

    with pytest.raises(WireError, match=r"finds no (member|element) "):
        path.select(document)
    assert path.first(document) is None


@given(st.text(max_size=12) | st.text(alphabet="$.[]*'\"\\ab01-", max_size=12).map("${}".format))
def test_any_text_is_a_path_or_a_mistake(text: str) -> None:
    """Whatever a user writes, it is read whole or refused as theirs."""
    try:
        path = read_path(text, "answer.values")
    except UsageError as error:
        assert "answer.values" in str(error)  # noqa: PT017 - either outcome is right
        return

    assert path.text == text
    assert (path.steps == ()) == (text == "$")


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("$", ()),
        ("$.outputs[0].data", ("outputs", 0, "data")),
        ("$[*].label", (None, "label")),
        ("$.*", (None,)),
        ("$['a b'][-1]", ("a b", -1)),
        (r'$["it\'s"]', ("it's",)),
        ("$.model-version", ("model-version",)),
    ],
)
def test_paths_are_read_as_people_write_them(text: str, steps: tuple[Any, ...]) -> None:
    """The forms of the documentation."""
    assert read_path(text, "answer.values").steps == steps


@pytest.mark.parametrize(
    ("text", "rest"),
    [("$.", "."), ("$a", "a"), ("$..label", "..label"), ("$[a]", "[a]"), ("$.a[?(@.b)]", "[?(@.b)]"), ("$.0", ".0")],
)
def test_what_cannot_be_read_is_shown_from_where_it_begins(text: str, rest: str) -> None:
    """Forms of longer path languages are refused, not misread."""
    with pytest.raises(UsageError) as caught:
        read_path(text, "answer.values")

    assert f"cannot be read from {rest!r} on" in str(caught.value)
