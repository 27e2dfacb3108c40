"""The page of an evaluation: how good a map is, by which measure, and what that rests on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bbquery.report import cautions, sentence
from bbquery.report.pages import parts
from bbquery.report.pages.parts import Badge, Line, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.jobs.evaluate.result import Evaluation
    from bbquery.metrics import Measurement
    from bbquery.report.pages.parts import Frame, Picture

HEADER = ("metric", "value", "better", "fill", "steps", "queries", "unanswered", "rests on")


@dataclass(frozen=True)
class EvaluatePage:
    """All that the page of an evaluation shows. meanings: of each metric's number: what a map gets by chance."""

    TEMPLATE: ClassVar[str] = "evaluate.html"

    frame: Frame
    photo: Picture
    figures: Table
    meanings: tuple[Line, ...]
    curves: Picture | None


def page(
    evaluation: Evaluation, record: bytes, curves: bytes | None, *, command: Sequence[str], source: str, of: str,
    resume: str,
) -> EvaluatePage:  # fmt: skip
    """Return what report.html shows. record: evaluation.json. curves: their PNG. of: where the map is from.

    The rest as of `bbquery.report.pages.explain.page`.
    """
    frame = parts.frame(
        evaluation,
        ("evaluation.json", record),
        about=f"{of} of {source}, asked of {evaluation.oracle.name}",
        verdict=_verdict(evaluation),
        badges=parts.status(evaluation) or [Badge("complete", "good")],
        cautions=cautions.of_evaluation(evaluation),
        command=command,
        resume=resume,
    )
    return EvaluatePage(
        frame=frame,
        photo=parts.picture(evaluation.photo, "the photo"),
        figures=Table("", HEADER, tuple(map(_row, evaluation.measurements))),
        meanings=tuple(
            Line(quantity.name, f"{quantity.better} is better; {quantity.chance}")
            for metric in evaluation.choice.metrics.values()
            for quantity in metric.quantities
        ),
        curves=None if curves is None else parts.drawn(curves, "the curves of deletion and insertion"),
    )


def _verdict(evaluation: Evaluation) -> str:
    """Return the first figures in a sentence."""
    said = [f"{each.metric} {_number(each.value)}" for each in evaluation.measurements[:3]]
    return f"The map of {sentence.quoted(evaluation.target)}: {', '.join(said)}"


def _row(each: Measurement) -> tuple[str, ...]:
    if not each.queries:
        return each.metric, _number(each.value), each.better, "–", "–", "–", "–", each.used or "–"
    return (
        each.metric, _number(each.value), each.better, each.fill or "–", str(each.steps), f"{each.queries:,}",
        str(each.unanswered), each.used or "–",
    )  # fmt: skip


def _number(value: float) -> str:
    return "unknown" if math.isnan(value) else f"{value:z.3g}".replace("-", "−")
