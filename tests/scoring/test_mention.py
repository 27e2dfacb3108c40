"""The plainest score of a text: whether it mentions the target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bbquery.errors import UsageError
from bbquery.oracle import Capabilities
from bbquery.scoring.mention import SCORE, Mention
from bbquery.types import Answer, Decision, Labels, Text

if TYPE_CHECKING:
    from bbquery.scoring.base import BoundScore


def bound(target: str = "tabby cat") -> BoundScore:
    return Mention().bind(Text("anything"), target, None)


def test_the_module_names_its_score() -> None:
    """`load` finds the score under SCORE, and equal configurations are equal."""
    assert SCORE() == Mention()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A tabby cat.", 1),
        ("TABBY  CAT", 1),
        ("a tabby\ncat, asleep", 1),
        ("this is not a tabby cat", 1),
        ("tabby cats", 0),
        ("a shabby-tabby cat", 1),
        ("xtabby cat", 0),
        ("tabby, cat", 0),
        ("", 0),
    ],
)
def test_whole_words_count_whatever_their_case(text: str, value: int) -> None:
    """1 and met where the words stand together as words; it reads no sense."""
    decisions, values = bound()([Text(text), Text("no")])

    assert values.tolist() == [value, 0]
    assert decisions.tolist() == [Decision.MET if value else Decision.NOT_MET, Decision.NOT_MET]


def test_a_target_is_no_pattern() -> None:
    """Signs in a target are themselves."""
    assert bound("C++ (2.0)")([Text("it says C++ (2.0)."), Text("it says CCC 2x0")])[1].tolist() == [1, 0]


def test_it_declares_what_its_values_mean() -> None:
    """A text that mentions nothing is no information, and that is 0; nothing is unread."""
    about = bound().about

    assert (about.direction, about.low, about.high, about.no_information) == ("higher", 0, 1, 0)
    assert "tabby cat" in about.criterion
    assert not bound().unread([Text("gibberish")])


@pytest.mark.parametrize(("text", "told"), [("My Tabby cat", "'Tabby cat', at character 4"), ("a dog", "nowhere")])
def test_its_steps_show_where_it_was_found(text: str, told: str) -> None:
    """The place and the words as they stand there."""
    assert told in "\n".join(bound().steps(Text(text)))


def test_an_answer_of_another_kind_is_refused() -> None:
    """Labels are no text."""
    with pytest.raises(UsageError, match="needs text; this oracle answered Labels"):
        bound()([Labels(())])


@pytest.mark.parametrize(
    ("kind", "targets", "said"), [("labels", ["cat"], "answers labels"), ("text", [], "say with --target")]
)
def test_what_it_cannot_score_is_found_before_anything_is_sent(kind: str, targets: list[str], said: str) -> None:
    """Other answers, or no word to look for, cost no query."""
    with pytest.raises(UsageError, match=said):
        Mention().check(Capabilities(name="x", answers=kind, identity={}), targets)  # type: ignore[arg-type] # a kind


def test_there_is_no_default_target() -> None:
    """A text has no top class."""
    clean: Answer = Text("a cat")
    with pytest.raises(UsageError, match="name a target"):
        Mention().bind(clean, None, None)
