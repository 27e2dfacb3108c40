"""The boundary of the public calls: results know the call that made them, and errors name its arguments."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import bbquery
from bbquery.errors import UsageError
from bbquery.jobs.keywords import in_python
from tests.support.models import sides

if TYPE_CHECKING:
    from collections.abc import Callable

    from bbquery.ledger.ledger import Ledger

PHOTO = np.random.default_rng(0).integers(100, 200, (16, 20, 3), dtype=np.uint8)
OTHER = np.random.default_rng(1).integers(100, 200, (16, 20, 3), dtype=np.uint8)
SIDES = "function:call=tests.support.models.sides,classes=left|right,version=1"
MAP = np.arange(320.0).reshape(16, 20)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the default ledger in the test's own folder."""
    monkeypatch.setenv("BBQUERY_HOME", str(tmp_path / "home"))


def test_a_result_has_the_call_that_made_it(ledger: Ledger) -> None:
    """Arguments are written as a program has them; an array, a function and a ledger stand by their names."""
    found = bbquery.explain(
        PHOTO, sides, classes=["left", "right"], method="rise:cells=3", max_queries=20, ledger=ledger,
        progress=lambda *_: None,
    )  # fmt: skip

    assert found.call == (
        "import bbquery\n\n# image, sides, ledger: as they were given\nfound = bbquery.explain(\n"
        "    image,\n    sides,\n    classes=['left', 'right'],\n"
        "    method='rise:cells=3',\n    max_queries=20,\n    ledger=ledger,\n)"
    )


def test_the_call_of_a_result_makes_it_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that needs nothing but itself is run as it stands, and gives the same run."""
    import PIL.Image

    PIL.Image.fromarray(PHOTO).save(tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)
    first = bbquery.compare(Path("photo.png"), SIDES, methods=("rise:cells=3", "occlusion:queries=12"), max_queries=16)
    names: dict[str, Any] = {}

    exec(first.call, names)

    assert names["found"].run == first.run
    assert {each.explanation.call for each in first.results if each.explanation} == {first.call}


def test_each_result_of_several_has_the_call(ledger: Ledger) -> None:
    """The photos of a run know the call that explained all of them."""
    found = bbquery.explain_many([PHOTO, OTHER], SIDES, max_queries=20, method="rise:cells=3", ledger=ledger)

    calls = {each.explanation.call for each in found if each.explanation is not None}

    assert len(calls) == 1
    assert "bbquery.explain_many(images, " in calls.pop().replace("(\n    ", "(").replace(",\n    ", ", ")


REFUSED: dict[str, Callable[[], object]] = {
    "max_queries or lower": lambda: bbquery.explain(PHOTO, SIDES, max_queries=1),
    "spare=40": lambda: bbquery.explain(PHOTO, SIDES, max_queries=10, spare=40),
    "say verify=0": lambda: bbquery.explain(PHOTO, SIDES, max_queries=99, batch=True, verify=9),
    "max_queries=N of all, or max_queries_per_attack=N": lambda: list(bbquery.attack_many([PHOTO], SIDES)),
    "give box=X,Y,WIDTH,HEIGHT": lambda: bbquery.evaluate(MAP, PHOTO, SIDES, metrics="pointing"),
    "allow more with max_queries": lambda: bbquery.attack(PHOTO, SIDES, max_queries=2),
    "methods=rise,occlusion": lambda: bbquery.compare(PHOTO, SIDES, methods="rise"),
}


@pytest.mark.parametrize("said", REFUSED)
def test_errors_name_the_arguments_of_the_call(said: str) -> None:
    """What is typed in Python is named as it is typed there, and no option of a command line is."""
    with pytest.raises(UsageError, match=said) as refused:
        REFUSED[said]()

    assert "--" not in str(refused.value)


def test_an_awaited_call_names_them_too() -> None:
    """The asynchronous forms have the same words."""
    with pytest.raises(UsageError, match=r"raise max_queries"):
        asyncio.run(bbquery.explain_async(PHOTO, SIDES, max_queries=1))


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("raise --max-queries or lower --verify", "raise max_queries or lower verify"),
        ("say --verify 0, or --method rise:p=0.3", "say verify=0, or method=rise:p=0.3"),
        ("write --target 'a, b'", "write target='a, b'"),
        ("--tau is a score", "--tau is a score"),
        ("make it with 'bbquery budget set 'my audit' --max-queries 20'", None),
        ("a file called x--method and --methods", None),
    ],
)
def test_only_arguments_of_the_call_are_named(message: str, said: str | None) -> None:
    """Whole commands, other options and other words stay as they are."""
    assert in_python(message, {"max_queries", "verify", "method", "target"}) == (said or message)


WRONG: dict[str, Callable[[], object]] = {
    "classes must be text, or several texts, not 3": lambda: bbquery.explain(PHOTO, sides, classes=3),  # type: ignore[arg-type] # the mistake
    "classes must be text, or several texts": lambda: bbquery.explain(PHOTO, sides, classes=[1, 2]),  # type: ignore[list-item] # likewise
    "target must be text, or several texts, not 1": lambda: bbquery.explain(PHOTO, SIDES, target=1),  # type: ignore[arg-type] # likewise
    "box must be several of four whole numbers": lambda: bbquery.evaluate(
        MAP,
        PHOTO,
        SIDES,
        metrics="pointing",
        box=[1, 2, 3, 4],  # type: ignore[list-item] # likewise
    ),
}


@pytest.mark.parametrize("said", WRONG)
def test_a_wrong_type_is_one_sentence(said: str) -> None:
    """What is given by mistake is told from what is wanted, by the name of its argument."""
    with pytest.raises(UsageError, match=said):
        WRONG[said]()


@pytest.mark.parametrize("call", [bbquery.explain, bbquery.explain_many, bbquery.probe, bbquery.evaluate])
def test_a_misspelt_argument_is_said_at_once(call: Callable[..., object]) -> None:
    """No result has to be asked for, and what was meant is named."""
    with pytest.raises(TypeError, match="'max_query'; did you mean 'max_queries'"):
        call(PHOTO, SIDES, max_query=9)
