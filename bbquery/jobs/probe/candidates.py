"""Which scores suit an oracle: every score that there is, in every form, tried on what the oracle says it answers."""

from __future__ import annotations

import sys
import types
import typing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bbquery import load
from bbquery.errors import UsageError
from bbquery.specification import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from bbquery.oracle import Capabilities
    from bbquery.scoring.base import BoundScore, Score
    from bbquery.types import Answer, Classes


REPEATED = frozenset({"threshold"})
"""Scores whose values are those of another (`soft`): tried where they are named, else a probe would show them twice."""


@dataclass(frozen=True)
class Suiting:
    """Scores by the specification that makes them, and why others do not suit."""

    scores: Mapping[str, Score]
    unsuited: Mapping[str, str]


@dataclass(frozen=True)
class Bound:
    """Scores bound to each target, by the specification that makes them, and why others could not be bound."""

    scores: Mapping[str, tuple[BoundScore, ...]]
    unsuited: Mapping[str, str]


def suiting(capabilities: Capabilities, targets: Sequence[str], wanted: Sequence[str] = ()) -> Suiting:
    """Return the scores that can read an oracle's answers; nothing is asked.

    wanted: specifications of the only ones to be tried; none means all that there are, each in each form.

    Raises:
        UsageError: a score that is wanted does not suit, or none does; says why.
    """
    scores: dict[str, Score] = {}
    unsuited: dict[str, str] = {}
    for specification in wanted or _usual_first(specifications(), capabilities):
        try:
            scores[specification] = _checked(specification, capabilities, targets)
        except UsageError as error:
            if wanted:
                raise
            unsuited[specification] = str(error)
    if not scores:
        reasons = "".join(f"\n  {name}: {why}" for name, why in unsuited.items())
        raise UsageError(f"no score suits what {capabilities.name} answers ({capabilities.answers}):{reasons}")
    return Suiting(scores, unsuited)


def _usual_first(names: Iterable[str], capabilities: Capabilities) -> list[str]:
    """Begin with the score that an explanation takes where none is named."""
    usual = type(load.score_for(capabilities)).__module__.rpartition(".")[2]
    return sorted(names, key=lambda name: parse(name)[0] != usual)


def _checked(specification: str, capabilities: Capabilities, targets: Sequence[str]) -> Score:
    score = load.score(specification)
    score.check(capabilities, targets)
    return score


def bound(found: Suiting, clean: Answer, targets: Sequence[str | None], classes: Classes | None) -> Bound:
    """Bind every score to every target; those that cannot be bound are left out, with the reason.

    Raises:
        UsageError: none can be bound; says why.
    """
    scores: dict[str, tuple[BoundScore, ...]] = {}
    unsuited = dict(found.unsuited)
    for specification, score in found.scores.items():
        try:
            scores[specification] = tuple(score.bind(clean, target, classes) for target in targets)
        except UsageError as error:
            unsuited[specification] = str(error)
    if not scores:
        reasons = "".join(f"\n  {name}: {unsuited[name]}" for name in found.scores)
        raise UsageError(f"no score can be bound to the answer to the unperturbed image:{reasons}")
    return Bound(scores, unsuited)


def specifications() -> Iterator[str]:
    """Give every score by name, and each of its forms as `NAME:form=FORM`, the default one without; none twice."""
    for name in load.names("score"):
        if name in REPEATED:
            continue
        yield name
        try:
            default = load.score(name)
        except UsageError:  # it needs options, or an extra that is not installed: why is told when it is tried
            continue
        yield from (f"{name}:form={form}" for form in _forms(default) if form != getattr(default, "form", None))


def _forms(score: Score) -> tuple[str, ...]:
    """Return the choices of a score's option `form`; none where it has no such option."""
    kind = type(score)
    annotation = getattr(kind, "__annotations__", {}).get("form")
    if annotation is None:
        return ()
    alone = types.SimpleNamespace(__annotations__={"form": annotation})
    hint = typing.get_type_hints(alone, vars(sys.modules[kind.__module__]))["form"]
    return typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else ()
