from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from bbquery import load
from bbquery.errors import MissingExtra, UnknownName, UsageError
from bbquery.estimators.lr import LikelihoodRatio
from bbquery.jobs.evaluate.provenance import from_record, from_specification
from bbquery.metrics._making import Making
from bbquery.saliency.rise import Rise
from bbquery.saliency.vanilla import GradientMap
from bbquery.specification import constructor


@pytest.mark.parametrize("name", load.names("method"))
def test_every_method_is_made_again_from_its_record(name: str) -> None:
    """What a record writes of a method is enough to make it again, with all its options."""
    method = load.method(name, queries=137)

    assert from_record(constructor(method)) == method


@pytest.mark.parametrize(
    "specification",
    ["rise:form=published,cells=5,p=0.3", "occlusion:fill=blur,window=9", "smoothgrad:estimator=nes,estimator.sigma=8",
     "bayes:windows=20|30.5", "nes:sigma=3"],
)  # fmt: skip
def test_options_are_made_again(specification: str) -> None:
    """Also numbers, names, several values and another estimator."""
    method = load.method(specification, queries=150)

    assert from_record(repr(method)) == method


@pytest.mark.parametrize(
    "record",
    ["", "Rise(", "Rise", "17", "Nobody(queries=9)", "Rise(queries=0)", "Rise(9)", "Rise(size=9)", "Rise(queries=9)",
     "Rise(**{'queries': 9})", "Rise(queries=__import__('os').getpid())", "Rise(queries=1 + 1)",
     "pkg.Rise(queries=9)"],
)  # fmt: skip
def test_what_is_no_method_of_ours_is_refused(record: str) -> None:
    """A record that this version would not write so is no recipe; the refusal says what to give instead."""
    with pytest.raises(UsageError, match="--method NAME:queries=N"):
        from_record(record)


def test_a_part_that_is_not_installed_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Methods are looked up among those that can be had."""
    real = load.method

    def some(name: str, **options: Any) -> Any:
        if name == "bayes":
            raise MissingExtra("bayes", "it", "nothing")
        return real(name, **options)

    monkeypatch.setattr(load, "method", some)
    assert from_record(repr(Rise(queries=9))) == Rise(queries=9)


@pytest.mark.parametrize(
    "specification", ["rise:queries=9", "lr:queries=9", "vanilla:estimator=lr,estimator.queries=9"]
)
def test_a_specification_says_the_queries(specification: str) -> None:
    """A method, its own or its estimator's queries among its options, is taken."""
    assert from_specification(specification).queries == 9


@pytest.mark.parametrize("specification", ["rise", "lr:sigma=8", "smoothgrad:points=20"])
def test_queries_that_are_not_said_are_asked_for(specification: str) -> None:
    """A map of 1000 queries says nothing of one of 300, so no default is taken."""
    with pytest.raises(UsageError, match=f"{specification}.*how many queries"):
        from_specification(specification)


def test_a_method_without_the_option_needs_none_said() -> None:
    """Where the number of queries is the method's own affair, there is nothing to say."""
    assert from_specification("tests.jobs.evaluate.test_making_of_maps:Fixed").queries == 7


def test_an_unknown_method_is_refused() -> None:
    """The refusal says what is known."""
    with pytest.raises(UnknownName, match="rise"):
        from_specification("rice:queries=9")


@dataclass(frozen=True)
class Fixed:
    """A method that always asks as much."""

    adaptive: bool = False

    @property
    def queries(self) -> int:
        return 7


class Foreign:
    """A method that is no dataclass, whose usual repr names its address."""

    queries = 3


def test_how_a_map_was_made_is_written_alike_each_time() -> None:
    """A run is known by what it writes, so no address may be in it."""
    assert repr(Making(Foreign(), 4)) == "Making(method=Foreign, seed=4)"  # type: ignore[arg-type] # no plan is needed


def test_only_a_map_of_magnitudes_has_an_estimator() -> None:
    """Of any other map no gradient can be had."""
    estimator = LikelihoodRatio(queries=9)

    assert Making(GradientMap(estimator=estimator)).estimator is estimator
    assert Making(Rise()).estimator is None
