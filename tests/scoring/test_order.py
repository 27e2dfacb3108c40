"""How early a text names the target."""

from __future__ import annotations

import pytest

from bbquery.errors import UsageError
from bbquery.scoring.order import Order
from bbquery.types import Decision, Text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A tabby cat on a sofa, and a dog.", 1),
        ("It most likely shows a dog; it could also be a Tabby Cat or a fox.", 1 / 2),
        ("a dog, a fox or a tabby cat", 1 / 3),
        ("a dog, and a tabby cat", 1 / 2),
        ("An android with 2.5 arms beside a tabby cat", 1),
        ("a dog.", 0),
        ("", 0),
    ],
)
def test_it_is_one_over_the_place_at_which_the_target_is_named(text: str, value: float) -> None:
    """Marks, "and" and "or" divide a text; with a mark before it "and" divides it once; numbers and words are whole."""
    decisions, values = Order().bind(Text("x"), "tabby cat", None)(
        [Text(text), Text("tabby cat, or dog, or tabby cat")]
    )

    assert values.tolist() == [value, 1]
    assert decisions.tolist() == [Decision.MET if value else Decision.NOT_MET, Decision.MET]


def test_its_steps_end_in_the_value() -> None:
    """What the score does to an answer is told: what is looked for, where it is, its place."""
    bound = Order().bind(Text("x"), "cat", None)

    assert bound.steps(Text("a dog or a cat"))[-1] == "place 2: value 1/2"
    assert bound.steps(Text("a dog"))[-1] == "value 0"
    assert (bound.about.low, bound.about.high, bound.about.no_information) == (0, 1, 0)


def test_a_target_must_be_named() -> None:
    """A text has no top class."""
    with pytest.raises(UsageError, match="name a target"):
        Order().bind(Text("a cat"), None, None)
