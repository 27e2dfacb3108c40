"""Which score is taken where a person names one, brings one, or says nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bbquery.errors import UnknownName
from bbquery.load import score_for
from bbquery.oracle import Capabilities
from bbquery.scoring.label import SameLabel
from bbquery.scoring.mention import Mention
from bbquery.scoring.soft import Soft

if TYPE_CHECKING:
    from bbquery.scoring.base import Score
    from bbquery.types import AnswerKind


def capabilities(answers: AnswerKind) -> Capabilities:
    return Capabilities(name="x", answers=answers, identity={})


@pytest.mark.parametrize(
    ("answers", "usual"), [("probabilities", Soft()), ("scores", Soft()), ("labels", Soft()), ("text", Mention())]
)
def test_the_usual_score_follows_from_the_kind_of_answer(answers: AnswerKind, usual: Score) -> None:
    """Texts are searched for the target; of all else the target's own number is taken."""
    assert score_for(capabilities(answers)) == usual


def test_what_is_wanted_is_taken() -> None:
    """A specification is made, and an object is taken as it is."""
    own = SameLabel()

    assert score_for(capabilities("text"), "soft:form=margin") == Soft(form="margin")
    assert score_for(capabilities("text"), own) is own


def test_an_unknown_score_is_refused() -> None:
    """A name mistyped is not the usual score."""
    with pytest.raises(UnknownName, match="sfot"):
        score_for(capabilities("text"), "sfot")
