"""Sentences on a map: they say what was asked and answered, in one structure, whatever the label."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbquery.client.client import QueryCounts
from bbquery.jobs.explain.verified import Part, Verified
from bbquery.jobs.percent import percent
from bbquery.report import sentence
from bbquery.report.map_picture import below_photo
from bbquery.types import Decision, Label, Labels, NoAnswer, Text, Vector
from tests.support.explanations import NAMES, explanation_of, map_of

GOOD = np.linspace(-1, 1, 64).reshape(8, 8)
SURE, UNSURE = np.full((8, 8), 0.1), np.full((8, 8), 10.0)
ONE_STRUCTURE = re.compile(
    r"(Red places speak for|Blue places speak against|No place speaks for|Bright places matter for|No place stands out "
    r"for|Nothing that was changed made a difference to|No changed copy was answered, so this map says nothing of) "
    r"“[^\n]*” \(.*\).*\. [\d,]+ (query|queries), \$[\d.]+.*\."
)


def part(share: float = 0.06, value: float = 0.03) -> Part:
    image = np.zeros((8, 8, 3), np.uint8)
    return Part(share, image, np.ones((8, 8), bool), (), "hiding 6 % makes it “lynx”", value)


def verified(breaks: Part | None) -> Verified:
    return Verified(None, breaks, 24, "mean", "")


def said(m: Any, **options: Any) -> str:
    return sentence.caption(explanation_of(m, **options), m)


def test_a_good_map_is_said_in_one_sentence_with_what_it_took() -> None:
    """The caption says what red is, what pale is, what the whole photo scores, and queries and money."""
    m = map_of(np.abs(GOOD) + 0.01, error=SURE, asked=999)

    found = said(m)

    assert found == "Red places speak for “tiger cat” (38 %); pale ones could be chance. 1,000 queries, $0.00."


def test_what_was_planned_and_never_asked_is_no_query() -> None:
    """A run that its budget ended says how many queries were answered, not how many were to be asked."""
    m = map_of(GOOD, error=SURE, stopped="budget", answered=54, asked=54)
    ended = replace(explanation_of(m), queries=QueryCounts(asked=58, sent=55, from_store=0, unknown=0, answered=55))

    assert sentence.effort(ended, m) == "55 queries, $0.00, PARTIAL: 54 of 100 copies answered."
    assert "55 queries" in repr(ended)


def test_blue_places_are_named_where_there_are_any_that_are_sure() -> None:
    """What is against the target is part of what is seen; what could be chance is not."""
    assert "(38 %), blue ones against it; pale ones could be chance." in said(map_of(GOOD, error=SURE))
    assert said(map_of(-np.abs(GOOD), error=SURE)).startswith("Blue places speak against “tiger cat” (38 %); pale")
    half_sure = np.where(GOOD < 0, 10.0, 0.1)
    assert "blue" not in said(map_of(GOOD, error=half_sure))


def test_a_method_without_errors_is_not_said_to_be_sure() -> None:
    """Where nothing is known of chance, the sentence says so, and calls nothing pale."""
    assert "; this method does not say how sure that is." in said(map_of(GOOD))
    assert said(map_of(np.abs(GOOD), signed=False)).startswith("Bright places matter for “tiger cat” (38 %), for or ")


def test_what_happens_when_hidden_is_said_only_if_it_was_asked() -> None:
    """The second percentage is that of the part which was hidden and asked twice, with its share."""
    asked = map_of(GOOD, error=SURE, verified=verified(part()))
    not_found = map_of(GOOD, error=SURE, verified=verified(None))

    assert "“tiger cat” (38 % → 3 % when the reddest 6 % is hidden), blue" in said(asked)
    assert "→" not in said(not_found)


def test_more_than_is_red_is_not_called_the_reddest() -> None:
    """A part that is larger than all that is red holds other places too, so it is said to rank highest."""
    m = map_of(GOOD, error=SURE, verified=verified(part(share=0.53)))

    assert "→ 3 % when the highest-ranked 53 % is hidden" in said(m)


@pytest.mark.parametrize(
    ("m", "stamped", "words"),
    [
        (map_of(np.zeros((8, 8)), error=SURE), "SAYS NOTHING", "so this map says nothing. "),
        (map_of(np.zeros((8, 8)), answered=0), "SAYS NOTHING", "No changed copy was answered"),
        (map_of(GOOD, error=UNSURE, verified=verified(part())), "COULD BE CHANCE", "(38 %), so all of this map could"),
        (map_of(GOOD, chance=True), "COULD BE CHANCE", "(38 %), so all of this map could be chance"),
        (
            map_of(GOOD, error=SURE, decisions=(1,) * 200 + (0,), verified=verified(part())),
            "HARDLY MOVED",
            "For “tiger cat” (38 %) all but 1 of 201 changed copies were answered alike, so this map says little. ",
        ),
        (map_of(GOOD, error=SURE), "", "Red places"),
    ],
    ids=["constant", "unanswered", "chance", "shuffled", "little", "good"],
)
def test_a_map_that_is_no_evidence_is_stamped(m: Any, stamped: str, words: str) -> None:
    """The stamp and the sentence say the same, and a stamped map is never said to show places."""
    assert sentence.stamp(explanation_of(m), m) == stamped
    assert words in said(m)
    assert ("places speak" in said(m)) == (not stamped)


def test_scores_that_vary_like_one_image_asked_again_are_stamped() -> None:
    """Without errors of its own a map is stamped where the noise of the oracle is as large as its scores' spread."""
    m = map_of(GOOD, decisions=(1, 0, 1, 1, 0))

    assert sentence.stamp(explanation_of(m, noise=0.0), m) == ""
    assert sentence.stamp(explanation_of(m, noise=1.0), m) == "COULD BE CHANCE"


def test_labels_are_counted_not_measured() -> None:
    """Of a label the sentence says whether the photo has it, and how many changed copies keep it, of those decided."""
    kept = (Decision.MET, Decision.NOT_MET, Decision.NOT_MET, Decision.UNDECIDED, Decision.NOT_MET)
    labels = Labels((Label("tabby", 0.93), Label("cat")))
    m = map_of(GOOD, error=SURE, target="tabby", score="label", clean=labels, decisions=kept)
    other = map_of(GOOD, error=SURE, target="lynx", score="label", clean=labels)

    whole: dict[str, Any] = {"clean": labels, "answers": "labels"}
    assert "“tabby” (named on the whole photo, and on 25 % of its changed copies that could be judged), blue" in said(
        m, **whole
    )
    assert "“lynx” (not named on the whole photo), blue" in said(other, **whole)
    assert sentence.first_answer(explanation_of(m, **whole)) == "“tabby” (score 0.93)"


def test_a_text_is_quoted_in_one_line_and_cut() -> None:
    """The model's first answer is what it said, as one line that is safe to show."""
    m = map_of(GOOD, error=SURE, target="dog", score="mention", clean=Text("a dog"))
    answers = {"a\ndog \u202etac": "“a dog \\u202etac”", "w" * 99: f"“{'w' * 60}…”", "<think>cat</think>dog": "“dog”"}

    for text, shown in answers.items():
        whole: dict[str, Any] = {"clean": Text(text), "answers": "text"}
        assert sentence.first_answer(explanation_of(m, **whole)) == shown
    assert "“dog” (mentioned on the whole photo)" in said(m, clean=Text("a dog"), answers="text")


@pytest.mark.parametrize(("text", "end"), [("A dog.", "“A dog.” Method:"), ("a dog", "“a dog”. Method:")])
def test_a_quotation_that_ends_a_sentence_gets_no_second_full_stop(text: str, end: str) -> None:
    """Below a photo stands one full stop after what the model said."""
    m = map_of(GOOD, error=SURE, target="dog", score="mention", clean=Text("a dog"))

    assert end in below_photo(explanation_of(m, clean=Text(text), answers="text"))


@pytest.mark.parametrize(
    ("clean", "answers", "expected"),
    [
        (Vector(np.array([0.1, 0.2, 0.7])), "probabilities", "“lynx” (70 %)"),
        (Vector(np.array([0.1, -2.5, -7.0])), "scores", "“tiger cat” (score 0.1)"),
        (Labels(()), "labels", "no label"),
        (NoAnswer("no", "refused"), "labels", "none (refused)"),
    ],
)
def test_the_first_answer_is_said_of_every_kind(clean: Any, answers: Any, expected: str) -> None:
    """Percent are of probabilities alone; a model's own scores are called so; no answer is called none."""
    assert sentence.first_answer(explanation_of(map_of(GOOD), clean=clean, answers=answers)) == expected


@pytest.mark.parametrize("form", ["probability", "log_odds", "cross_entropy"])
def test_a_probability_is_said_as_one_whatever_its_form(form: str) -> None:
    """Log-odds and cross-entropy are functions of the probability, so a person reads that."""
    m = map_of(GOOD, error=SURE, score=f"soft:form={form}")

    assert sentence.value_on_photo(explanation_of(m), m) == "38 %"


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        *[(0, "0 %"), (1, "100 %"), (0.0004, "under 0.1 %"), (0.004, "0.4 %"), (0.0095, "1 %"), (0.38, "38 %")],
        *[(0.989, "99 %"), (0.994, "99.4 %"), (0.9995, "over 99.9 %"), (0.5049, "50 %")],
    ],
)
def test_percentages_are_never_rounded_to_certainty(share: float, expected: str) -> None:
    """0 % and 100 % are said only of exactly these."""
    assert percent(share) == expected


def test_money_is_rounded_up_and_what_is_held_is_said() -> None:
    """What was paid is never understated; of several maps it is said to be for all."""
    m = map_of(GOOD, error=SURE)
    paid = explanation_of(m, posted=120_000_000_001, held=10_000_000_000)

    assert sentence.money(paid) == "$0.13 ($0.01 held)"
    assert sentence.effort(explanation_of(m, m), m) == "100 queries, $0.00 for both maps."
    assert sentence.effort(explanation_of(m, m, m), m) == "100 queries, $0.00 for all 3 maps."
    partial = replace(m, stopped="budget", sent=replace(m.sent, answered=40))
    assert sentence.effort(explanation_of(partial), partial).endswith(", PARTIAL: 40 of 100 copies answered.")
    refused = replace(m, sent=replace(m.sent, answered=97))
    assert sentence.effort(explanation_of(refused), refused).endswith(", 3 of 100 copies without an answer.")


LABELS = st.text(min_size=1, max_size=90) | st.sampled_from(
    ["<img onerror>", "$x_2$", "a\u202eb", "“cat” (38 %).", "%d{}"]
)


@given(
    label=LABELS,
    probability=st.floats(0, 1),
    hidden=st.none() | st.tuples(st.floats(0, 1), st.floats(0, 1)),
    error=st.sampled_from([None, SURE, UNSURE]),
    sign=st.sampled_from([1.0, -1.0, 0.0]),
    signed=st.booleans(),
    answered=st.sampled_from([0, 40, 100]),
    posted=st.integers(0, 2**50),
)
def test_whatever_the_label_it_is_one_structure_and_no_percentage_is_invented(
    label: str,
    probability: float,
    hidden: tuple[float, float] | None,
    error: Any,
    sign: float,
    signed: bool,
    answered: int,
    posted: int,
) -> None:
    """Every percentage is one of the data: the photo's, the hidden part's share and its value."""
    clean = Vector(np.array([probability, 1 - probability, 0.0]))
    names = (f"{label}#", *NAMES[1:])
    m = map_of(
        sign * np.abs(GOOD), error=error, target="#0", names=names, clean=clean, signed=signed, answered=answered,
        verified=None if hidden is None else verified(part(*hidden)),
    )  # fmt: skip

    found = sentence.caption(explanation_of(m, names=names, clean=clean, posted=posted), m)

    assert ONE_STRUCTURE.fullmatch(found)
    rest = found.replace(sentence.quoted(m.target), "")
    data = [probability, *(hidden or ())]
    assert set(re.findall(r"(?:under |over )?[\d.]+ %", rest)) <= {percent(each) for each in data}
