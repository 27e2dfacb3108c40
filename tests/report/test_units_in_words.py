"""Units in a layman's words: every method and every score of ours has them."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest

from bbquery import load
from bbquery.plan import replay
from bbquery.report import sentence
from bbquery.scoring import text as text_score
from bbquery.scoring._forms import Form
from bbquery.types import UINT8, Classes, Label, Labels, Scores, Text, Token, Vector
from tests.support.explanations import map_of

pytestmark = pytest.mark.slow

QUERIES = 12
SAID = Text("cat", (Token("cat", -0.1, (("cat", -0.1), ("dog", -3.0))),))


class Letters:
    """Stands for a model that embeds."""

    identity = "letters"

    def embed(self, texts: Any) -> Any:
        return np.eye(1).repeat(len(texts), axis=0).astype(np.float32)


def rising(ask: Any) -> Scores:
    """Scores of rows that nobody looks at."""
    return Scores(np.ones(len(ask.images), np.int8), np.linspace(0, 1, len(ask.images)))


@pytest.mark.parametrize("name", load.names("method"))
def test_every_method_has_its_unit_in_plain_words(name: str) -> None:
    """A map of any method of ours says in a layman's words what a value is."""
    x = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)

    found = replay(load.method(name, queries=QUERIES).plan(x, UINT8, 0), rising)

    assert found.unit in sentence.EFFECTS


@pytest.mark.parametrize("detail", [True, False])
def test_what_the_photo_adds_is_not_passed_off_as_the_models(detail: bool) -> None:
    """A map says that its fine structure is the photo's own where it is, and nowhere else; so does its exact unit."""
    x = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    found = replay(load.method(f"designed:detail={detail}", queries=QUERIES).plan(x, UINT8, 0), rising)

    said = sentence.plain_unit(map_of(found.values, unit=found.unit))

    assert (sentence.OWN in said) == (sentence.OWN in found.unit) == detail


@pytest.mark.parametrize("options", ["", "cells=4,", "detail=false,"])
@pytest.mark.parametrize("shape", ["smooth", "superpixels"])
def test_borders_of_regions_are_not_passed_off_as_the_models(shape: str, options: str) -> None:
    """A map of superpixels says that its borders are the photo's own; one of a grid has no such borders."""
    x = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    method = load.method(f"designed:{options}shape={shape}", queries=QUERIES)
    found = replay(method.plan(x, UINT8, 0), rising)

    said = sentence.plain_unit(map_of(found.values, unit=found.unit))

    assert (sentence.BORDERS in said) == (sentence.BORDERS in found.unit) == (shape == "superpixels")


@pytest.mark.parametrize(
    ("score", "clean"),
    [
        *[(f"soft:form={form}", Vector(np.array([0.6, 0.4]))) for form in get_args(Form)],
        ("soft", Labels((Label("cat", 0.9),))),
        ("soft", SAID),
        ("label", Labels((Label("cat"),))),
        ("mention", Text("a cat")),
        *[(f"hard:form={form}", Labels((Label("cat", 0.9),))) for form in ("similarity", "distance", "list")],
        *[(f"prompts{way}", SAID) for way in ("", ":read=probability", ":read=yes-no", ":then=match")],
        ("text", Text("cat")),
        ("text:away=dog", Text("cat")),
        ("compose:of=soft|label,scale=none", Vector(np.array([0.6, 0.4]))),
    ],
    ids=str,
)
def test_every_score_has_its_unit_in_plain_words(score: str, clean: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value of any score of ours is said in a layman's words, without the word for its unit in brackets."""
    monkeypatch.setattr(text_score, "opened", lambda _backend, _model: Letters())
    classes = Classes((("cat",), ("dog",))) if isinstance(clean, Vector) or "probability" in score else None

    about = load.score(score).bind(clean, "cat", classes).about

    assert "(" not in sentence.quantity(about).noun
