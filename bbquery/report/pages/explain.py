"""The page of an explanation: what was found, in a sentence; the photo and its map; what was verified; what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bbquery.errors import MissingExtra
from bbquery.report import cautions, sentence
from bbquery.report.map_picture import map_pixels
from bbquery.report.pages import parts
from bbquery.report.pages.parts import Badge, Line, Picture
from bbquery.report.record_parts import in_words_of
from bbquery.report.scale import scale

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType

    from bbquery.jobs.explain.result import Explanation, TargetMap
    from bbquery.jobs.explain.verified import Part
    from bbquery.report.pages.parts import AnswerPart, Frame
    from bbquery.report.scale import Scale

WORDS = {True: ("speaks against it", "no effect", "speaks for it"), False: ("weaker", "", "stronger")}
"""What the ends and the middle of a scale stand for, by whether it has a sign."""

LONGEST_THUMBNAIL = 240  # pixels
NOT_VERIFIED = "No part of the photo was asked about by itself: --verify N asks for it, with N queries of the budget."


@dataclass(frozen=True)
class Legend:
    """How to read a map. bar: its colours; None where there are none. low, middle, high: what they stand for."""

    bar: Picture | None
    low: str
    middle: str
    high: str
    unit: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Fact:
    """A part of the photo that was asked by itself. answers: what the model said, and what when asked again."""

    says: str
    picture: Picture
    answers: tuple[Line, ...]


@dataclass(frozen=True)
class MapPart:
    """What a page has of one target. value: what the whole photo scored. why: why a fact is missing; or empty."""

    target: str
    value: str
    verdict: str
    effort: str
    badges: tuple[Badge, ...]
    photo: Picture
    map: Picture
    thumbnail: Picture
    legend: Legend
    facts: tuple[Fact, ...]
    why: str


@dataclass(frozen=True)
class ExplainPage:
    """All that the page of an explanation shows. first: the model's own first answer, in a sentence's words."""

    TEMPLATE: ClassVar[str] = "explain.html"

    frame: Frame
    maps: tuple[MapPart, ...]
    answer: AnswerPart
    first: str


def page(explanation: Explanation, record: bytes, *, command: Sequence[str], source: str, resume: str) -> ExplainPage:
    """Return what report.html shows. record: run.json. command: as typed. source: where the photo is from.

    resume: the command that completes it; empty where there is none.

    Raises:
        MissingExtra: no matplotlib.
    """
    frame = parts.frame(
        explanation,
        ("run.json", record),
        about=f"{source}, asked of {explanation.oracle.name}",
        verdict=_verdict(explanation),
        badges=[state(explanation)],
        cautions=cautions.of_explanation(explanation),
        command=command,
        resume=resume,
    )
    targets = [m.target for m in explanation.maps]
    return ExplainPage(
        frame=frame,
        maps=tuple(_map(explanation, m) for m in explanation.maps),
        answer=parts.answer(explanation.clean, explanation.oracle, targets),
        first=sentence.first_answer(explanation),
    )


def state(explanation: Explanation) -> Badge:
    """Return how it ended, in two words: complete alone does not say that anything was found."""
    if explanation.partial:
        return Badge("partial", "doubt")
    if all(sentence.stamp(explanation, m) for m in explanation.maps):
        return Badge("nothing found", "doubt")
    return Badge("complete", "good")


def _verdict(explanation: Explanation) -> str:
    if len(explanation.maps) == 1:
        return sentence.verdict(explanation, explanation.maps[0])
    return f"What speaks for {', '.join(sentence.named(m) for m in explanation.maps)}"


def _map(explanation: Explanation, m: TargetMap) -> MapPart:
    stamped = sentence.stamp(explanation, m)
    pixels = map_pixels(explanation, m, parts.LONGEST_PICTURE)
    verified = m.verified
    found = () if verified is None else tuple(each for each in (verified.enough, verified.breaks) if each is not None)
    return MapPart(
        target=m.target,
        value=sentence.value_on_photo(explanation, m),
        verdict=sentence.verdict(explanation, m),
        effort=sentence.effort(explanation, m),
        badges=(Badge(stamped, "doubt"),) if stamped else (),
        photo=parts.picture(explanation.photo, "the photo"),
        map=parts.picture(pixels, f"the map for {m.target} on the photo in grey"),
        thumbnail=parts.picture(pixels, f"the map for {m.target}, small", LONGEST_THUMBNAIL),
        legend=_legend(explanation, m),
        facts=tuple(_fact(explanation, each) for each in found),
        why=in_words_of(explanation, NOT_VERIFIED if verified is None else parts.sentence_of(verified.why)),
    )


def _fact(explanation: Explanation, part: Part) -> Fact:
    said = [
        Line("answer" if place == 0 else "asked again", _short(parts.answer(given, explanation.oracle)))
        for place, given in enumerate(part.answers)
    ]
    picture = parts.picture(part.image, f"the photo as it was asked: {part.says}")
    return Fact(part.says, picture, tuple(said))


def _short(found: AnswerPart) -> str:
    """Return the first label of an answer with its number, or its text."""
    if not found.lines:
        return found.text
    first = found.lines[0]
    return f"{first.label} ({first.number})" if first.number else first.label


def _legend(explanation: Explanation, m: TargetMap) -> Legend:
    """Return how to read a map."""
    colours = scale(m.values, signed=m.sent.signed)
    low, middle, high = WORDS[m.sent.signed]
    return Legend(
        bar=_bar(explanation, m, f"colours from “{low}” to “{high}”") if colours.bar else None,
        low=low, middle=middle, high=high,
        unit=f"Colour: {sentence.plain_unit(m)}.",
        notes=tuple(_notes(m, colours, sentence.stamp(explanation, m))),
    )  # fmt: skip


def _notes(m: TargetMap, colours: Scale, stamped: str) -> Iterator[str]:
    """Give what else must be known to read a map. stamped: what is written across it."""
    if colours.note:
        yield parts.sentence_of(colours.note)
    if not colours.bar:
        return
    if stamped:
        yield "All of this map is pale, since it is no evidence: see its stamp."
    elif m.standard_error is None:
        yield "This method does not say how sure it is: weak colours may be chance."
    else:
        yield "Pale places, the lower half of the bar, could be chance: the 90 % interval of their value includes 0."
    yield "Grey places have no effect, or hardly any."
    if not np.isfinite(m.values).all():
        yield "The faded margin was not shown to the model."


def _bar(explanation: Explanation, m: TargetMap, alt: str) -> Picture:
    """Return the colours of a map, in a band of each opacity: of what is sure, and of what is pale."""
    figure = _figure()
    bands = figure.bands(m.half_width, sentence.stamp(explanation, m))
    return parts.exact(figure.bar_pixels(figure.ramp(signed=m.sent.signed), bands), alt)


def _figure() -> ModuleType:
    try:
        from bbquery.report import figure  # noqa: PLC0415 - matplotlib is optional
    except ImportError as error:
        raise MissingExtra("report", "drawing a map", "matplotlib") from error
    return figure
