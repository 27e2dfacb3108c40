"""The page of an attack on one photo: what came of it, both images, the way to them, and how sure it is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bbquery.errors import MissingExtra
from bbquery.report import attack_headline, cautions
from bbquery.report.pages import parts
from bbquery.report.pages.parts import Badge, Picture
from bbquery.report.stress_verdict import verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.jobs.attack.result import Stress
    from bbquery.report.pages.parts import AnswerPart, Frame, Tone

DOUBTFUL = ("unverified", "refuted", "empty", attack_headline.TOO_FAR)
TONES: dict[str, Tone] = {"adversarial": "bad", **dict.fromkeys(DOUBTFUL, "doubt")}
"""Colours of outcomes: an image that was found and verified is a fault of the model; others have none."""

WIDE, HIGH = 600, 180  # of the chart, in its own units


@dataclass(frozen=True)
class Limit:
    """A distance at which success is reported, on the chart. height: from the top."""

    name: str
    height: float


@dataclass(frozen=True)
class Chart:
    """The distance of the nearest image so far, against queries. points: of a line, as SVG has them.

    nearest, farthest: the distances at the bottom and the top, on a logarithmic scale. queries: at the right end.
    """

    points: str
    norm: str
    nearest: str
    farthest: str
    queries: str
    limits: tuple[Limit, ...]


@dataclass(frozen=True)
class AttackPage:
    """All that the page of an attack shows. found: with its change; None where no image was found.

    lines: what came of it, in further words. called: what the image is called when it is asked again.
    """

    TEMPLATE: ClassVar[str] = "attack.html"

    frame: Frame
    clean: Picture
    found: Picture | None
    change: Picture | None
    factor: float
    answer: AnswerPart
    called: str
    lines: tuple[str, ...]
    chart: Chart | None


def page(stress: Stress, record: bytes, *, command: Sequence[str], source: str, resume: str) -> AttackPage:
    """Return what report.html shows. record: attack.json; the rest as of `bbquery.report.pages.explain.page`.

    Raises:
        MissingExtra: no matplotlib.
    """
    found, change, factor = _pictures(stress)
    said, *lines = verdict(stress)
    frame = parts.frame(
        stress,
        ("attack.json", record),
        about=f"{source}, asked of {stress.oracle.name}",
        verdict=parts.sentence_of(said.partition("; ")[0]),
        badges=[outcome(stress), *parts.status(stress)],
        cautions=cautions.of_stress(stress),
        command=command,
        resume=resume,
    )
    return AttackPage(
        frame=frame,
        clean=parts.picture(stress.x, "the clean image"),
        found=found,
        change=change,
        factor=factor,
        answer=parts.answer(stress.clean, stress.oracle, [stress.bound.target]),
        called=attack_headline.counted_labels(stress.labels),
        lines=tuple(parts.sentence_of(line.strip()) for line in (said.partition("; ")[2], *lines) if line),
        chart=_chart(stress),
    )


def outcome(stress: Stress) -> Badge:
    """Return what came of it, in a word or two."""
    said = attack_headline.outcome(stress)
    return Badge(said, TONES.get(said, "none"))


def _pictures(stress: Stress) -> tuple[Picture | None, Picture | None, float]:
    """Return what was found, by how much it differs, and how many times that is enlarged."""
    if stress.found is None or stress.found.best is None:
        return None, None, 1.0
    try:
        from bbquery.report import attack_figure  # noqa: PLC0415 - matplotlib is optional
    except ImportError as error:
        raise MissingExtra("report", "drawing an attack", "matplotlib") from error
    change, factor = attack_figure.amplified(stress.x, stress.found.best)
    found = parts.picture(stress.found.best, "the image that was found")
    return found, parts.picture(change, "found minus clean, enlarged, on mid-grey"), factor


def _chart(stress: Stress) -> Chart | None:
    """Return the way to the nearest image; None where none was found."""
    if stress.found is None or not stress.found.trace:
        return None
    by_rmse = stress.found.norm == "l2"
    name = "RMSE" if by_rmse else "L∞"
    trace = [(point.queries, point.rmse if by_rmse else point.linf) for point in stress.found.trace]
    trace = [(queries, distance) for queries, distance in trace if distance > 0]
    if not trace:
        return None
    end = max(stress.found.queries, trace[-1][0], 1)
    limits = stress.thresholds if by_rmse else stress.linf_thresholds
    distances = [distance for _, distance in trace] + list(limits)
    low, high = min(distances) / 1.2, max(distances) * 1.2

    def height(distance: float) -> float:
        return round(HIGH * math.log(high / distance) / math.log(high / low), 1)

    return Chart(
        points=_steps([(round(WIDE * queries / end, 1), height(distance)) for queries, distance in trace]),
        norm=name, nearest=f"{low:.2g}", farthest=f"{high:.2g}", queries=f"{end:,}",
        limits=tuple(Limit(f"{name} {limit:g}", height(limit)) for limit in limits),
    )  # fmt: skip


def _steps(places: Sequence[tuple[float, float]]) -> str:
    """Return the points of a line that goes right until the next place, then down; to the right end at last."""
    points = [places[0]]
    for across, down in places[1:]:
        points += [(across, points[-1][1]), (across, down)]
    points.append((float(WIDE), points[-1][1]))
    return " ".join(f"{across:g},{down:g}" for across, down in points)
