"""Texts from outside fit a line of ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracles._shared.texts import LONGEST, brief, one_line, shortened


@pytest.mark.parametrize(("said", "shown"), [("a\n\tb\x00c", "a b c"), ("x" * 300, "x" * 200 + "…"), ("", "")])
def test_what_a_server_says_fits_a_line(said: str, shown: str) -> None:
    """No line ends, no control characters, not too long."""
    assert shortened(said) == shown


@given(st.text())
def test_no_text_reaches_the_terminal_as_it_is(said: str) -> None:
    """Whatever a server sends, what is shown is printable, on one line, and no longer than it may be."""
    assert one_line(said).isprintable()
    assert len(shortened(said)) <= LONGEST + 1


def test_a_text_is_cut_after_its_control_characters_are_gone() -> None:
    """A server cannot send control characters to a user's terminal, nor use up the line with them."""
    assert shortened("a\x1b[31m\r\nb" + "c" * 9, longest=10) == "a [31m bcc…"


def test_a_value_is_shown_as_python_writes_it() -> None:
    """A text keeps its quotes, and a long list is cut."""
    assert brief("a") == "'a'"
    assert brief([1, 2, 3], longest=5) == "[1, 2…"
