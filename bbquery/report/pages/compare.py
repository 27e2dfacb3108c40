"""The page of a comparison: the map of each method beside the photo, how good each is, and how much they agree."""

from __future__ import annotations

import math
import urllib.parse
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bbquery.report import cautions, sentence
from bbquery.report.map_picture import map_pixels
from bbquery.report.pages import parts
from bbquery.report.pages.parts import Badge, Picture, Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bbquery.jobs.compare.result import Compared, Comparison
    from bbquery.report.pages.parts import Frame, Tone

LONGEST_PANEL = 500  # pixels: there may be eight maps
TONES: Mapping[str, Tone] = {"complete": "good", "partial": "doubt", "failed": "bad", "not begun": "none"}
FIGURES = ("method", "queries", "SRG", "insertion", "deletion")


@dataclass(frozen=True, kw_only=True)
class Words:
    """What the sheet says too. ranked: how the methods rank, none where they were not measured. srg: of each.

    read: how to read the maps and how they agree. measured: how they were measured.
    """

    ranked: Sequence[str]
    srg: Sequence[str]
    read: str
    measured: str


@dataclass(frozen=True)
class MethodPart:
    """One method. link: to its own report; empty without one. why: what ended it, empty where nothing did."""

    name: str
    badge: Badge
    picture: Picture | None
    link: str
    verdict: str
    unit: str
    why: str


@dataclass(frozen=True)
class ComparePage:
    """All that the page of a comparison shows. curves: of deletion and insertion; None where maps were not measured.

    ranked: what else to know of their order. read: how to read the maps.
    """

    TEMPLATE: ClassVar[str] = "compare.html"

    frame: Frame
    photo: Picture
    methods: tuple[MethodPart, ...]
    figures: Table
    ranked: tuple[str, ...]
    read: str
    agreement: Table
    curves: Picture | None


def page(
    comparison: Comparison, record: bytes, curves: bytes | None, *, words: Words, command: Sequence[str], source: str,
    resume: str,
) -> ComparePage:  # fmt: skip
    """Return what report.html shows. record: compare.json. curves: their PNG. words: what the sheet says too.

    The rest as of `bbquery.report.pages.explain.page`.

    Raises:
        MissingExtra: no matplotlib.
    """
    frame = parts.frame(
        comparison,
        ("compare.json", record),
        about=f"{source}, asked of {comparison.oracle.name}",
        verdict=_verdict(comparison, words),
        badges=parts.status(comparison) or [Badge("complete", "good")],
        cautions=cautions.of_comparison(comparison),
        command=command,
        resume=resume,
    )
    return ComparePage(
        frame=frame,
        photo=parts.picture(comparison.photo, "the photo", LONGEST_PANEL),
        methods=tuple(map(_method, comparison.results)),
        figures=Table(words.measured, FIGURES, tuple(map(_row, comparison.results, words.srg))),
        ranked=tuple(words.ranked[1:]),
        read=words.read,
        agreement=_agreement(comparison),
        curves=None if curves is None else parts.drawn(curves, "the curves of deletion and insertion of each method"),
    )


def _verdict(comparison: Comparison, words: Words) -> str:
    """Return how the methods rank, or else how many are compared, and of what."""
    if words.ranked:
        return words.ranked[0]
    maps = [each.map for each in comparison.results if each.map is not None]
    about = f" for {sentence.quoted(maps[0].target)}" if maps else ""
    return f"{len(comparison.results)} methods: what each sees{about}"


def _method(each: Compared) -> MethodPart:
    why = "" if each.error is None else str(each.error)
    badge = Badge(each.status, TONES[each.status])
    if each.explanation is None or each.map is None:
        return MethodPart(each.method, badge, None, "", "", "", why)
    pixels = map_pixels(each.explanation, each.map, LONGEST_PANEL)
    stamp = sentence.stamp(each.explanation, each.map)
    return MethodPart(
        name=each.method,
        badge=Badge(stamp, "doubt") if stamp and each.status == "complete" else badge,
        picture=parts.picture(pixels, f"the map by {each.method} on the photo in grey", LONGEST_PANEL),
        link="./" + urllib.parse.quote(f"{each.name}/{parts.REPORT}"),
        verdict=sentence.verdict(each.explanation, each.map),
        unit=f"Colour: {sentence.plain_unit(each.map)}.",
        why=why,
    )


def _row(each: Compared, srg: str) -> tuple[str, ...]:
    asked = "–" if each.explanation is None else f"{each.explanation.queries.answered:,}"
    if each.curves is None:
        return each.method, asked, "–", "–", "–"
    return each.method, asked, srg, _number(each.curves.insertion_auc), _number(each.curves.deletion_auc)


def _agreement(comparison: Comparison) -> Table:
    found = comparison.agreement().tolist()
    names = tuple(each.method for each in comparison.results)
    rows = tuple((name, *map(_number, row)) for name, row in zip(names, found, strict=True))
    return Table("", ("method", *names), rows)


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:z.2f}".replace("-", "−")
