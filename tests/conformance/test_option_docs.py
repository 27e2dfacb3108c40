"""What every option of a method, attack, score, metric or oracle promises to whoever reads `bbquery list KIND NAME`."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

import pytest

from bbquery import load
from bbquery.cli import main
from bbquery.errors import UsageError
from bbquery.option_docs import OptionDoc, options_of
from bbquery.options import parameters_of

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = ("oracle", "method", "attack", "score", "metric")
NAMED = [(kind, name) for kind in KINDS for name in load.names(kind)]
NUMBERS = re.compile(r"\bnumber\b")
NUMBER = r"(-?[\d.,]*\d(?:e-?\d+)?|π/2|π)"


@functools.cache
def documented(kind: str, name: str) -> list[OptionDoc]:
    made = made_by(kind, name)
    return options_of(made, parameters_of(made), load.specification_of)


def made_by(kind: str, name: str) -> Callable[..., Any]:
    """Return what makes an object; an estimator's name stands for the estimator."""
    return load.made(kind, name)


@pytest.mark.parametrize(("kind", "name"), NAMED)
def test_every_option_has_a_line_a_type_and_a_default(kind: str, name: str) -> None:
    """Each has a line in the docstring, a type in words, a default or that it must be given; a number has a range."""
    for option in documented(kind, name):
        assert len(option.line) > 5, option
        assert option.line.endswith("."), option
        assert option.type, option
        assert option.range or not NUMBERS.search(option.type), option


@pytest.mark.parametrize(("kind", "name"), NAMED)
def test_it_is_shown_with_every_option(kind: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`bbquery list KIND NAME` has each option with its type, range and default."""
    assert main(["list", f"{kind}s", name]) == 0

    said = " ".join(capsys.readouterr().out.split())
    assert load.summary(kind, name) in said
    for option in documented(kind, name):
        facts = (option.type, option.range, "must be given" if option.default is None else f"default {option.default}")
        assert f"{option.name} {'; '.join(filter(None, facts))}" in said


def readable(option: OptionDoc) -> bool:
    """Whether a default can be typed: it is no object, and what is text or a number is read as text."""
    return option.default is not None and "Python" not in option.type and not option.type.startswith("text or number")


@pytest.mark.parametrize(("kind", "name"), [each for each in NAMED if each[0] in ("method", "attack", "metric")])
def test_defaults_are_typed_as_they_are_shown(kind: str, name: str) -> None:
    """Typing every default that is shown makes the object that typing none makes."""
    options = {option.name: option.default for option in documented(kind, name) if readable(option)}
    if kind == "attack":
        options = {option: text for option, text in options.items() if text != "none"}
    make = functools.partial(load._MAKER.make, made_by(kind, name))

    plain, typed = make({}, name), make(flat(options), name)

    assert repr(typed) == repr(plain)


def flat(options: dict[str, str | None]) -> dict[str, str]:
    """Return options as they are parsed: those of an estimator or method after a dot."""
    found = {}
    for option, text in options.items():
        name, _, inner = str(text).partition(":")
        found[option] = name if inner and option in ("estimator", "method") else str(text)
        if option in ("estimator", "method") and inner:
            found |= {f"{option}.{part.partition('=')[0]}": part.partition("=")[2] for part in inner.split(",")}
    return found


def outside(text: str) -> list[float]:
    """Return numbers just outside a range: "above 0, at most 1", "1 to 32", "at least 1e-8"."""
    ends = {word: value(end) for word, end in re.findall(f"(at least|at most|above|below) {NUMBER}", text)}
    if both := re.match(f"{NUMBER} to {NUMBER}", text):
        ends = {"at least": value(both[1]), "at most": value(both[2])}
    beyond = {"at least": -1, "at most": 1, "above": 0, "below": 0}
    return [end + beyond[word] for word, end in ends.items()]


def value(text: str) -> float:
    return {"π": 3.141592653589793, "π/2": 1.5707963267948966}.get(text) or float(text.replace(",", ""))


RANGED = [
    (kind, name, option.name)
    for kind in ("method", "attack", "metric", "score")
    for name in load.names(kind)
    for option in documented(kind, name)
    if option.range
]


@pytest.mark.parametrize(("kind", "name", "option"), RANGED)
def test_what_is_outside_a_range_is_refused(kind: str, name: str, option: str) -> None:
    """A range that is shown is the one that holds: a value outside it is a usage error, before anything is asked."""
    made, (doc,) = made_by(kind, name), [each for each in documented(kind, name) if each.name == option]
    needed = {"of": "hard"} if name == "compose" else {}

    for number in outside(doc.range):
        text = f"{number:g}" if "whole" not in doc.type else f"{number:.0f}"
        with pytest.raises(UsageError):
            load._MAKER.make(made, needed | {option: text}, name)
