"""What an attack's picture says above it: what the label became, with the votes, and how far that is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bbquery.jobs.attack.votes import Votes
from bbquery.report.attack_headline import became, distance_in_words


def stress(
    labels: dict[str, int],
    asked: int | None = 5,
    outcome: str = "adversarial",
    *,
    within: bool = True,
    of_first: bool = True,
) -> Any:
    """What `became` looks at of an attack that has found an image."""
    verification = None if asked is None else Votes(asked, 0, asked)
    return SimpleNamespace(
        labels=labels, verification=verification, outcome=outcome,
        bound=SimpleNamespace(target="tabby", about=SimpleNamespace(of_first=of_first)),
        rmse=0.05 if within else 0.5, linf=1.0, thresholds=(0.1,), linf_thresholds=(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (stress({"lynx": 5}), "“tabby” → “lynx”, 5 of 5 answers"),
        (stress({"lynx": 3, "cat": 1}), "“tabby” → “lynx”, 3 of 5 answers; “cat” 1 of 5"),
        (stress({}, outcome="empty"), "EMPTY: “tabby” → no label, in 5 answers"),
        (stress({}, None, "unverified"), "UNVERIFIED: “tabby” → not asked again"),
        (stress({"tabby": 5}, outcome="refuted"), "REFUTED: “tabby” → “tabby”, 5 of 5 answers"),
        (stress({"lynx": 5}, within=False), "TOO FAR: “tabby” → “lynx”, 5 of 5 answers"),
        (stress({"tabby": 5}, of_first=False), "“tabby”; first named: “tabby”, 5 of 5 answers"),
    ],
)
def test_an_attack_says_what_the_label_became_with_its_votes(found: Any, said: str) -> None:
    """Votes are of all that was asked again; what is no success is called what it is."""
    assert became(found) == said


def test_a_distance_is_said_in_grey_levels() -> None:
    """A person reads grey levels; the exact distances stand beside them."""
    assert distance_in_words(0.009, 9 / 255) == (
        "A colour value changed by about 2.3 of 255 grey levels (RMSE 0.0090), by 9 at most (L∞ 0.0353)."
    )
