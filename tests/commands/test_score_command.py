"""`bbquery score`: what a score does to an answer, for people."""

from __future__ import annotations

import socket

import pytest

from bbquery.cli import main


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the command went to the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the command prints; it must succeed."""
    code = main(["score", *arguments])
    captured = capsys.readouterr()
    assert (code, captured.err) == (0, "")
    return captured.out


def test_it_shows_the_answer_the_steps_the_value_and_the_decision(capsys: pytest.CaptureFixture[str]) -> None:
    """All that a person needs to see why a number is what it is, and what it means."""
    assert said(capsys, "Cat 0.97, Felidae 0.75", "--target", "Felidae") == (
        "answer    labels: Cat 0.97, Felidae 0.75\n"
        "score     Soft(form='probability', softmax=False)\n"
        "\n"
        "target    Felidae\n"
        "  1. the list has 2; each score stands for itself, and where no label has one each counts 1\n"
        "  2. the target 'Felidae' is 'Felidae' at place 2: 0.75\n"
        "  3. the value is the target's own number: 0.75\n"
        "value     0.75 (score of the label: higher is nearer, 0 to 1, no information is 0)\n"
        "decision  not met (met if: the target is on top)\n"
    )


def test_several_targets_are_shown_one_after_another(capsys: pytest.CaptureFixture[str]) -> None:
    """Targets are written as in `explain`: commas separate, plus signs join."""
    told = said(capsys, "cat 0.5, dog 0.25", "--target", "cat, dog,cat+dog")

    assert [line for line in told.splitlines() if line.startswith(("target", "value"))] == [
        f"{line}" for name, value in (("cat", "0.5"), ("dog", "0.25"), ("cat+dog", "0.5"))
        for line in (f"target    {name}", f"value     {value} (score of the label: higher is nearer, 0 to 1, "
                     "no information is 0)")
    ]  # fmt: skip


def test_without_a_target_the_answers_own_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    """As in a run, what comes first in the clean answer is what is explained; the clean answer may be another."""
    assert "target    cat\n" in said(capsys, "cat 0.75, dog 0.5")
    told = said(capsys, "cat 0.75, dog 0.5", "--clean", "dog 0.75")
    assert "target    dog\n" in told
    assert "value     0.5 " in told


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["cat", "--score", "mention", "--target", "cat"], "answer    text: 'cat'"),
        (["I see a cat.", "--target", "cat", "--kind", "labels"], "answer    labels: I see a cat."),
        (["[1.5, -2, 0]", "--score", "soft:form=log_odds,softmax=true"], "answer    scores: 3 numbers, 1.5, -2, 0"),
        (["1 1 1 1 1 1 1", "--target", "0"], "answer    probabilities: 7 numbers, 1, 1, 1, 1, 1, …"),
    ],
)
def test_an_answer_is_read_as_the_score_can_take_it(
    capsys: pytest.CaptureFixture[str], arguments: list[str], shown: str
) -> None:
    """One word is a text for a score of texts; a kind that is named decides."""
    assert shown in said(capsys, *arguments)


def test_numbers_stand_for_the_classes_that_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    """The closed set of the oracle can be given, and a set of its classes is a target."""
    told = said(
        capsys, "0.2, 0.3, 0.5", "--classes", "cat|dog|fox", "--target", "dog+fox", "--score", "soft:form=margin"
    )

    assert "dog (class 1) 0.3, fox (class 2) 0.5: their sum is 0.8" in told
    assert "value     0.3 (margin: higher is nearer, -1 to 1, no information is 0)" in told
    assert "decision  met (" in told


def test_log_probabilities_are_read_from_json(capsys: pytest.CaptureFixture[str]) -> None:
    """An answer with tokens shows how many have log-probabilities, and where no information has no value says none."""
    told = said(capsys, '{"text": "Yes", "tokens": [["Yes", -0.1, [["No", -3]]]]}', "--target", "No", "--score", "soft")

    assert "answer    text: 'Yes', 1 tokens with log-probabilities" in told
    assert "value     0.0497871 (probability of the first token: higher is nearer, 0 to 1)" in told


def test_what_cannot_be_read_is_no_0(capsys: pytest.CaptureFixture[str]) -> None:
    """The value is none, the decision undecided, and what was not read is named."""
    clean = '{"text": "Yes", "tokens": [["Yes", -0.1, []]]}'

    options = ["--clean", clean, "--kind", "text", "--target", "Yes", "--score", "soft"]

    told = said(capsys, "I cannot see any image.", *options)

    assert "value     none: it cannot be read" in told
    assert "decision  undecided" in told
    assert "not read  'I cannot see any image.' 1 time\n" in told


def test_no_answer_is_undecided(capsys: pytest.CaptureFixture[str]) -> None:
    """A refusal never reaches a score."""
    told = said(capsys, '{"none": "blocked", "kind": "filtered"}', "--score", "mention", "--target", "cat")

    assert "no answer (blocked)" in told
    assert "the decision is undecided" in told


def test_a_composition_is_followed_part_by_part(capsys: pytest.CaptureFixture[str]) -> None:
    """Every part shows its steps, and the sum what becomes of them."""
    score = "compose:of=soft|soft:form=margin,weights=.75|.25"

    assert "sum: 0.75 × 0.5 + 0.25 × 0.5 = 0.5" in said(capsys, "cat 0.5, dog 0.5", "--score", score)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["cat", "--score", "sift"], "unknown score 'sift'"),
        (["cat", "--target", "cat,"], "empty label"),
        (["0.5 0.5", "--kind", "labels", "--score", "mention", "--target", "x"], "needs text"),
        (["0.2 0.8", "--classes", "cat|dog", "--target", "fox"], "unknown label 'fox'"),
        (["[1, 2]", "--kind", "text", "--score", "soft"], "log-probabilities"),
    ],
)
def test_what_does_not_fit_is_a_usage_error(
    capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    """The likeliest reading's reason is given, with exit code 2."""
    assert main(["score", *arguments]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "score"),
    [
        (["A cat sits on the mat.", "--target", "cat"], "Mention()"),
        (["cat 0.9, dog 0.1"], "Soft(form='probability', softmax=False)"),
        (["[0.25, 0.75]"], "Soft(form='probability', softmax=False)"),
        (["cat", "--kind", "text", "--target", "cat"], "Mention()"),
    ],
)
def test_the_usual_score_is_that_of_explain(
    arguments: list[str], score: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --score an answer is scored as `bbquery explain` would score it: a text by mention."""
    assert f"score     {score}\n" in said(capsys, *arguments)


def test_a_text_without_a_target_has_no_usual_score(capsys: pytest.CaptureFixture[str]) -> None:
    """As of `bbquery explain`, a text needs a target: it is not taken for labels instead."""
    assert main(["score", "A cat sits on the mat."]) == 2
    assert "--target" in capsys.readouterr().err
