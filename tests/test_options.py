"""Options read as annotations say, and objects made from them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbquery import load
from bbquery.errors import BadImage, UnknownName, UsageError
from bbquery.estimators import GradientEstimator  # noqa: TC001 - load reads annotations
from bbquery.estimators.lr import LikelihoodRatio
from bbquery.estimators.spsa import SimultaneousPerturbation
from bbquery.images.png import png
from bbquery.saliency.integrated import IntegratedGradients, Picture
from bbquery.saliency.smoothgrad import SmoothGrad
from bbquery.saliency.vanilla import GradientMap
from bbquery.saliency.vargrad import VarGrad
from bbquery.scoring.compose import Compose
from bbquery.scoring.mention import Mention
from bbquery.scoring.soft import Soft
from bbquery.specification import constructor, with_option
from oracles.emulators.http import Faults

if TYPE_CHECKING:
    from decimal import Decimal

HERE = "tests.test_options"
values = (
    st.text(st.characters(exclude_characters=",\\"), max_size=12)
    | st.text("ab,\\=: ", max_size=6)
    | st.just("http://127.0.0.1:8000/a?b=c")
)


@dataclass(frozen=True, kw_only=True)
class Own:
    """A method of one's own, with an option of every readable type."""

    whole: int = 1
    real: float = 1.0
    flag: bool = False
    word: str = "a"
    choice: Literal["a", "b"] = "a"
    number: Literal[1, 2] = 1
    maybe: float | None = 1.0
    other: Decimal | None = None
    nested: Faults | None = None


@given(word=values, whole=st.integers())
def test_a_method_made_from_a_specification_is_shown_as_the_call_that_makes_it(word: str, whole: int) -> None:
    """What goes in as options, commas included, comes out of the constructor call that a record shows."""
    written = with_option(with_option(f"{HERE}:Own", "word", word), "whole", whole)

    made: object = load.method(written)

    assert made == Own(word=word, whole=whole)
    assert eval(constructor(made)) == made


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("", Own()),
        ("whole=1000", Own(whole=1000)),
        ("real=1e-3", Own(real=0.001)),
        ("real=2", Own(real=2.0)),
        ("flag=true", Own(flag=True)),
        ("flag=False", Own(flag=False)),
        ("word=1.5", Own(word="1.5")),
        ("word=", Own(word="")),
        ("choice=b", Own(choice="b")),
        ("number=2", Own(number=2)),
        ("maybe=0.5", Own(maybe=0.5)),
        ("maybe=None", Own(maybe=None)),
        ("maybe=none,whole=3", Own(maybe=None, whole=3)),
        ("nested=none", Own(nested=None)),
    ],
)
def test_an_option_is_read_as_its_annotation_says(text: str, made: Own) -> None:
    """Numbers, truth values, choices, words and None are told apart by the type, not by how they look."""
    found = load.configured(Own, text, "own")

    assert found == made
    assert [type(value) for value in vars(found).values()] == [type(value) for value in vars(made).values()]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("whole=1e3", "the option whole=1e3 must be a whole number"),
        ("whole=none", "the option whole=none must be a whole number"),
        ("real=much", "the option real=much must be a number"),
        ("maybe=much", "the option maybe=much must be a number"),
        ("flag=1", "unknown value of flag '1'; known: true, false"),
        ("choice=c", "unknown value of choice 'c'; known: a, b"),
        ("number=3", "unknown value of number '3'; known: 1, 2"),
        ("colour=red", "unknown option of 'own' 'colour'; known: whole, real, flag, word"),
        ("whole", "cannot read the option 'whole' of 'own whole'"),
        ("other=1", "the option other takes an object: it can be given from Python only"),
        ("nested=1", "the option nested takes an object: it can be given from Python only"),
    ],
)
def test_a_bad_option_is_named_with_what_would_do(text: str, said: str) -> None:
    """The option, what was given, and what is known or needed stand in one line."""
    with pytest.raises(UsageError) as caught:
        load.configured(Own, text, "own")

    assert said in str(caught.value)


def test_faults_for_an_emulator_are_read_like_any_options() -> None:
    """Options without a name before them are read in the same way; none at all are the defaults."""
    assert load.configured(Faults, "latency=0.5,seed=3", "--faults") == Faults(latency=0.5, seed=3)
    assert load.configured(Faults, "", "--faults") == Faults()


@pytest.mark.parametrize(
    ("specification", "made"),
    [
        ("vanilla", GradientMap()),
        ("vanilla:estimator=spsa", GradientMap(estimator=SimultaneousPerturbation())),
        ("vanilla:estimator=lr,estimator.sigma=8", GradientMap(estimator=LikelihoodRatio(sigma=8.0))),
        ("vanilla:estimator.sigma=8", GradientMap(estimator=LikelihoodRatio(sigma=8.0))),
        ("vanilla:queries=9,estimator=spsa", GradientMap(estimator=SimultaneousPerturbation(queries=9))),
        ("vanilla:estimator=spsa,estimator.queries=9", GradientMap(estimator=SimultaneousPerturbation(queries=9))),
        ("smoothgrad", SmoothGrad()),
        (
            "smoothgrad:estimator=lr,estimator.sigma=8,points=20",
            SmoothGrad(estimator=LikelihoodRatio(sigma=8.0), points=20),
        ),
        ("vargrad:estimator.sigma=8,queries=70", VarGrad(estimator=LikelihoodRatio(sigma=8.0), queries=70)),
        (
            "integrated:estimator=spsa,steps=5,baseline=blur",
            IntegratedGradients(estimator=SimultaneousPerturbation(), steps=5, baseline="blur"),
        ),
        (
            "integrated:estimator=bbquery.estimators.spsa:SimultaneousPerturbation,estimator.sigma=2",
            IntegratedGradients(estimator=SimultaneousPerturbation(sigma=2.0)),
        ),
        ("bbquery.saliency.smoothgrad:SmoothGrad:estimator.sigma=2", SmoothGrad(estimator=LikelihoodRatio(sigma=2.0))),
    ],
)
def test_an_estimator_is_an_option_with_options_of_its_own(specification: str, made: object) -> None:
    """Its name is the option's value, what comes after a dot is its own; without a name, that of the default."""
    assert load.method(specification) == made


@pytest.mark.parametrize("name", load.names("estimator"))
def test_an_estimators_name_stands_for_its_vanilla_gradient(name: str) -> None:
    """There is one rule: NAME:key=value is vanilla:estimator=NAME,estimator.key=value."""
    short = load.method(f"{name}:sigma=3,queries=12")

    assert short == load.method(f"vanilla:estimator={name},estimator.sigma=3,estimator.queries=12")
    assert isinstance(short, GradientMap)
    assert short.queries == 12


@pytest.mark.parametrize(
    ("specification", "made"),
    [
        ("vanilla", GradientMap(estimator=LikelihoodRatio(queries=50))),
        ("vanilla:estimator=spsa", GradientMap(estimator=SimultaneousPerturbation(queries=50))),
        ("vanilla:queries=20", GradientMap(estimator=LikelihoodRatio(queries=20))),
        ("vanilla:estimator.queries=20", GradientMap(estimator=LikelihoodRatio(queries=20))),
        ("lr:queries=20", GradientMap(estimator=LikelihoodRatio(queries=20))),
        ("smoothgrad:estimator=spsa", SmoothGrad(queries=50, estimator=SimultaneousPerturbation())),
        ("smoothgrad:queries=20", SmoothGrad(queries=20)),
    ],
)
def test_queries_are_the_outermost_methods(specification: str, made: object) -> None:
    """A method that splits its queries has them itself; one that passes them on gives them to its estimator."""
    assert load.method(specification, queries=50) == made


@dataclass(frozen=True, kw_only=True)
class Choosy:
    """A method of one's own with an estimator and without a default for it."""

    estimator: GradientEstimator


@pytest.mark.parametrize(
    ("specification", "said"),
    [
        ("smoothgrad:estimator=lrr", "unknown estimator 'lrr'; known: "),
        ("smoothgrad:estimator=rise", "unknown estimator 'rise'; known: "),
        ("smoothgrad:estimator=lr,estimator.sgima=1", "unknown option of 'lr' 'sgima'; known: queries, sigma"),
        ("smoothgrad:estimator.sgima=1", "unknown option of 'estimator' 'sgima'; known: queries, sigma"),
        ("smoothgrad:estimator=lr,estimator.sigma=x", "the option sigma=x must be a number"),
        ("smoothgrad:estimatr.sigma=1", "unknown option of 'smoothgrad' 'estimatr'; known: queries, estimator, sigma"),
        ("smoothgrad:points.most=1", "the option points has no options of its own, such as points.most"),
        ("smoothgrad:estimator.queries=9", "estimator.queries follows from the method's own: give queries=9 instead"),
        ("rise:estimator=lr", "unknown option of 'rise' 'estimator'"),
        ("lr:sgima=1", "unknown option of 'lr' 'sgima'; known: queries, sigma"),
        (f"{HERE}:Choosy", "needs the option estimator"),
        (f"{HERE}:Choosy:estimator.sigma=1", r"which estimator are the options estimator.sigma .* Give estimator=NAME"),
    ],
)
def test_a_bad_option_of_an_estimator_is_named(specification: str, said: str) -> None:
    """The known estimators, or the options of the one that was chosen, are listed."""
    with pytest.raises(UsageError, match=said):
        load.method(specification)


def test_a_method_of_ones_own_may_take_an_estimator() -> None:
    """The annotation decides, not who wrote the method; its queries are the estimator's if it has none."""
    made: object = load.method(f"{HERE}:Choosy:estimator=spsa", queries=8)

    assert made == Choosy(estimator=SimultaneousPerturbation(queries=8))


@dataclass(frozen=True, kw_only=True)
class Worded:
    """A method of one's own with an option of that name that takes no estimator."""

    estimator: str = "mean"


@dataclass(frozen=True, kw_only=True)
class Typed:
    """A method of one's own whose option of that name is annotated for type checkers only."""

    estimator: Decimal | None = None


def test_an_option_that_is_called_so_is_not_always_an_estimator() -> None:
    """Without the annotation it is an option like any other, and is given no queries."""
    worded: object = load.method(f"{HERE}:Worded:estimator=median", queries=8)
    typed: object = load.method(f"{HERE}:Typed", queries=8)

    assert (worded, typed) == (Worded(estimator="median"), Typed())


# --- pictures ---


def test_a_baseline_may_be_a_picture_from_a_file(tmp_path: Path) -> None:
    """`image:PATH` is read as photos are, and shown by a digest, not by its path or pixels."""
    pixels = np.random.default_rng(1).integers(0, 256, (9, 12, 3)).astype(np.uint8)
    path = tmp_path / "own.png"
    path.write_bytes(png(pixels))

    made = load.method(f"integrated:baseline=image:{path}")

    assert made == IntegratedGradients(baseline=Picture(pixels))
    assert f"baseline=Picture({Picture(pixels).digest})" in constructor(made)


def test_what_is_no_picture_cannot_be_a_baseline(tmp_path: Path) -> None:
    """A file that is not there, or not an image, is refused with its path."""
    (tmp_path / "text.png").write_text("no pixels")

    for name in ("text.png", "none.png"):
        with pytest.raises(BadImage, match=f"cannot use image .*{name}"):
            load.method(f"integrated:baseline=image:{tmp_path / name}")


def test_an_unknown_baseline_lists_fillings_and_says_how_to_give_a_picture() -> None:
    """Names and the form for a file stand in one line."""
    with pytest.raises(UnknownName, match=r"unknown value of baseline 'gray'; known: black, grey, .*, image:PATH"):
        load.method("integrated:baseline=gray")


def test_several_values_are_separated_by_bars() -> None:
    """A score of scores has them, and their weights, in its specification; commas in their options are escaped."""
    made = load.score("compose:of=soft:form=margin|mention,weights=.7|.3,low=0,stretch=false")
    nested = load.score(r"compose:of=soft:form=margin\,softmax=true|soft")

    assert made == Compose(of=(Soft(form="margin"), Mention()), weights=(0.7, 0.3), low=0.0)
    assert nested == Compose(of=(Soft(form="margin", softmax=True), Soft()))


@pytest.mark.parametrize(
    ("specification", "said"),
    [
        ("compose", "needs the option of"),
        ("compose:of=sift", "unknown score 'sift'"),
        ("compose:of=soft|", "names nothing"),
        ("compose:of=soft,weights=.7|x", "weights=x must be a number"),
        ("soft:form=odds", "unknown value of form 'odds'; known: probability, log_odds, cross_entropy, margin"),
    ],
)
def test_a_score_of_scores_says_which_part_is_wrong(specification: str, said: str) -> None:
    """A part that is not known, empty or no number is named."""
    with pytest.raises(UsageError, match=said):
        load.score(specification)
