"""What is typed alike for several commands means the same for all of them."""

from __future__ import annotations

import argparse

import pytest

from bbquery.commands import options
from bbquery.drift import DEFAULT_EVERY
from bbquery.errors import UsageError
from bbquery.ledger.records import Cap


def typed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--max-queries", type=int)
    options.add_further_caps(parser)
    options.add_project(parser)
    options.add_drift(parser)
    return parser.parse_args(words)


def test_caps_are_read_in_the_units_they_are_typed_in() -> None:
    """Queries and tokens are counts, and dollars become picodollars."""
    chosen = typed("--max-queries", "7", "--max-tokens", "5", "--max-usd", "0.5")

    assert options.cap(chosen) == Cap(queries=7, tokens=5, picodollars=500_000_000_000)


def test_what_is_not_typed_is_no_cap_no_project_and_the_usual_checks() -> None:
    """Nothing is needed."""
    chosen = typed()

    assert options.cap(chosen) == Cap()
    assert (chosen.project, chosen.drift_every) == (None, DEFAULT_EVERY)


def test_caps_of_another_kind_are_read_by_their_own_names() -> None:
    """Those of each image do not touch those of the run."""
    chosen = argparse.Namespace(max_queries=9, max_queries_each=2, max_tokens_each=None, max_usd_each="1")

    assert options.cap(chosen, "_each") == Cap(queries=2, picodollars=10**12)


def test_a_cap_that_allows_nothing_is_refused() -> None:
    """Zero is no way to say unlimited."""
    with pytest.raises(UsageError, match="allows nothing"):
        options.cap(typed("--max-tokens", "0"))
