"""The page of a probe: what to run next, why, and the figures behind that."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bbquery.jobs.probe.advice import NO_MORE
from bbquery.report import cautions, probe_rows
from bbquery.report.pages import parts
from bbquery.report.pages.parts import Badge, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.jobs.probe.result import Probe
    from bbquery.jobs.probe.statistics import ScoreFigures
    from bbquery.report.pages.parts import Frame, Picture


@dataclass(frozen=True)
class ProbePage:
    """All that the page of a probe shows. following: the command to run next, a word an item; empty for none."""

    TEMPLATE: ClassVar[str] = "probe.html"

    frame: Frame
    photo: Picture
    following: tuple[str, ...]
    reasons: tuple[str, ...]
    clean: str
    drawn: Picture
    tables: tuple[Table, ...]


def page(
    probe: Probe, record: bytes, drawn: bytes, *, command: Sequence[str], source: str, following: Sequence[str],
    resume: str,
) -> ProbePage:  # fmt: skip
    """Return what report.html shows. record: probe.json. drawn: probe.png. following: the command that is recommended.

    The rest as of `bbquery.report.pages.explain.page`.
    """
    frame = parts.frame(
        probe,
        ("probe.json", record),
        about=f"{source}, asked of {probe.oracle.name}",
        verdict=_verdict(probe),
        badges=parts.status(probe) or [Badge("complete", "good")],
        cautions=cautions.of_probe(probe),
        command=command,
        resume=resume,
    )
    scores = Table(f"{probe_rows.SCORES_SAID}.", probe_rows.OF_SCORES, tuple(probe_rows.of_scores(probe)))
    return ProbePage(
        frame=frame,
        photo=parts.picture(probe.photo, "the photo"),
        following=tuple(map(shlex.quote, following)),
        reasons=(*probe.advice.reasons, *probe_rows.further(probe)),
        clean=probe_rows.clean(probe.clean),
        drawn=parts.drawn(drawn, "answers against how much of the photo was visible"),
        tables=(*(_conditions(probe, each) for each in probe.chosen), scores),
    )


def _conditions(probe: Probe, figures: ScoreFigures) -> Table:
    rows = tuple(probe_rows.of_conditions(probe, figures))
    return Table(f"{probe_rows.conditions_said(figures)}.", probe_rows.OF_CONDITIONS, rows)


def _verdict(probe: Probe) -> str:
    advice = probe.advice
    if not advice.queries:
        return f"{NO_MORE[:1].upper()}{NO_MORE[1:]}: the score hardly moves"
    return f"Explain it by {advice.method} with the score {advice.score}: {advice.queries:,} queries"
