"""The five verbs from Python: the words, the runs and the results of the command line, waited for or awaited."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import contextvars
import inspect
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image as Pillow

import bbquery
from bbquery import cli
from bbquery.errors import UsageError
from bbquery.jobs.synchronous import synchronous_iterator
from oracles import function
from tests.support import models

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from bbquery.ledger.ledger import Ledger
    from bbquery.oracle import Oracle
    from bbquery.types import Image

PHOTOS = [np.random.default_rng(n).integers(100, 200, (16, 20, 3), dtype=np.uint8) for n in range(3)]
SIDES = "function:call=tests.support.models.sides,classes=left|right,version=1"
VERBS = ("attack", "attack_many", "compare", "evaluate", "explain", "explain_many", "probe")
ALIKE: dict[str, dict[str, Any]] = {
    "explain": {"method": "rise:cells=3", "target": "left", "max_queries": 20, "seed": 3, "spare": 2},
    "compare": {"methods": "rise:cells=3,occlusion:queries=12", "score": "soft:form=margin", "max_queries": 16},
    "evaluate": {"target": "left", "metrics": "aopc,infidelity", "steps": 2, "copies": 4, "fill": 0.0, "seed": 2},
    "probe": {"target": "right", "score": "soft", "max_queries": 30},
    "attack": {"attack": "lr_mifgsm:cells=4", "score": "label", "max_queries": 300, "seed": 1},
}
"""Options in the same words: the command line has --target where Python has target=."""
RECORDS = {verb: f"{verb}.json" for verb in ALIKE} | {"explain": "run.json", "evaluate": "evaluation.json"}
WHERE_TO = {"log", "dry_run", "yes", "out", "force"}
"""What a command does beside the run: a log, an estimate, consent, and files. Python has the result instead."""
OF_EXPLAIN = {"until", "progress", "full_size"}
"""`until` is an option of the method; the others are of files."""
PER_IMAGE = {"max_queries_per_image", "max_tokens_per_image", "max_usd_per_image"}
PER_ATTACK = {"max_queries_per_attack", "max_tokens_per_attack", "max_usd_per_attack"}
ONLY_PYTHON = {"classes", "progress", "watch"}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the default ledger in the test's own folder, and work there."""
    monkeypatch.setenv("BBQUERY_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def given(verb: str, folder: Path) -> list[Any]:
    """Return what a verb is given beside options: a photo, for an evaluation after a map."""
    Pillow.fromarray(PHOTOS[0]).save(folder / "photo.png")
    np.save(folder / "map.npy", np.arange(320.0).reshape(16, 20))
    photo = str(folder / "photo.png")
    return [str(folder / "map.npy"), photo] if verb == "evaluate" else [photo]


def typed(options: dict[str, Any]) -> list[str]:
    return [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", str(value))]


def run_of(result: Any) -> str:
    return str(result.run)


def found(result: Any) -> list[Any]:
    """Return the numbers that a result comes to."""
    match result:
        case bbquery.Explanation():
            return [m.values.tolist() for m in result.maps]
        case bbquery.Comparison():
            return [each.map.values.tolist() for each in result.results if each.map is not None]
        case bbquery.Evaluation():
            return [(each.metric, each.value) for each in result.measurements]
        case bbquery.Probe():
            return [result.advice.score, result.advice.method, result.advice.queries]
        case bbquery.Stress():
            return [result.outcome, result.rmse, result.votes]
    raise AssertionError(result)


@pytest.mark.parametrize("verb", ALIKE)
def test_a_verb_is_the_same_run_from_the_command_line_and_from_python(verb: str, tmp_path: Path) -> None:
    """Typed, called and awaited with the same words, a verb is one run: paid once, with one result."""
    things, options = given(verb, tmp_path), ALIKE[verb]
    out = tmp_path / "out"
    agreed = ["--yes"] if verb == "attack" else []
    assert cli.main([verb, *things, "--oracle", SIDES, *typed(options), *agreed, "--out", str(out)]) == 0
    record = json.loads((out / RECORDS[verb]).read_text())

    called = getattr(bbquery, verb)(*things, SIDES, **options)
    awaited = asyncio.run(getattr(bbquery, f"{verb}_async")(*things, SIDES, **options))

    assert run_of(called) == run_of(awaited) == record["run"]
    assert called.queries.sent == awaited.queries.sent == 0
    assert called.budget == awaited.budget
    assert found(called) == found(awaited)
    assert found(called)


async def of_async(oracle: Oracle, ledger: Ledger) -> list[Any]:
    results = bbquery.explain_many_async(PHOTOS, oracle, max_queries=60, verify=0, ledger=ledger)
    return [(each.name, each.status, each.explanation and each.explanation.run) async for each in results]


def test_several_images_are_explained_alike_waited_for_or_awaited(ledger: Ledger) -> None:
    """Both forms of explain_many give the same results in the same order, and what one paid the other has."""
    oracle = function.connect(models.sides, classes="left|right", version="1")

    waited_for = list(bbquery.explain_many(PHOTOS, oracle, max_queries=60, verify=0, ledger=ledger))

    awaited = asyncio.run(of_async(oracle, ledger))
    assert [(each.name, each.status, each.explanation and each.explanation.run) for each in waited_for] == awaited
    assert [(name, status) for name, status, _ in awaited] == [
        (name, "complete") for name in ("image", "image~2", "image~3")
    ]
    assert [each.explanation.budget.posted.queries for each in waited_for if each.explanation] == [20] * 3


closed: list[str] = []
asked: list[int] = []


def counted(image: Image) -> list[float]:
    asked.append(1)
    return models.sides(image)


def closing() -> Oracle:
    """Return a model that says when it is closed."""
    oracle = function.connect(counted, classes="left|right", version="1")
    close = oracle.aclose

    async def aclose() -> None:
        closed.append("oracle")
        await close()

    oracle.aclose = aclose  # type: ignore[method-assign] # to see it happen
    return oracle


CLOSING = "tests.jobs.test_from_python:closing"


@pytest.fixture
def fresh() -> None:
    closed.clear()
    asked.clear()


@pytest.mark.usefixtures("fresh")
def test_leaving_several_images_early_closes_the_run(ledger: Ledger) -> None:
    """Who leaves the loop after an image asks nothing for the next one, and what the run had opened is closed."""
    for result in bbquery.explain_many(PHOTOS, CLOSING, max_queries=60, verify=0, ledger=ledger):
        assert result.status == "complete"
        break

    assert (len(asked), closed) == (20, ["oracle"])


def test_what_is_left_early_is_closed_in_its_own_context() -> None:
    """A context variable that the generator set is set back by it, as where it is awaited."""
    variable = contextvars.ContextVar("variable", default=0)
    ended: list[int] = []

    async def counting_async() -> AsyncGenerator[int, None]:
        token = variable.set(1)
        try:
            yield 1
            yield 2
        finally:
            variable.reset(token)
            ended.append(variable.get())

    for number in synchronous_iterator(counting_async)():
        assert (number, variable.get()) == (1, 0)
        break

    assert ended == [0]


@pytest.mark.usefixtures("fresh")
async def test_leaving_several_images_early_closes_the_awaited_run(ledger: Ledger) -> None:
    """Likewise of the asynchronous form, through `contextlib.aclosing`."""
    async with contextlib.aclosing(
        bbquery.explain_many_async(PHOTOS, CLOSING, max_queries=60, verify=0, ledger=ledger)
    ) as results:
        async for result in results:
            assert result.status == "complete"
            break

    assert (len(asked), closed) == (20, ["oracle"])


@pytest.mark.usefixtures("fresh")
def test_an_error_of_the_caller_closes_the_run_too(ledger: Ledger) -> None:
    """An exception in the loop's body is the caller's own, and the run behind it is over."""

    def failing() -> None:
        for _ in bbquery.explain_many(PHOTOS, CLOSING, max_queries=60, verify=0, ledger=ledger):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()

    assert closed == ["oracle"]


@pytest.mark.parametrize("verb", VERBS)
def test_both_forms_have_one_signature_and_one_help(verb: str) -> None:
    """Editors and help() show all options of either form, a type for each; none is hidden in **options."""
    waiting, awaiting = getattr(bbquery, verb), getattr(bbquery, f"{verb}_async")
    signature = inspect.signature(waiting)

    assert signature == inspect.signature(awaiting)
    assert not inspect.iscoroutinefunction(waiting)
    assert not inspect.isasyncgenfunction(waiting)
    assert (waiting.__name__, waiting.__qualname__) == (verb, verb)
    assert waiting.__doc__.startswith(awaiting.__doc__.rstrip())
    assert f"`{verb}_async`" in waiting.__doc__
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    assert kinds == {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
    assert all(parameter.annotation not in ("Any", parameter.empty) for parameter in signature.parameters.values())


def words_typed(verb: str) -> set[str]:
    """Return the options and arguments of a command."""
    (commands,) = [action for action in cli._parser()._actions if isinstance(action, argparse._SubParsersAction)]
    return {action.dest for action in commands.choices[verb]._actions} - {"help"}


@pytest.mark.parametrize(
    ("verb", "command", "only_typed"),
    [
        ("explain", "explain", {"images", *OF_EXPLAIN, *PER_IMAGE}),
        ("explain_many", "explain", {"batch", *OF_EXPLAIN}),
        ("compare", "compare", set()),
        ("evaluate", "evaluate", set()),
        ("probe", "probe", set()),
        ("attack", "attack", {"images", "controls", "labels", *PER_ATTACK}),
        ("attack_many", "attack", set()),
    ],
)
def test_python_has_the_words_of_the_command_line(verb: str, command: str, only_typed: set[str]) -> None:
    """An option is called alike in both places, so that whoever knows one knows the other."""
    words = set(inspect.signature(getattr(bbquery, verb)).parameters)

    assert words - ONLY_PYTHON - {"image"} == words_typed(command) - WHERE_TO - only_typed - {"image"}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("option", [{"longest_wait": -1}, {"max_usd": "much"}, {"max_queries": 0}])
def test_what_no_run_can_be_told_is_refused_before_anything_is_asked(
    verb: str, option: dict[str, Any], ledger: Ledger
) -> None:
    """A wait or a cap that is none is the caller's mistake, in every verb alike."""
    call: Callable[..., Any] = getattr(bbquery, verb)
    given_to: dict[str, list[Any]] = {
        "evaluate": [np.eye(16, 20), PHOTOS[0]],
        "explain_many": [[PHOTOS[0]]],
        "attack_many": [[PHOTOS[0]]],
    }
    things = given_to.get(verb, [PHOTOS[0]])
    methods = {"methods": "rise,lr"} if verb == "compare" else {}
    oracle = function.connect(lambda _: pytest.fail("it was asked"))

    with pytest.raises(UsageError):
        list(call(*things, oracle, **{"max_queries": 50, "ledger": ledger, **methods} | option))
