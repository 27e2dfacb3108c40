"""Every score that compares names takes accents as equal, however the two sides compose them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bbquery import load
from bbquery.types import Classes, Decision, Label, Labels, Text

if TYPE_CHECKING:
    from bbquery.types import Answer

COMPOSED, APART = "caf\u00e9", "cafe\u0301"
PLACES = {name: Classes(((name,), ("bar",))) for name in (COMPOSED, APART)}


@pytest.mark.parametrize("said", [COMPOSED, APART])
@pytest.mark.parametrize("target", [COMPOSED, APART])
@pytest.mark.parametrize("score", ["soft", "label", "mention", "prompts:then=match"])
@pytest.mark.parametrize("closed", [None, COMPOSED, APART])
def test_composed_and_decomposed_accents_are_one_name(score: str, target: str, said: str, closed: str | None) -> None:
    """A file, a keyboard and a server may each write "café" in its own way: it is named all the same."""
    answers: list[Answer] = [Text(f"A {said} on a corner.")]
    if score in ("soft", "label"):
        answers = [Labels((Label(said, 0.9), Label("bar", 0.1)))]
    classes = None if closed is None else PLACES[closed]

    (decision,), (value,) = load.score(score).bind(answers[0], target, classes)(answers)

    assert decision == Decision.MET
    assert value > 0.5
