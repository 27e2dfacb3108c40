"""`bbquery score`: show what a score does to an answer, step by step. Nothing is sent."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args

from bbquery import load
from bbquery.commands import typed_answer
from bbquery.commands.output import say
from bbquery.commands.targets import targets
from bbquery.errors import UnknownName, UsageError
from bbquery.oracle import Capabilities
from bbquery.report import cautions
from bbquery.scoring.base import score_rows
from bbquery.specification import constructor
from bbquery.system.blas_threads import one_blas_thread
from bbquery.types import AnswerKind, Classes, Decision, Label, Labels, NoAnswer, Text, Vector

if TYPE_CHECKING:
    from bbquery.commands.typed_answer import Typed
    from bbquery.scoring.base import About, BoundScore, Score
    from bbquery.types import Answer

DECISIONS = {Decision.MET: "met", Decision.NOT_MET: "not met", Decision.UNDECIDED: "undecided"}
EXAMPLES = (
    "bbquery score 'Cat 0.97, Felidae 0.91' --target Felidae",
    "bbquery score 'a cat on a sofa' --target cat --kind text",
)
FIRST_NUMBERS = 5  # of a vector, to people


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    score = commands.add_parser(
        "score",
        help="show step by step what a score does to an answer",
        description="Show step by step what a score does to an answer. Nothing is asked.",
        examples=EXAMPLES,
        epilog=typed_answer.RULE.replace("%", "%%"),
    )
    score.set_defaults(run=_score)
    score.add_argument("answer", metavar="ANSWER", help="what an oracle may have answered: see below")
    score.add_argument("--target", metavar="LABEL[,LABEL…]", help="as of 'bbquery explain' (default: the answer's own)")
    score.add_argument(
        "--score",
        metavar="NAME[:key=value,…]",
        help=f"how an answer becomes a number (default: {load.DEFAULT_SCORE}; for texts {load.DEFAULT_SCORE_OF_TEXTS})",
    )
    score.add_argument(
        "--kind", choices=get_args(AnswerKind), help="what the answer is to be read as (default: what it looks like)"
    )
    score.add_argument(
        "--classes", metavar="NAME|NAME…", help="the closed set of classes that the oracle has, in order"
    )
    score.add_argument(
        "--clean",
        metavar="ANSWER",
        help="the answer to the unperturbed image, to which scores are bound (default: ANSWER)",
    )


def _score(chosen: argparse.Namespace) -> int:
    wanted = targets(chosen.target)
    classes = None if chosen.classes is None else Classes(tuple((name.strip(),) for name in chosen.classes.split("|")))
    readings = typed_answer.readings(chosen.answer, chosen.kind, classes)
    if chosen.score is None:  # of the likeliest reading: no other is tried for another score's sake
        readings = readings[:1]
    score = load.score_for(_capabilities(readings[0]), chosen.score)
    typed = _readable(readings, score, wanted or [])
    clean = typed if chosen.clean is None else typed_answer.readings(chosen.clean, typed.kind, typed.classes)[0]
    say(f"answer    {_shown(typed)}", f"score     {constructor(score)}")
    if isinstance(typed.answer, NoAnswer):
        say("value     none: no score is asked about what is no answer; the decision is undecided")
        return 0
    unnamed: list[str | None] = [None]
    for target in wanted or unnamed:
        say(*_explained(score.bind(clean.answer, target, typed.classes), typed.answer))
    return 0


def _capabilities(typed: Typed) -> Capabilities:
    boxes = isinstance(typed.answer, Labels) and any(label.box is not None for label in typed.answer.labels)
    return Capabilities(name="ANSWER", answers=typed.kind, identity={}, classes=typed.classes, boxes=boxes)


def _readable(readings: Sequence[Typed], score: Score, wanted: Sequence[str]) -> Typed:
    """Return the likeliest reading that the score can take, of one or more.

    Raises:
        UnknownName: a target is none. UsageError: there is no such reading; what speaks against the likeliest.
    """
    refused: list[UsageError] = []
    for typed in readings:
        try:
            score.check(_capabilities(typed), wanted)
        except UnknownName:
            raise
        except UsageError as error:
            refused.append(error)
        else:
            return typed
    raise refused[0]


def _shown(typed: Typed) -> str:
    return f"{typed.kind}: {_content(typed.answer)}"


def _content(answer: Answer) -> str:
    match answer:
        case Vector(values):
            more = ", …" if len(values) > FIRST_NUMBERS else ""
            return f"{len(values)} numbers, {', '.join(f'{value:.6g}' for value in values[:FIRST_NUMBERS])}{more}"
        case Labels(labels):
            return ", ".join(map(_label, labels))
        case Text(text, tokens):
            return f"{text!r}, {len(tokens)} tokens with log-probabilities" if tokens else repr(text)
    return f"no answer ({answer.reason})"


def _label(label: Label) -> str:
    parts = [label.name, None if label.score is None else f"{label.score:g}", label.box]
    return " ".join(str(part) for part in parts if part is not None)


@one_blas_thread
def _explained(score: BoundScore, answer: Answer) -> list[str]:
    """Return what a score does to an answer, and what comes of it."""
    found, about = score_rows(score, [[answer]]), score.about
    unread = score.unread([answer])
    return [
        "",
        f"target    {score.target}",
        *(f"  {number}. {step}" for number, step in enumerate(score.steps(answer), 1)),
        f"value     {_value(float(found.value[0]), about)}",
        f"decision  {DECISIONS[Decision(int(found.decision[0]))]} (met if: {about.criterion})",
        *([f"not read  {cautions.not_read(unread)}"] if unread else []),
    ]


def _value(value: float, about: About) -> str:
    said = "none: it cannot be read" if math.isnan(value) else f"{value:.6g}"
    nothing = "" if math.isnan(about.no_information) else f", no information is {about.no_information:.4g}"
    return f"{said} ({about.unit}: {about.direction} is nearer, {about.low:.4g} to {about.high:.4g}{nothing})"
