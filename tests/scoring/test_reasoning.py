"""Reasoning is not the answer: no score reads it, whichever marks a model puts around it."""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbquery import load
from bbquery.client.answer_checks import checked
from bbquery.ledger import codec
from bbquery.oracle import Capabilities
from bbquery.reasoning import answer_spans
from bbquery.report.explanation import clean_answer
from bbquery.scoring import hard
from bbquery.scoring.base import score_rows
from bbquery.scoring.mention import Mention
from bbquery.scoring.text import sentence
from bbquery.types import Classes, Label, Labels, NoAnswer, Reply, Text, Token

MARKS = [
    ("<think>", "</think>"), ("<thinking>", "</thinking>"), ("<reasoning>", "</reasoning>"), ("<THINK>", "</THINK>"),
    ("<thought>", "</thought>"), ("<think time='3'>", "</think>"), ("[THINK]", "[/THINK]"), ("◁think▷", "◁/think▷"),
    ("<seed:think>", "</seed:think>"), ("<|begin_of_thought|>", "<|end_of_thought|>"), ("<analysis>", "</analysis>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"), ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
    ("<|channel>thought\n", "<channel|>"), ("", "</think>"),
]  # fmt: skip
PETS = Classes((("cat",), ("dog",)))
SCORES = ["mention", "prompts:then=match", "prompts:read=yes-no", "prompts:read=probability", "label", "soft"]


def spoken(text: str) -> str:
    return Text(text).spoken.text


@pytest.mark.parametrize(("opening", "closing"), MARKS)
def test_what_is_thought_is_not_said(opening: str, closing: str) -> None:
    """Whichever marks a model writes, and where it begins without any."""
    assert spoken(f"{opening}\nIt could be a dog. No: a cat.\n{closing}\n\ncat") == "cat"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cat", "cat"),
        ("a <b>cat</b>, I think", "a <b>cat</b>, I think"),
        ("[Analysis] a cat", "[Analysis] a cat"),
        ("<analysis> a cat", "<analysis> a cat"),
        ("<think>dog <think>dog</think> dog</think>cat", "cat"),
        ("<think>dog</think>a <think>dog</think>cat", "a cat"),
        ("<think>dog</think>It is <answer>cat</answer> for sure", "cat"),
        ("<think>dog</think><|begin_of_box|>cat<|end_of_box|>", "cat"),
        ("<answer> cat", "cat"),
        ("<think>dog", ""),
        ("<think>dog</think>\n", ""),
        ("", ""),
    ],
)
def test_the_answer_is_what_is_left(text: str, said: str) -> None:
    """Nested, repeated and unclosed reasoning is taken out; other marks stay; an answer's own marks are taken off."""
    assert spoken(text) == said


PIECES = (*"ab <>[]/|◁▷", "<think>", "</think>", "[THINK]", "<answer>", "</answer>")


@given(st.lists(st.sampled_from(PIECES), max_size=20).map("".join))
def test_spans_lie_in_order_within_the_text(text: str) -> None:
    """Whatever marks stand in it, however they are nested."""
    spans = answer_spans(text)

    assert all(0 <= start <= end <= len(text) for start, end in spans)
    assert all(one.end <= other.start for one, other in itertools.pairwise(spans))


def token(text: str, other: str, share: float = 0.75) -> Token:
    return Token(text, math.log(share), ((text, math.log(share)), (other, math.log(1 - share))))


THOUGHT = [token(text, "x") for text in ("<think>", "dog", " no", "</think>")]
REASONED = Text("<think>dog no</think>cat", (*THOUGHT, token("cat", "dog")))
AFFIRMED = Text(
    "no dog</think>yes", (token("no", "yes"), token(" dog", "x"), token("</think>", "x"), token("yes", "no"))
)


@pytest.mark.parametrize("name", SCORES)
def test_no_score_reads_reasoning(name: str) -> None:
    """An answer after reasoning counts as the same answer without it, by every score of texts."""
    answer = AFFIRMED if name.endswith("yes-no") else REASONED
    plain = Text(answer.spoken.text, answer.tokens[-1:])
    score, target = load.score(name), "yes" if name.endswith("yes-no") else "cat"

    bound = score.bind(answer, target, PETS)

    assert len(answer.spoken.tokens) == 1
    assert score_rows(bound, [[answer]]).value == pytest.approx(score_rows(bound, [[plain]]).value)
    assert score_rows(bound, [[plain]]).value[0] > 0.7
    assert bound.steps(answer) == bound.steps(plain)
    assert bound.unread([answer]) == bound.unread([plain])


def test_the_score_of_hard_labels_reads_no_reasoning() -> None:
    """It looks up the answer alone."""
    assert hard.top_label(REASONED, None) == "cat"


def test_the_text_score_embeds_no_reasoning() -> None:
    """The sentence is the answer's."""
    assert sentence(REASONED) == "cat"


def test_reasoning_is_kept_in_the_store() -> None:
    """The whole text is the record of what was answered and paid."""
    assert codec.unpack(codec.pack(REASONED)) == REASONED


CAPABILITIES = Capabilities(name="m", answers="text", identity={})


@pytest.mark.parametrize("text", ["<think>It could be", "<think>It is.</think> "])
def test_reasoning_without_an_answer_is_truncated(text: str) -> None:
    """From any oracle: the reason says to raise the cap."""
    (reply,) = checked([Reply(Text(text))], 1, CAPABILITIES)

    assert isinstance(reply, Reply)
    assert isinstance(reply.answer, NoAnswer)
    assert reply.answer.kind == "truncated"
    assert "max_tokens" in reply.answer.reason


def test_reasoning_that_an_older_store_holds_is_no_answer() -> None:
    """It was kept as a text before: no score may take it for one that does not name the target."""
    bound: Any = Mention().bind(Text("a cat"), "cat", None)

    assert np.isnan(score_rows(bound, [[Text("<think>a dog?")]]).value[0])


def test_a_very_long_answer_is_cut_before_it_is_scored() -> None:
    """A megabyte of words takes no minutes to read; the store has all of it."""
    long = Text("word " * 200_000 + "cat")

    assert len(long.spoken.text) == 20_000
    assert score_rows(Mention().bind(Text("cat"), "cat", None), [[long]]).value[0] == 0.0


@pytest.mark.parametrize(
    ("clean", "recorded"),
    [
        (REASONED, [{"text": "<think>dog no</think>cat"}]),
        (
            Labels((Label("cat", 0.5), Label("dog"))),
            [{"label": "cat", "value": 0.5, "box": None}, {"label": "dog", "value": None, "box": None}],
        ),
    ],
)
def test_the_record_of_a_run_holds_the_clean_answer(clean: Any, recorded: list[dict[str, Any]]) -> None:
    """A text with its reasoning, labels with their scores."""
    explanation: Any = SimpleNamespace(clean=clean, oracle=None)

    assert clean_answer(explanation) == recorded
