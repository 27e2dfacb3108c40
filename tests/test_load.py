"""From a name on the command line to an object, importing only what is chosen."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from bbquery import load
from bbquery.errors import UnknownName, UsageError
from bbquery.estimators.lr import LikelihoodRatio
from bbquery.saliency.rise import Rise
from bbquery.saliency.vanilla import GradientMap
from bbquery.scoring.soft import Soft
from bbquery.specification import constructor
from oracles.emulators.http import Faults
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = "tests.test_load"


@dataclass(frozen=True, kw_only=True)
class Own:
    """A method of one's own."""

    whole: int = 1


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


def test_a_score_is_made_from_its_specification() -> None:
    """A score is chosen like a method, also one's own."""
    assert load.score("soft") == Soft()
    made: object = load.score(f"{HERE}:Needy:model=m,threshold=0.5")
    assert made == Needy("m", 0.5)


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
        ("htp", "did you mean 'http'?"),
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


async def test_an_option_that_takes_a_function_or_its_path_is_given_the_path() -> None:
    """`function:call=` takes a dotted path, as it always did: only an option that takes nothing else wants a colon."""
    oracle = await load.oracle("function:call=tests.support.models.sides,version=1")

    assert oracle.capabilities.identity["function"] == "tests.support.models.sides"
    await oracle.aclose()


@pytest.mark.parametrize(
    ("specification", "said"),
    [
        ("opnai", "did you mean 'openai'"),
        ("openai:modle=gpt-4o-mini", "did you mean 'model'"),
        ("onnx", "needs the option model"),
        ("http:url=http://127.0.0.1,concurrency=many", "must be a whole number"),
    ],
)
def test_an_oracle_is_checked_without_a_connection(specification: str, said: str) -> None:
    """Names, options and values are read as a connection would read them, and nothing is connected."""
    with pytest.raises(UsageError, match=said):
        load.check_oracle(specification)


@pytest.mark.parametrize("specification", ["efficientnet", "openai:model=gpt-4o-mini", "model.onnx", f"{HERE}:Own"])
def test_an_oracle_that_could_be_connected_passes(specification: str) -> None:
    """No key, file or server is looked for."""
    load.check_oracle(specification)
