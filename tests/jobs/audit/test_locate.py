"""Lines of the keys of a TOML text."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbquery.jobs.audit.locate import KeyPath, line_of, lines, nesting, written

TEXT = '''# a comment with ] and [
name = "x" # another
text = """
[no] "table"
a = 3\\""""
[photos]
from = [
  "a # no comment",
  'b]', # [
]
[[oracles]]
name = "v"
"max_usd" = 1.5
[[oracles]]
target = ["a", "b"]
[oracles.inner]
q . r = 1979-05-27T07:32:00Z
[caps.photo]
max_usd = 3
[gates]
min_robust_share = { rmse = 0.1, share = { of = [
  {x = 1},
]} }
'''
EXPECTED = {
    ("name",): 2, ("text",): 3, ("photos",): 6, ("photos", "from"): 7, ("photos", "from", 0): 8,
    ("photos", "from", 1): 9, ("oracles", 0): 11, ("oracles", 0, "name"): 12, ("oracles", 0, "max_usd"): 13,
    ("oracles", 1): 14, ("oracles", 1, "target"): 15, ("oracles", 1, "target", 1): 15, ("oracles", 1, "inner"): 16,
    ("oracles", 1, "inner", "q", "r"): 17, ("caps",): 18, ("caps", "photo", "max_usd"): 19,
    ("gates", "min_robust_share", "share"): 21, ("gates", "min_robust_share", "share", "of", 0, "x"): 22,
}  # fmt: skip


def paths(value: Any, path: KeyPath = ()) -> set[KeyPath]:
    """Return the path of every value within a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {path} | {each for key, one in inner for each in paths(one, (*path, key))}


@pytest.mark.parametrize(("path", "line"), EXPECTED.items(), ids=[written(path) for path in EXPECTED])
def test_a_key_stands_where_it_was_written(path: KeyPath, line: int) -> None:
    """Tables, lists of tables, dotted and quoted keys, inline tables and items of lists have the line of their text."""
    assert lines(TEXT)[path] == line


def test_every_value_of_a_text_has_a_line() -> None:
    """What the parser of Python finds in a text is all found, and nothing else."""
    assert set(lines(TEXT)) == paths(tomllib.loads(TEXT)) - {()}


@given(st.text(alphabet="[]{}=,.\"'#\n ab1\\", max_size=60))
def test_any_text_is_followed_to_its_end(text: str) -> None:
    """No text hangs or breaks the look-up, and of one that is TOML every value has a line."""
    found = lines(text)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return

    assert paths(data) - {()} <= set(found)


def test_what_stands_nowhere_has_the_line_of_its_table() -> None:
    """A key that is missing is said at the table that lacks it, one of no table at the top."""
    found = lines(TEXT)

    assert line_of(found, ("oracles", 1, "name")) == 14
    assert line_of(found, ("seed",)) == 1


def test_nesting_counts_brackets_and_dots_but_none_in_texts() -> None:
    """Brackets and parts of a key count alike; those in texts and comments do not."""
    assert nesting("a = [[1], {b = [2]}]") == 3
    assert nesting("a.b.c.d = 1") == 3
    assert nesting("a = '[[[[[[' # [[[[[[\nb = '''\n[[[['''") == 0
