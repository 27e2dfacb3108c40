"""What every score promises, whatever it reads: each new file is tested without being asked.

Scores are taken from `load.names("score")`, and asked about answers of every kind that they accept.
"""

from __future__ import annotations

import dataclasses
import importlib
import math
import pickle
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bbquery import load
from bbquery.errors import UsageError
from bbquery.images.boxes import Box
from bbquery.oracle import Capabilities
from bbquery.scoring import text
from bbquery.scoring.base import nearer_is_higher, score_rows
from bbquery.types import AnswerKind, Classes, Decision, Label, Labels, NoAnswer, Text, Token, Vector
from tests.support.configurations import constructors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bbquery.scoring.base import BoundScore, Score
    from bbquery.types import Answer

pytestmark = pytest.mark.slow

NEEDED = {"compose": "compose:of=soft|label,scale=none"}  # of scores that cannot be made without an option
SPECIFICATIONS = {name: NEEDED.get(name, name) for name in load.names("score")}
KINDS: tuple[AnswerKind, ...] = get_args(AnswerKind)
CLASSES = Classes(names=(("cat", "house cat"), ("dog",), ("sofa",)))
WORDS = ("cat", "dog", "sofa", "tabby")
PHRASES = ("dog on a sofa", "a tabby cat.", "qwxyz", "No.", "cat, dog")
TARGET = "cat"


@dataclass(frozen=True)
class Letters:
    """Stands for a model that embeds: how often each of some letters occurs, at length 1."""

    identity: str = "letters"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        counts = np.array([[1.0, *(one.count(letter) for letter in "acdgost")] for one in texts])
        vectors: NDArray[np.float32] = (counts / np.linalg.norm(counts, axis=1, keepdims=True)).astype(np.float32)
        return vectors


@pytest.fixture(autouse=True)
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Embed without a model of gigabytes."""
    monkeypatch.setattr(text, "opened", lambda _backend, _model: Letters())


def capabilities(kind: AnswerKind) -> Capabilities:
    classes = CLASSES if kind in ("probabilities", "scores") else None
    return Capabilities(name="a model", answers=kind, identity={}, classes=classes, boxes=kind == "labels")


def accepts(score: Score, kind: AnswerKind) -> bool:
    """Whether a score takes such answers."""
    try:
        score.check(capabilities(kind), [TARGET])
    except UsageError:
        return False
    return True


def cases() -> list[Any]:
    """Return every score with every kind of answer that it accepts, embedders set apart."""
    found = []
    for name, specification in SPECIFICATIONS.items():
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(text, "opened", lambda _backend, _model: Letters())
            found += [(name, kind) for kind in KINDS if accepts(load.score(specification), kind)]
    return found


CASES = cases()


def bound(name: str, kind: AnswerKind) -> BoundScore:
    classes = capabilities(kind).classes
    return load.score(SPECIFICATIONS[name]).bind(CLEAN[kind], TARGET, classes)


def told(words: str, share: float = 0.8) -> Text:
    """Return a text whose first token is one word, as a model that gives log-probabilities says it."""
    first = words.partition(" ")[0]
    others = tuple((word, math.log((1 - share) / 3)) for word in WORDS[:3] if word != first)
    return Text(words, (Token(first, math.log(share), ((first, math.log(share)), *others)),))


CLEAN: dict[AnswerKind, Answer] = {
    "probabilities": Vector(np.array([0.7, 0.2, 0.1])),
    "scores": Vector(np.array([3.0, -1.0, 0.5])),
    "labels": Labels((Label("cat", 0.8, Box.of(0, 0, 0.5, 1)), Label("dog", 0.2, Box.of(0.5, 0, 1, 1)))),
    "text": told("cat"),
}
shares = st.floats(0.01, 0.99)
labels = st.lists(st.sampled_from([*WORDS, "qwxyz"]), max_size=4, unique=True)
boxes = st.sampled_from([None, Box.of(0, 0, 0.5, 1), Box.of(0.25, 0.5, 1, 1), Box.of(0.1, 0.1, 0.1, 0.9)])
ANSWERS: dict[AnswerKind, st.SearchStrategy[Answer]] = {
    "probabilities": st.tuples(shares, shares, shares).map(lambda drawn: Vector(np.array(drawn) / sum(drawn))),
    "scores": st.tuples(*[st.floats(-50, 50)] * 3).map(lambda drawn: Vector(np.array(drawn))),
    "labels": st.tuples(labels, st.tuples(*[boxes] * 4)).map(
        lambda drawn: Labels(tuple(Label(one, 0.5**i, box) for i, (one, box) in enumerate(zip(*drawn, strict=False))))
    ),
    "text": st.builds(told, st.sampled_from([*WORDS, *PHRASES]), shares),
}  # fmt: skip
EVERY = pytest.mark.parametrize("name", SPECIFICATIONS)
EACH = pytest.mark.parametrize(("name", "kind"), CASES)
DRAWN = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


def same(one: tuple[Any, Any], other: tuple[Any, Any]) -> bool:
    """Whether decisions and values are the same to the bit, NaN included."""
    return one[0].tobytes() == other[0].tobytes() and np.array_equal(one[1], other[1], equal_nan=True)


def test_there_are_scores() -> None:
    """The enumeration finds what is there, and what each reads, so that the tests below test something."""
    assert {"soft", "label", "mention", "text"} <= set(SPECIFICATIONS)
    assert {kind for _, kind in CASES} == set(KINDS)


# --- configuration ---


@EVERY
def test_a_score_is_a_documented_frozen_configuration(name: str) -> None:
    """Module and class say what they are; SCORE is a frozen dataclass, its options are given by name."""
    module = importlib.import_module(load.names("score")[name])
    kind: Any = module.SCORE

    assert (module.__doc__ or "").strip()
    assert kind.__dataclass_params__.frozen
    assert all(field.kw_only for field in dataclasses.fields(kind))
    assert kind.__doc__
    assert not kind.__doc__.startswith(f"{kind.__name__}(")  # which a dataclass writes itself


@EVERY
def test_a_score_is_shown_as_the_call_that_makes_it(name: str) -> None:
    """Evaluating its repr gives an equal score: records and the identities of runs rest on that."""
    score: Any = load.score(SPECIFICATIONS[name])

    assert eval(repr(score), dict(constructors(score))) == score
    assert hash(score) == hash(load.score(SPECIFICATIONS[name]))


# --- before anything is paid ---


@EVERY
def test_answers_that_it_cannot_read_are_refused_beforehand(name: str) -> None:
    """For each kind of answer the check either refuses it, saying what it got, or binding and scoring work."""
    score = load.score(SPECIFICATIONS[name])
    assert any(accepts(score, kind) for kind in KINDS)

    for kind in KINDS:
        if accepts(score, kind):
            decisions, values = bound(name, kind)([CLEAN[kind]])
            assert len(decisions) == len(values) == 1
            continue
        with pytest.raises(UsageError, match=rf"a model|{kind}|score"):
            score.check(capabilities(kind), [TARGET])


@EACH
def test_a_target_that_no_class_has_is_refused_beforehand(name: str, kind: AnswerKind) -> None:
    """Of a closed set of classes, a target that is none of them is found before anything is sent."""
    if capabilities(kind).classes is None:
        return
    with pytest.raises(UsageError):
        load.score(SPECIFICATIONS[name]).check(capabilities(kind), ["qwxyz"])


# --- bound ---


@EACH
def test_a_bound_score_says_what_its_numbers_mean(name: str, kind: AnswerKind) -> None:
    """Unit, direction, range, criterion and target are there, and the range is one."""
    score = bound(name, kind)
    about = score.about

    assert score.target
    assert about.unit
    assert about.criterion
    assert about.direction in ("higher", "lower")
    assert about.low < about.high
    assert math.isnan(about.no_information) or about.low <= about.no_information <= about.high
    assert nearer_is_higher(score).about.direction == "higher"


@EACH
def test_a_bound_score_is_a_value(name: str, kind: AnswerKind) -> None:
    """Bound twice it is equal; sent to another process it scores alike; its repr names no address."""
    score: Any = bound(name, kind)
    again: Any = pickle.loads(pickle.dumps(score))

    assert score == bound(name, kind)
    assert repr(score) == repr(again)
    assert not re.search(r"0x[0-9a-f]{6}", repr(score))
    assert same(score([CLEAN[kind]]), again([CLEAN[kind]]))


@EACH
def test_the_clean_answer_meets_its_own_target(name: str, kind: AnswerKind) -> None:
    """What the model says of the unperturbed photo is not a change of it."""
    decisions, values = bound(name, kind)([CLEAN[kind]])

    assert decisions[0] == Decision.MET
    assert np.isfinite(values[0])


# --- scoring ---


@EACH
@DRAWN
@given(data=st.data())
def test_every_answer_gets_a_decision_and_a_value(name: str, kind: AnswerKind, data: st.DataObject) -> None:
    """One int8 and one float64 each, within the declared range; what cannot be read is undecided, NaN, and told."""
    answers = data.draw(st.lists(ANSWERS[kind], min_size=1, max_size=8))
    score = bound(name, kind)

    decisions, values = score(answers)

    assert (decisions.shape, decisions.dtype) == ((len(answers),), np.dtype(np.int8))
    assert (values.shape, values.dtype) == ((len(answers),), np.dtype(np.float64))
    assert set(decisions.tolist()) <= {int(each) for each in Decision}
    read = ~np.isnan(values)
    assert (values[read] >= score.about.low - 1e-9).all()
    assert (values[read] <= score.about.high + 1e-9).all()
    assert (decisions[~read] == Decision.UNDECIDED).all()
    unread = score.unread(answers)
    assert all(count > 0 and what for what, count in unread.items())
    silent = [answer == Labels(()) for answer in answers]  # there is nothing in it that could be read
    assert sum(unread.values()) >= np.count_nonzero(~read & ~np.array(silent))
    assert all(line for answer in answers for line in score.steps(answer))


@EACH
@DRAWN
@given(data=st.data())
def test_an_answer_scores_alike_in_any_company(name: str, kind: AnswerKind, data: st.DataObject) -> None:
    """Alone, in another order or twice, an answer gets the same decision and value: batches decide nothing."""
    answers = data.draw(st.lists(ANSWERS[kind], min_size=1, max_size=8))
    order = data.draw(st.permutations(range(len(answers))))
    score = bound(name, kind)

    decisions, values = score(answers)
    turned = score([answers[place] for place in order])
    alone = [score([answer]) for answer in answers]

    assert same((decisions[list(order)], values[list(order)]), turned)
    assert same((decisions, values), score(answers))
    assert same((decisions, values), (np.concatenate([one[0] for one in alone]), np.concatenate([v for _, v in alone])))


@EACH
def test_a_row_without_an_answer_is_undecided(name: str, kind: AnswerKind) -> None:
    """Refused or never answered, a row is NaN, decided neither way and counts no answer; others are as they were."""
    score, clean = bound(name, kind), CLEAN[kind]

    found = score_rows(score, [[NoAnswer("no")], [clean], [None], [], [clean, NoAnswer("no")]])

    met, neither = Decision.MET, Decision.UNDECIDED
    assert found.decision.tolist() == [neither, met, neither, neither, met]
    assert np.isnan(found.value).tolist() == [True, False, True, True, False]
    assert found.answers.tolist() == [0, 1, 0, 0, 1]
