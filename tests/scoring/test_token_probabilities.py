"""Log-probabilities of tokens, made into probabilities of yes and of classes, against sums done by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbquery.scoring._closed_set import closed_set
from bbquery.scoring._token_probabilities import class_shares, yes_share
from bbquery.types import Classes, Token


def spelled(listed: dict[str, float], said: str) -> Token:
    logprobs = {text: math.log(probability) for text, probability in listed.items()}
    return Token(said, logprobs[said], tuple(sorted(logprobs.items(), key=lambda pair: -pair[1])))


def shares(names: str, *tokens: Token) -> list[float]:
    classes = Classes(tuple(tuple(one.split("=")) for one in names.split("|")))
    return [float(share) for share in class_shares(tokens, closed_set(classes))]


def test_yes_is_summed_over_its_spellings() -> None:
    """Case and leading spaces make other tokens of the same word; words that are neither do not count."""
    listed = {"Yes": 0.3, " yes": 0.2, "YES": 0.1, "No": 0.15, "no": 0.05, "Maybe": 0.2}

    assert yes_share([spelled(listed, "Yes")]) == pytest.approx(0.6 / 0.8, rel=1e-12)


def test_yes_is_looked_for_at_the_first_word() -> None:
    """Marks and spaces before the word are passed over."""
    marks = spelled({"**": 0.9, "Yes": 0.1}, "**")

    assert yes_share([marks, spelled({"No": 0.75, "Yes": 0.25}, "No")]) == pytest.approx(0.25, rel=1e-12)


@pytest.mark.parametrize("tokens", [[], [Token(" ", 0.0)], [Token("Perhaps", -0.1, (("Perhaps", -0.1),))]])
def test_neither_yes_nor_no_is_no_probability(tokens: list[Token]) -> None:
    """Where neither stands among the alternatives, nothing is known."""
    assert math.isnan(yes_share(tokens))


@given(st.floats(-3000, 0), st.floats(-3000, 0))
def test_yes_needs_no_luck_with_tiny_probabilities(yes: float, no: float) -> None:
    """Log-probabilities whose exponentials vanish still give their ratio."""
    found = yes_share([Token("Yes", yes, (("Yes", yes), ("No", no)))])

    assert found == pytest.approx(1 / (1 + math.exp(min(no - yes, 700))), rel=1e-9, abs=1e-300)


def test_classes_of_one_token_share_its_probabilities() -> None:
    """Spellings are summed, what is no class is left out, and the rest is scaled to one."""
    listed = {"cat": 0.5, " Cat": 0.1, "dog": 0.2, "sofa": 0.2}

    assert shares("cat|dog|bird", spelled(listed, "cat")) == pytest.approx([0.75, 0.25, 0], rel=1e-12)


def test_aliases_count_for_their_class() -> None:
    """A class has the probability of all its names."""
    assert shares("cat=kitty|dog", spelled({"cat": 0.2, "kitty": 0.2, "dog": 0.4}, "dog")) == pytest.approx([0.5, 0.5])


def test_the_beginning_of_a_name_counts_for_it() -> None:
    """A long name is told by its first token, if no other class begins so."""
    listed = {"golden": 0.6, "gold": 0.1, "dog": 0.3}

    assert shares("golden retriever|dog", spelled(listed, "golden"), Token(" retriever", 0.0)) == pytest.approx(
        [0.7, 0.3]
    )


def test_a_shared_beginning_is_followed_where_it_was_said() -> None:
    """By the chain rule: P(tiger) P(cat | tiger) and P(tiger) P(shark | tiger)."""
    first = spelled({"tiger": 0.8, "dog": 0.2}, "tiger")
    second = spelled({" cat": 0.75, " shark": 0.25}, " cat")

    assert shares("tiger cat|tiger shark|dog", first, second) == pytest.approx([0.6, 0.2, 0.2], rel=1e-12)


def test_a_shared_beginning_that_was_not_said_is_shared_evenly() -> None:
    """What cannot be told apart counts the same for each class that it may begin."""
    listed = {"dog": 0.5, "tiger": 0.5}

    assert shares("tiger cat|tiger shark|dog", spelled(listed, "dog")) == pytest.approx([0.25, 0.25, 0.5], rel=1e-12)


def test_a_name_within_a_longer_one_ends_where_the_text_goes_on_otherwise() -> None:
    """Of "tabby" and "tabby cat" the next token decides."""
    first = spelled({"tabby": 1.0}, "tabby")
    second = spelled({".": 0.7, " cat": 0.3}, ".")

    assert shares("tabby|tabby cat", first, second) == pytest.approx([0.7, 0.3], rel=1e-12)


def test_a_sentence_is_read_at_the_name_in_it() -> None:
    """Tokens before the name are passed over, and articles are no beginnings of names."""
    lead = [spelled({"The": 0.9, "A": 0.1}, "The"), Token(" image", 0.0), Token(" shows", 0.0), Token(" a", 0.0)]

    assert shares("apple|cat", *lead, spelled({" cat": 0.8, " apple": 0.15, " a": 0.05}, " cat")) == pytest.approx(
        [0.15 / 0.95, 0.8 / 0.95], rel=1e-12
    )


def test_a_name_that_was_taken_back_is_passed_over() -> None:
    """Of "not a dog but a cat" the probabilities at "cat" count."""
    said = [Token("not", 0.0), Token(" a", 0.0), spelled({" dog": 0.9, " cat": 0.1}, " dog"), Token(" but", 0.0)]

    found = shares("cat|dog", *said, spelled({" cat": 0.8, " dog": 0.2}, " cat"))

    assert found == pytest.approx([0.8, 0.2], rel=1e-12)


@pytest.mark.parametrize("tokens", [[], [Token("sofa", -0.1, (("sofa", -0.1),))]])
def test_no_listed_class_is_no_probability(tokens: list[Token]) -> None:
    """Where no class stands among the alternatives, every probability is NaN."""
    assert np.isnan(shares("cat|dog", *tokens)).all()


TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)


@given(
    st.lists(st.tuples(TEXTS, st.floats(-50, 0), st.lists(st.tuples(TEXTS, st.floats(-50, 0)), max_size=4)), max_size=5)
)
def test_any_tokens_are_probabilities_or_none(drawn: list[tuple[str, float, list[tuple[str, float]]]]) -> None:
    """Whatever tokens come, shares are within 0 and 1 with sum 1, or all NaN."""
    tokens = [Token(text, logprob, tuple(others)) for text, logprob, others in drawn]
    found = np.array(shares("cat|dog|tabby cat|tabby", *tokens))

    assert np.isnan(found).all() or (abs(found.sum() - 1) < 1e-9 and (found >= 0).all())
    assert math.isnan(yes_share(tokens)) or 0 <= yes_share(tokens) <= 1
