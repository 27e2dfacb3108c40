"""The soft score of a text's first token."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bbquery.errors import UsageError
from bbquery.scoring.soft import Soft
from bbquery.types import Answer, Decision, Labels, Text, Token

if TYPE_CHECKING:
    from bbquery.scoring._forms import Form

SPELLINGS = (("Yes", 0.5), (" yes", 0.2), ("No", 0.15), ("YES", 0.05), ("▁no", 0.05), ("Maybe", 0.01))


def said(*listed: tuple[str, float], text: str = "", before: tuple[str, ...] = ()) -> Text:
    """A text whose first word is the first of these tokens, the others its alternatives, with probabilities."""
    pairs = tuple((token, math.log(p)) for token, p in listed)
    empty = tuple(Token(token, -0.1) for token in before)
    return Text(text or listed[0][0], (*empty, Token(*pairs[0], alternatives=pairs)))


def value(answer: Answer, target: str, form: Form = "probability") -> float:
    return float(Soft(form=form).bind(said(*SPELLINGS), target, None)([answer])[1][0])


@pytest.mark.parametrize(
    ("target", "probability"), [("Yes", 0.75), ("no", 0.2), (" NO ", 0.2), ("maybe", 0.01), ("yes+maybe", 0.76)]
)
def test_all_spellings_of_a_word_count_together(target: str, probability: float) -> None:
    """Case and leading space do not tell words apart, and the words of a set add up."""
    assert value(said(*SPELLINGS), target) == pytest.approx(probability, abs=1e-12)


@pytest.mark.parametrize(
    ("form", "expected"),
    [("log_odds", math.log(0.2 / 0.8)), ("cross_entropy", -math.log(0.2)), ("margin", 0.2 - 0.75)],
)
def test_the_forms_are_those_of_any_probability(form: Form, expected: float) -> None:
    """Everything that is not the target, listed or not, is the rest."""
    assert value(said(*SPELLINGS), "No", form) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("listed", "bound"),
    [
        ((("Yes", 0.9), ("No", 0.04)), 0.04),
        ((("Yes", 0.9), ("No", 0.09)), 0.01),
        ((("Yes", 0.9),), 0.1),
        ((("Yes", 0.6), ("No", 0.6)), 0.0),
    ],
)
def test_a_word_that_is_not_listed_has_what_is_left_at_most(
    listed: tuple[tuple[str, float], ...], bound: float
) -> None:
    """It is no likelier than the least that is listed, and than what all leave: the floor that is documented."""
    assert value(said(*listed), "perhaps") == pytest.approx(bound, abs=1e-12)
    assert math.isfinite(value(said(*listed), "perhaps", "log_odds"))


@pytest.mark.parametrize(
    ("answer", "target", "decision"),
    [
        (said(*SPELLINGS), "yes", Decision.MET),
        (said(*SPELLINGS), "no", Decision.NOT_MET),
        (said(("No", 0.4), ("Yes", 0.3), (" yes", 0.25)), "yes", Decision.MET),
        (said(("No", 0.4), ("Yes", 0.6)), "no", Decision.NOT_MET),
        (said(("Yes", 0.9)), "no", Decision.NOT_MET),
    ],
)
def test_it_is_met_while_the_word_is_the_likeliest(answer: Text, target: str, decision: Decision) -> None:
    """Whatever was said by chance, the likeliest word counts, all its spellings together."""
    bound = Soft().bind(answer, target, None)

    assert bound([answer])[0].tolist() == [decision]


def test_what_is_no_word_is_passed_over() -> None:
    """Quotes, stars and line ends before the first word are not the answer, nor around it."""
    answer = said(("Yes.", 0.75), ('"no', 0.2), text='"**\nYes.', before=('"', "**", "\n"))

    assert value(answer, "yes") == pytest.approx(0.75, abs=1e-12)
    assert value(answer, "no") == pytest.approx(0.2, abs=1e-12)


def test_without_a_target_the_first_token_is_explained() -> None:
    """What the model said of the unperturbed image is what is explained."""
    bound = Soft().bind(said(("B", 0.6), ("A", 0.3)), None, None)

    assert bound.target == "b"
    assert bound([said(("A", 0.7), ("B", 0.25))])[1][0] == pytest.approx(0.25, abs=1e-12)


def test_an_answer_without_log_probabilities_is_undecided_and_reported() -> None:
    """It is no 0: it is NaN, and what could not be read is told."""
    bound = Soft().bind(said(*SPELLINGS), "yes", None)
    answers = [said(*SPELLINGS), Text("I cannot"), Text("…", (Token("…", -0.1),)), Text("I cannot")]

    decisions, values = bound(answers)

    assert decisions.tolist() == [Decision.MET, *[Decision.UNDECIDED] * 3]
    assert np.isnan(values).tolist() == [False, True, True, True]
    assert bound.unread(answers) == {"I cannot": 2, "…": 1}


@pytest.mark.parametrize(
    ("clean", "target", "said_so"),
    [
        (Text("Yes"), "yes", "top_logprobs=20"),
        (said(("tab", 0.9), text="tabby"), "tabby", "more than one token"),
        (said(("tiger", 0.9), text="tiger cat"), "tiger cat", "more than one token"),
    ],
)
def test_what_one_token_cannot_tell_is_refused(clean: Text, target: str, said_so: str) -> None:
    """A text without log-probabilities, or a target of several tokens, is found with the first answer."""
    with pytest.raises(UsageError, match=said_so):
        Soft().bind(clean, target, None)


def test_an_answer_of_another_kind_is_refused() -> None:
    """Labels have no tokens."""
    with pytest.raises(UsageError, match="bound to a text's tokens"):
        Soft().bind(said(*SPELLINGS), "yes", None)([Labels(())])


def test_it_declares_what_its_values_mean() -> None:
    """A probability of 0 to 1; how likely a word is of which nothing is known cannot be said."""
    about = Soft().bind(said(*SPELLINGS), "yes", None).about

    assert (about.unit, about.low, about.high) == ("probability of the first token", 0, 1)
    assert math.isnan(about.no_information)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (said(*SPELLINGS), ["'yes' 0.75", "'no' 0.2"]),
        (said(("Yes", 0.9), ("No", 0.04)), ["not listed", "0.04"]),
        (Text("Yes"), ["cannot be read"]),
    ],
)
def test_its_steps_show_what_might_have_been_said(answer: Text, told: list[str]) -> None:
    """The token that is read, its alternatives, and what stands for a word that is not among them."""
    steps = "\n".join(Soft().bind(said(*SPELLINGS), "maybe", None).steps(answer))

    assert [words for words in told if words not in steps] == []
