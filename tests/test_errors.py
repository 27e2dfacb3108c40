"""What is raised, whose fault it says it is, and what it says to the person who meets it."""

from __future__ import annotations

import inspect
import re

import pytest

from bbquery import errors
from bbquery.client import halt
from bbquery.errors import (
    BadImage,
    BbqueryError,
    BudgetExhausted,
    CostAboveHold,
    MalformedAnswer,
    MissingExtra,
    NotBilled,
    OracleError,
    Outcome,
    OutcomeUnknown,
    QuotaExceeded,
    RateLimited,
    Rejected,
    UnknownName,
    UnknownPrice,
    Unreachable,
    did_you_mean,
)
from bbquery.units import Units

MANY = [f"colour {i}" for i in range(15)] + ["grey fox", "red fox", "fox squirrel", "crane", "tench", "cock", "hen"]


def drawn() -> dict[str, str]:
    """Return the tree of the module's docstring, child to parent."""
    above: list[str] = []
    parents: dict[str, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"((?:\|   |    )*)(?:[|`]-- )?([A-Z]\w+)(?: {2,}|$)", line)
        if found is None or line.startswith("Everything"):
            continue
        depth = 0 if line[0].isalpha() else len(found[1]) // 4 + 1
        above[depth:] = [found[2]]
        parents[found[2]] = above[depth - 1] if depth else "Exception"
    return parents


def test_the_tree_in_the_docstring_is_the_tree_in_the_code() -> None:
    """Every error that the module defines stands in its docstring, below its parent."""
    defined = {
        name: kind.__base__.__name__
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, Exception) and kind.__base__ is not None
    }

    assert drawn() == defined


def test_catching_the_root_catches_an_interruption_too() -> None:
    """The one error that is defined elsewhere hangs on the same root."""
    assert issubclass(halt.Interrupted, BbqueryError)


@pytest.mark.parametrize(
    ("kind", "outcome", "retryable"),
    [
        (OracleError, "unknown", False),
        (NotBilled, "voided", False),
        (RateLimited, "voided", True),
        (Unreachable, "voided", True),
        (Rejected, "voided", False),
        (QuotaExceeded, "voided", False),
        (OutcomeUnknown, "unknown", True),
        (MalformedAnswer, "posted", True),
        (CostAboveHold, "posted", False),
    ],
)
def test_an_oracles_error_says_what_becomes_of_its_hold(
    kind: type[OracleError], outcome: Outcome, retryable: bool
) -> None:
    """Only what was provably not billed is released; what was answered is paid."""
    error = kind("it failed", oracle="vendor")

    assert (error.outcome, error.retryable) == (outcome, retryable)
    assert (str(error), error.oracle) == ("vendor: it failed", "vendor")


def test_a_rate_limit_carries_how_long_to_wait() -> None:
    """`retry_after` is in seconds, and None where the oracle did not say."""
    assert RateLimited("slow down", retry_after=7.5).retry_after == 7.5
    assert RateLimited("slow down").retry_after is None


def test_an_unreadable_answer_carries_what_it_cost() -> None:
    """What was billed is recorded though it brought nothing; None where the oracle did not say."""
    assert MalformedAnswer("half a body", cost=Units(queries=1, tokens=7)).cost == Units(queries=1, tokens=7)
    assert MalformedAnswer("half a body").cost is None


def test_an_unknown_price_is_never_zero() -> None:
    """The message names vendor and model, and says how to state the price."""
    error = UnknownPrice("openai", "gpt-x", "give input_usd and output_usd")

    assert str(error) == (
        "the price of 'gpt-x' at openai is not known, and an unknown price is never taken to be zero: "
        "give input_usd and output_usd"
    )
    assert (error.vendor, error.name) == ("openai", "gpt-x")


def test_an_unknown_name_lists_the_few_that_are_known() -> None:
    """With up to twenty names the person sees them all, in the order given."""
    error = UnknownName("method", "ries", ["rise", "lr"])

    assert str(error) == "unknown method 'ries'; known: rise, lr; did you mean 'rise'?"
    assert (error.kind, error.name, error.known) == ("method", "ries", ("rise", "lr"))


def test_a_name_is_listed_once_and_a_new_one_is_told_how_it_is_made() -> None:
    """Two oracles may be called alike; where a name was no slip, it is said how to make it known."""
    error = UnknownName("budget", "audi", ["audit", "audit"], if_new="make it")

    assert str(error) == "unknown budget 'audi'; known: audit; if it is new, make it; did you mean 'audit'?"


def test_an_unknown_name_among_none_says_so() -> None:
    """Where nothing is known yet, the list is not just empty."""
    assert str(UnknownName("attack", "square", [])) == "unknown attack 'square'; known: none"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Fox", "nearest of 22: grey fox, red fox, fox squirrel; did you mean 'red fox'?"),
        ("crain", "nearest of 22: crane; did you mean 'crane'?"),
        ("quark", "none of the 22 known names is near it"),
    ],
)
def test_an_unknown_name_among_many_shows_the_nearest(name: str, hint: str) -> None:
    """With more than twenty: first those that have the name as a word, then those spelled like it, or none."""
    assert str(UnknownName("label", name, MANY)) == f"unknown label {name!r}; {hint}"


def test_an_unknown_name_near_to_many_shows_few() -> None:
    """However many names are near, at most eight are shown."""
    message = str(UnknownName("label", "colour", MANY))

    assert message.partition("; did you mean")[0].count("colour ") == 8


@pytest.mark.parametrize(("name", "meant"), [("OpenAI", "openai"), ("google-vision", "google_vision"), ("ht", None)])
def test_capitals_and_hyphens_are_no_other_name(name: str, meant: str | None) -> None:
    """A name written with capitals or hyphens is taken for the one that it means; two letters mean nothing."""
    said = did_you_mean(name, ["google_vision", "http_template", "openai"])

    assert said == ("" if meant is None else f"; did you mean {meant!r}?")


def test_a_known_name_cannot_write_on_the_terminal() -> None:
    """Names come from answers too: what a terminal would obey, and more than a line holds, is not shown as it is."""
    message = str(UnknownName("label", "dgo\x1b[2J", ["dog\x1b[2J\nbbquery: complete", "x" * 10**6]))

    assert "\\u001b[2J\\nbbquery" in message
    assert not {"\x1b", "\n"} & set(message)
    assert len(message) < 1000


def test_a_bad_image_names_its_source_and_why() -> None:
    """The path comes back as it was given."""
    error = BadImage("cat.png", "it is a folder")

    assert str(error) == "cannot use image 'cat.png': it is a folder"
    assert (error.source, error.reason) == ("cat.png", "it is a folder")


def test_a_missing_extra_says_what_to_install() -> None:
    """The message can be pasted into a shell."""
    error = MissingExtra("http", "asking a model over HTTP", "aiohttp")

    assert str(error) == (
        "asking a model over HTTP needs the package 'aiohttp': install it with pip install 'bbquery[http]'"
    )
    assert error.extra == "http"


def test_an_exhausted_budget_says_what_is_left_and_what_is_needed() -> None:
    """Budget, unit, remaining, needed and cap can be read from the message and from the error."""
    error = BudgetExhausted("audit", "queries", remaining=2, needed=3, cap=10)

    assert str(error) == (
        "budget 'audit' has 2 of 10 queries left and the next query needs 3: raise the cap or use the partial result"
    )
    assert (error.budget, error.unit, error.remaining, error.needed, error.cap) == ("audit", "queries", 2, 3, 10)
