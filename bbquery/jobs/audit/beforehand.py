"""Checks of an audit before its first query: what is wrong with one oracle is found before another one is paid."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from bbquery.errors import KeyMissing, UsageError
from bbquery.oracle import KeyedOracle

if TYPE_CHECKING:
    from bbquery.oracle import Oracle


def check_keys(oracles: Iterable[tuple[str, Oracle]]) -> None:
    """See that the keys of oracles are set, as far as these can say; nothing is sent.

    oracles: each with its name in the plan.

    Raises:
        KeyMissing: one or more are not, or cannot be sent; says all, with their variables.
    """
    faults = [f"oracle {name!r} of the plan: {fault}" for name, fault in _without_key(oracles)]
    if faults:
        raise KeyMissing("; ".join((*faults, "nothing was asked of any oracle")))


def _without_key(oracles: Iterable[tuple[str, Oracle]]) -> Iterable[tuple[str, UsageError]]:
    for name, oracle in oracles:
        if isinstance(oracle, KeyedOracle):
            try:
                oracle.check_key()
            except UsageError as error:
                yield name, error
