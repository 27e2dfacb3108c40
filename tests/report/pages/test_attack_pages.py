"""What the pages of attacks call an outcome."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from bbquery.jobs.attack.summary import Finding, Summary
from bbquery.report.pages import attack, attacks
from bbquery.report.pages.attacks import MEANINGS
from bbquery.report.pages.parts import Badge

FOUND = Finding("cat", "hsja", "hsja", control=False, status="complete", outcome="adversarial", rmse=0.5, linf=0.9,
                queries=10, trace=(), labels={}, survived=None)  # fmt: skip


@pytest.mark.parametrize(
    ("thresholds", "linf_thresholds", "badge"),
    [
        ((0.1, 0.01), (), Badge("too far", "doubt")),
        ((0.6, 0.01), (), Badge("adversarial", "bad")),
        ((0.1,), (0.95,), Badge("adversarial", "bad")),
        ((), (), Badge("adversarial", "bad")),
    ],
)
def test_what_lies_beyond_every_distance_is_no_success(thresholds: Any, linf_thresholds: Any, badge: Badge) -> None:
    """The page of one attack and the page of many call it too far, as the sentence does, in the colour of doubt."""
    asked: dict[str, Any] = {"thresholds": thresholds, "linf_thresholds": linf_thresholds}
    stress: Any = SimpleNamespace(outcome="adversarial", rmse=FOUND.rmse, linf=FOUND.linf, **asked)

    assert attack.outcome(stress) == badge
    assert attacks.outcome(FOUND, Summary(**asked, rows=(), pairs=())) == badge
    assert badge.text in MEANINGS


def test_what_ended_early_is_called_by_its_status() -> None:
    """Without a result there is no outcome."""
    summary = Summary((0.1,), (), (), ())

    assert attacks.outcome(replace(FOUND, outcome=None, status="failed"), summary) == Badge("failed", "bad")
