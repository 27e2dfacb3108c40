"""From a name on the command line to an object, importing only what is chosen."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

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
from bbquery.saliency.rise import Rise
from bbquery.saliency.smoothgrad import SmoothGrad
from bbquery.saliency.vanilla import GradientMap
from bbquery.saliency.vargrad import VarGrad
from bbquery.scoring.compose import Compose
from bbquery.scoring.mention import Mention
from bbquery.scoring.soft import Soft
from bbquery.specification import constructor, parse, with_option
from oracles.emulators.http import Faults
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

HERE = "tests.test_load"


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


@dataclass(frozen=True)
class Needy:
    """A score that cannot be made without being told."""

    model: str
    threshold: float


def untyped(a: Any, b=2, *rest: Any, **options: Any) -> tuple[Any, ...]:  # type: ignore[no-untyped-def] # as people do
    """A method of one's own in plain Python."""
    return a, b, rest, options


CONSTANT = 3


# --- what can be chosen ---


def run_python(code: str) -> str:
    """Run code in a fresh interpreter and return what it prints."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize(
    ("kind", "some"),
    [
        ("oracle", {"efficientnet", "function", "http"}),
        ("method", {"integrated", "lr", "rise", "smoothgrad", "vanilla", "vargrad"}),
        ("estimator", {"lr", "spsa"}),
        ("score", {"soft"}),
        ("attack", {"lr_mifgsm", "lr_mifgsm_paper"}),
        ("metric", {"aopc", "infidelity", "r_sal", "srg"}),
        ("emulator", {"google_vision", "http", "openai"}),
    ],
)
def test_names_are_the_modules_that_can_be_chosen(kind: str, some: set[str]) -> None:
    """Every public module is listed once, sorted; what modules share among themselves is not."""
    found = load.names(kind)

    assert set(found) >= some
    assert list(found) == sorted(found)
    assert not any(name.startswith("_") or name in ("base", "emulators") for name in found)
    assert all(module.rpartition(".")[2] == name for name, module in found.items())


@pytest.mark.parametrize("kind", load.PACKAGES)
def test_listing_imports_no_module_and_no_vendors_library(kind: str) -> None:
    """To show what can be chosen, with its summary, nothing that could be chosen is imported."""
    printed = run_python(
        "import sys; from bbquery import load; before = set(sys.modules); "
        f"found = load.names({kind!r}); [load.summary({kind!r}, name) for name in found]; "
        "print(sorted(set(sys.modules) - before)); print(sorted(found.values()))"
    )

    imported, modules = (set(ast.literal_eval(line)) for line in printed.splitlines())
    assert imported <= {package for packages in load.PACKAGES.values() for package in packages}
    assert imported.isdisjoint(modules)


def test_a_summary_is_the_first_line_of_the_docstring() -> None:
    """What a person reads in a list is what the module says of itself."""
    import bbquery.saliency.rise

    assert (bbquery.saliency.rise.__doc__ or "").startswith(load.summary("method", "rise") + "\n")


# --- parse ---

words = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
specified = words | st.builds("{}.{}:{}".format, words, words, words)
values = (
    st.text(st.characters(exclude_characters=",\\"), max_size=12)
    | st.text("ab,\\=: ", max_size=6)
    | st.just("http://127.0.0.1:8000/a?b=c")
)


@given(name=specified, options=st.dictionaries(words, values, max_size=4))
def test_what_is_written_is_what_is_read(name: str, options: dict[str, str]) -> None:
    """Any name with any options comes back, whatever the values hold: commas, colons, equals signs, backslashes."""
    written = name
    for key, value in options.items():
        written = with_option(written, key, value)

    assert parse(written) == (name, options)


without_commas = st.text(st.characters(exclude_characters=","), max_size=9)


@given(name=words, options=st.dictionaries(words, without_commas, max_size=4))
def test_values_without_a_comma_need_nothing(name: str, options: dict[str, str]) -> None:
    """Only a backslash right before the next option's comma is not itself: all else is taken as it stands."""
    options = {key: value.rstrip("\\") for key, value in options.items()}
    written = name + (":" if options else "") + ",".join(f"{key}={value}" for key, value in options.items())

    assert parse(written) == (name, options)


@given(word=values, whole=st.integers())
def test_a_method_made_from_a_specification_is_shown_as_the_call_that_makes_it(word: str, whole: int) -> None:
    """What goes in as options, commas included, comes out of the constructor call that a record shows."""
    written = with_option(with_option(f"{HERE}:Own", "word", word), "whole", whole)

    made: object = load.method(written)

    assert made == Own(word=word, whole=whole)
    assert eval(constructor(made)) == made


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        (r"prompt=A cat\, or a dog?", "A cat, or a dog?"),
        (r"prompt=a\,b\,c", "a,b,c"),
        (r"prompt=\,", ","),
        (r"prompt=a\\,other=1", "a\\"),
        (r"prompt=a\\\,b", r"a\,b"),
        (r"prompt=a\nb", r"a\nb"),
        (r"prompt=a\\b,other=1", r"a\\b"),
        (r"prompt=C:\x\\", r"C:\x\\"),
        (r'prompt="a, b=c"', '"a'),
    ],
)
def test_a_comma_after_a_backslash_belongs_to_the_value(text: str, prompt: str) -> None:
    """An odd number of backslashes makes a comma part of the value; elsewhere a backslash is a character like any."""
    assert parse(f"openai:{text}")[1]["prompt"] == prompt


def test_a_comma_that_cuts_a_value_short_says_how_to_write_it() -> None:
    """Who forgets the backslash is told of it."""
    with pytest.raises(UsageError, match=r"cannot read the option ' or a dog\?'.*write a comma within a value as \\,"):
        parse("openai:prompt=A cat, or a dog?")


@pytest.mark.parametrize(
    ("specification", "name", "options"),
    [
        ("rise", "rise", {}),
        ("rise:p=0.5", "rise", {"p": "0.5"}),
        ("rise:p=0.5,cells=7", "rise", {"p": "0.5", "cells": "7"}),
        ("http:url=http://127.0.0.1:8000", "http", {"url": "http://127.0.0.1:8000"}),
        ("http:url=http://127.0.0.1:8000,timeout=5", "http", {"url": "http://127.0.0.1:8000", "timeout": "5"}),
        ("http:key_env=K,url=http://[::1]:8000/a=b", "http", {"key_env": "K", "url": "http://[::1]:8000/a=b"}),
        ("function:call=pkg.mod.f,classes=a|b c", "function", {"call": "pkg.mod.f", "classes": "a|b c"}),
        ("pkg.mod:attr", "pkg.mod:attr", {}),
        ("pkg.mod:attr:key=value", "pkg.mod:attr", {"key": "value"}),
        ("pkg.mod:attr:url=http://h:1", "pkg.mod:attr", {"url": "http://h:1"}),
        ("rise:fill=", "rise", {"fill": ""}),
    ],
)
def test_every_form_of_specification_is_read(specification: str, name: str, options: dict[str, str]) -> None:
    """A colon after which no `=` comes belongs to the name; all others to the options."""
    assert parse(specification) == (name, options)


@pytest.mark.parametrize(
    ("specification", "said"),
    [
        ("", "names nothing"),
        (":p=1", "names nothing"),
        (":attr", "names nothing"),
        ("rise:", "names nothing"),
        ("pkg.mod::p=1", "names nothing"),
        (".mod:attr", "names nothing"),
        ("rise:p=1,", "cannot read the option ''"),
        ("rise:p=1,cells", "cannot read the option 'cells'"),
        ("rise:p=1,=2", "cannot read the option '=2'"),
        ("rise:p=1,p=2", "cannot read the option 'p=2'"),
    ],
)
def test_what_cannot_be_read_says_how_to_write_it(specification: str, said: str) -> None:
    """The faulty part is quoted, with the form it should have."""
    with pytest.raises(UsageError, match="key=value") as caught:
        parse(specification)

    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("specification", "with_seed"),
    [("rise", "rise:p=3"), ("rise:q=1", "rise:q=1,p=3"), ("rise:p=1", "rise:p=1"), ("a.b:c", "a.b:c:p=3")],
)
def test_an_option_is_added_unless_it_is_there(specification: str, with_seed: str) -> None:
    """What a person has said is not overwritten."""
    assert with_option(specification, "p", 3) == with_seed


# --- options ---


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


# --- methods, scores, oracles ---


@pytest.mark.parametrize(
    ("specification", "made"),
    [
        ("rise", Rise()),
        ("rise:form=published,p=0.25", Rise(form="published", p=0.25)),
        ("lr", GradientMap(estimator=LikelihoodRatio())),
        ("lr:sigma=8,queries=20", GradientMap(estimator=LikelihoodRatio(sigma=8.0, queries=20))),
        (f"{HERE}:Own:whole=4", Own(whole=4)),
        ("bbquery.saliency.rise:Rise:p=0.25", Rise(p=0.25)),
    ],
)
def test_a_method_is_made_from_its_specification(specification: str, made: object) -> None:
    """A module's name, an estimator's name, or code of one's own, each with options."""
    assert load.method(specification) == made


@pytest.mark.parametrize(
    ("specification", "made"),
    [
        ("rise", Rise(queries=50)),
        ("lr:sigma=8", GradientMap(estimator=LikelihoodRatio(queries=50, sigma=8.0))),
        ("rise:queries=20", Rise(queries=20)),
        (f"{HERE}:Own", Own()),
    ],
)
def test_a_method_asks_as_many_queries_as_it_is_allowed(specification: str, made: object) -> None:
    """The run's queries are the method's unless its own options say otherwise, or it has no such option."""
    assert load.method(specification, queries=50) == made


# --- estimators within methods ---


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


def test_a_score_is_made_from_its_specification() -> None:
    """A score is chosen like a method, also one's own."""
    assert load.score("soft") == Soft()
    made: object = load.score(f"{HERE}:Needy:model=m,threshold=0.5")
    assert made == Needy("m", 0.5)


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


async def test_an_oracle_is_connected_whether_or_not_connecting_waits() -> None:
    """A synchronous `connect` and one that must be awaited are called alike."""
    oracle = await load.oracle("function:call=tests.support.models.sides,classes=left|right,version=1")
    await oracle.aclose()

    assert (oracle.capabilities.name, len(oracle.capabilities.classes or ())) == ("sides", 2)
    assert await load.oracle(f"{HERE}:slow_connect:a=1") == "connected to 1"  # type: ignore[comparison-overlap]


async def slow_connect(a: int) -> str:
    """Connect after a while."""
    return f"connected to {a}"


@pytest.mark.parametrize(
    ("specification", "said"),
    [
        ("ries", "unknown method 'ries'; known: "),
        ("rise:cell=3", "unknown option of 'rise' 'cell'; known: queries, form, cells"),
        ("lr:sigma=-1", "sigma must be a finite number above 0"),
        ("no_such_module:Attr", "cannot import 'Attr' from 'no_such_module': neither the current folder"),
        (f"{HERE}:NoSuch", f"cannot import 'NoSuch' from '{HERE}'"),
        (f"{HERE}:CONSTANT", "3 cannot be made from options: 3 is not a callable object"),
        (f"{HERE}:Needy:model=m", "needs the option threshold"),
        (f"{HERE}:untyped", "needs the option a"),
        (f"{HERE}:untyped:a=1,rest=2", "unknown option of 'tests.test_load' 'rest'; known: a, b"),
        (f"{HERE}:untyped:a=1,options=2", "known: a, b"),
    ],
)
def test_what_cannot_be_made_is_a_usage_error(specification: str, said: str) -> None:
    """Unknown names and options list the known ones; a broken import or a missing option says which."""
    with pytest.raises(UsageError) as caught:
        load.method(specification)

    assert said in str(caught.value)


def test_code_of_ones_own_needs_no_annotations() -> None:
    """Where a parameter has no type, its text is passed on."""
    assert load.method(f"{HERE}:untyped:a=1,b=2.5") == ("1", "2.5", (), {})  # type: ignore[comparison-overlap]


@pytest.mark.parametrize(("kind", "make"), [("score", load.score), ("method", load.method)])
def test_an_unknown_name_lists_the_known_ones(kind: str, make: Callable[[str], object]) -> None:
    """Whatever is chosen, a wrong name shows what there is."""
    with pytest.raises(UnknownName) as caught:
        make("no_such")

    assert (caught.value.name, caught.value.known) == ("no_such", tuple(load.names(kind)))


async def test_an_unknown_oracle_lists_the_known_ones() -> None:
    """A wrong name is found before anything is connected."""
    with pytest.raises(UnknownName, match="unknown oracle 'no_such'; known: efficientnet, function"):
        await load.oracle("no_such")


def test_an_emulator_is_found_by_its_protocol() -> None:
    """The emulator of a protocol is a module with a way to serve and its faults."""
    emulator, options = load.emulator("http")

    assert callable(emulator.serve)
    assert emulator.Faults is Faults
    assert options == {}


def test_the_options_of_an_emulator_are_those_of_its_server() -> None:
    """Options are read as `serve` of the protocol annotates them."""
    _, options = load.emulator("http:usd_per_image=0.002,largest_body=1000")

    assert options == {"usd_per_image": "0.002", "largest_body": 1000}


@pytest.mark.parametrize(
    ("specification", "said"),
    [
        ("htp", "unknown protocol 'htp'; known: google_vision, http, openai"),
        ("http:usd=1", "unknown option of 'http' 'usd'; known: usd_per_image, largest_body"),
        ("http:port=1", "known: usd_per_image, largest_body"),
        ("http:oracle=x", "known: usd_per_image, largest_body"),
        ("http:largest_body=much", "the option largest_body=much must be a whole number"),
    ],
)
def test_an_emulator_that_cannot_be_had_is_a_usage_error(specification: str, said: str) -> None:
    """Protocols and options that are known are listed, without what the command has options of its own for."""
    with pytest.raises(UsageError) as caught:
        load.emulator(specification)

    assert said in str(caught.value)


def test_an_algorithm_is_shown_as_its_constructor_call() -> None:
    """A dataclass shows its options, anything else its type."""
    assert constructor(Needy("m", 0.5)) == "Needy(model='m', threshold=0.5)"
    assert constructor(object()) == "object"
