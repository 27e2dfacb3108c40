"""Which scores are compared: all that suit the oracle, in each of their forms, and the reasons why others are not."""

from __future__ import annotations

import numpy as np
import pytest

from bbquery import load
from bbquery.errors import UnknownName, UsageError
from bbquery.jobs.probe import candidates
from bbquery.oracle import Capabilities
from bbquery.specification import parse
from bbquery.types import AnswerKind, Classes, Label, Labels, Text, Vector

OWN = "tests.support.scores:First"


def oracle(answers: AnswerKind, *classes: str) -> Capabilities:
    known = Classes(tuple((name,) for name in classes)) if classes else None
    return Capabilities(name="it", answers=answers, identity={}, classes=known)


def test_every_score_is_tried_in_each_of_its_forms() -> None:
    """None that can be chosen is left out, but one whose values another has; the default form is the name alone."""
    found = list(candidates.specifications())

    assert {parse(name)[0] for name in found} == set(load.names("score")) - {"threshold"}  # as soft
    assert {"soft", "soft:form=log_odds", "soft:form=margin", "hard", "hard:form=distance"} <= set(found)
    assert not {"soft:form=probability", "hard:form=similarity"} & set(found)
    assert len(found) == len(set(found))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out scores that need data or models which a machine may lack."""
    monkeypatch.setattr(candidates, "specifications", lambda: iter([OWN, "mention", "soft", "soft:form=margin"]))


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    ("answers", "target", "usual", "missing"),
    [("probabilities", [], "soft", "mention"), ("labels", [], "soft", "mention"), ("text", ["dog"], "mention", "")],
)
def test_the_usual_score_comes_first(answers: AnswerKind, target: list[str], usual: str, missing: str) -> None:
    """What an explanation would take is listed first; what cannot read the answers is not listed, with the reason."""
    found = candidates.suiting(oracle(answers, "cat", "dog"), target)

    assert next(iter(found.scores)) == usual
    assert missing not in found.scores
    assert not missing or "text" in found.unsuited[missing]


@pytest.mark.usefixtures("few")
def test_a_target_that_only_some_scores_know_is_no_error() -> None:
    """A target that is no class is left to the scores that take it."""
    found = candidates.suiting(oracle("probabilities", "tabby", "beagle"), ["feline"])

    assert list(found.scores) == [OWN]
    assert "unknown label 'feline'" in found.unsuited["soft"]


def test_a_target_that_no_score_knows_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is asked, with each score's own reason."""
    monkeypatch.setattr(candidates, "specifications", lambda: iter(["mention", "soft"]))

    with pytest.raises(UsageError, match=r"(?s)no score suits.*soft: .*unknown label 'qwzx'"):
        candidates.suiting(oracle("probabilities", "tabby", "beagle"), ["qwzx"])


def test_a_score_of_ones_own_is_taken() -> None:
    """As everywhere, `package.module:attribute` names a score of one's own."""
    assert list(candidates.suiting(oracle("labels"), [], [OWN]).scores) == [OWN]


def test_only_wanted_scores_are_tried() -> None:
    """Scores that are named are the only ones, and must suit."""
    of_numbers = oracle("probabilities", "tabby", "beagle")

    assert list(candidates.suiting(of_numbers, [], ["soft:form=margin"]).scores) == ["soft:form=margin"]
    with pytest.raises(UsageError, match="needs text"):
        candidates.suiting(of_numbers, ["x"], ["mention"])
    with pytest.raises(UnknownName, match="nothing"):
        candidates.suiting(of_numbers, [], ["nothing"])


def test_scores_are_bound_to_each_target() -> None:
    """One bound score a target, and those that the clean answer does not allow are left out with the reason."""
    known = oracle("text", "cat", "dog")
    suiting = candidates.suiting(known, ["cat", "dog"], ["mention", "soft"])

    found = candidates.bound(suiting, Text("a cat"), ["cat", "dog"], known.classes)

    assert [score.target for score in found.scores["mention"]] == ["cat", "dog"]
    assert "log-probabilities" in found.unsuited["soft"]


def test_a_clean_answer_that_no_score_can_use_is_an_error() -> None:
    """With the reason of each."""
    known = oracle("text", "cat", "dog")
    suiting = candidates.suiting(known, ["cat"], ["soft"])

    with pytest.raises(UsageError, match=r"(?s)no score can be bound.*soft: "):
        candidates.bound(suiting, Text("a cat"), ["cat"], known.classes)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("answer", [Vector(np.array([0.6, 0.4])), Labels((Label("tabby"),))])
def test_without_a_target_each_score_takes_the_clean_answers_own(answer: Vector | Labels) -> None:
    """None stands for the top of the clean answer."""
    known = oracle("probabilities" if isinstance(answer, Vector) else "labels", "tabby", "beagle")

    found = candidates.bound(candidates.suiting(known, []), answer, [None], known.classes)

    assert {score.target for scores in found.scores.values() for score in scores} == {"tabby", "first"}
