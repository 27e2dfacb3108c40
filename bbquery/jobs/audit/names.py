"""Names in a plan: of oracles, methods, metrics, attacks and scores, with their options; nothing is connected."""

from __future__ import annotations

from bbquery import load
from bbquery.errors import UsageError
from bbquery.metrics import NEEDS

LACKING = ("montage", "gradient", "made")
"""Needs of metrics that an audit does not give."""
PLENTY = 10**6  # queries: more than any method or attack needs


def check(kind: str, specification: str) -> None:
    """See that a specification names something of a kind, and that its options are known and can be read.

    Raises:
        UnknownName: there is no such thing or option. UsageError: a bad option, or something that an audit cannot give.
        MissingExtra: an optional part is not installed.
    """
    match kind:
        case "oracle":
            load.check_oracle(specification)
        case "method":
            load.method(specification, queries=PLENTY)
        case "attack":
            load.attack(specification, queries=PLENTY, rmse=0.1)
        case "score":
            load.score(specification)
        case "metric":
            _check_metric(specification)


def _check_metric(specification: str) -> None:
    lacking = [need for need in load.metric(specification).needs if need in LACKING]
    if lacking:
        needs = f"{specification} needs {NEEDS[lacking[0]]}"
        raise UsageError(f"{needs}, which an audit cannot give: see 'bbquery evaluate'")
