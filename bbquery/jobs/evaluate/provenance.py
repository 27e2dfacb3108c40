"""Provenance of a map: its method, from the constructor call in a record, so that it can be made again.

A record writes a method as `Rise(queries=59, form='centred', …)`. It is read, never run: its class is looked up among
the methods that bbquery knows, its arguments must be literals or such calls, and what comes of it must write itself as
the record does.
"""

from __future__ import annotations

import ast
import dataclasses
from typing import TYPE_CHECKING, Any

from bbquery import load
from bbquery.errors import MissingExtra, UsageError
from bbquery.saliency.vanilla import GradientMap
from bbquery.specification import constructor, parse

if TYPE_CHECKING:
    from bbquery.saliency import Method

ADVICE = "give the method and its queries: --method NAME:queries=N"


def from_record(written: str) -> Method:
    """Return the method that a record writes so.

    Raises:
        UsageError: it is not one of bbquery's own, or not written as this version writes it.
    """
    method = _read(written)
    if method is None or constructor(method) != written:
        raise UsageError(f"the map was made by {written}, which cannot be made again from its record: {ADVICE}")
    return method


def from_specification(specification: str) -> Method:
    """Return the method of a specification, which must say how many queries it asks.

    Raises:
        UnknownName: no such method or option. UsageError: a bad option, or its queries are not said.
    """
    method = load.method(specification)
    said = {key.rpartition(".")[2] for key in parse(specification)[1]}
    if "queries" not in said and load.method(specification, queries=method.queries + 1) != method:
        raise UsageError(f"{specification!r} does not say how many queries the map took: {ADVICE}")
    return method


def _read(written: str) -> Method | None:
    """Return the method, or None where it cannot be read."""
    try:
        method: Method = _made(ast.parse(written, mode="eval").body, _known())
    except (SyntaxError, ValueError, TypeError, KeyError, UsageError):
        return None
    return method


def _known() -> dict[str, Any]:
    """Return the default configuration of each method and estimator whose parts are installed, by class."""
    found: dict[str, Any] = {}
    for name in load.names("method"):
        try:
            method = load.method(name)
        except MissingExtra:
            continue
        found[type(method).__name__] = method
        if isinstance(method, GradientMap):
            found[type(method.estimator).__name__] = method.estimator
    return found


def _made(node: ast.expr, known: dict[str, Any]) -> Any:
    """Return the value of an argument: a literal, or a call of a known class with arguments by name."""
    if not isinstance(node, ast.Call):
        return ast.literal_eval(node)
    usual = known[ast.unparse(node.func)]
    options = {str(keyword.arg): _made(keyword.value, known) for keyword in node.keywords}
    return dataclasses.replace(usual, **options)
