"""Parts that several pages share: pictures, answers, money, how to repeat, and what stands in every page's frame."""

from __future__ import annotations

import base64
import io
import json
import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import PIL.Image

from bbquery.jobs.explain.result import top_classes
from bbquery.jobs.percent import percent
from bbquery.money import dollars, dollars_up
from bbquery.oracle import is_unnamed
from bbquery.report.pages.repeat import python_call
from bbquery.report.record_parts import in_words_of
from bbquery.report.sentence import ended
from bbquery.report.spent import HELD
from bbquery.types import Label, Labels, NoAnswer, Text, Vector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from bbquery.client.client import QueryCounts
    from bbquery.jobs.explain.findings import Finding
    from bbquery.ledger.records import BudgetState
    from bbquery.oracle import Capabilities
    from bbquery.report.record import Result
    from bbquery.report.record_parts import Warned
    from bbquery.types import Answer

REPORT = "report.html"
"""The page of a run, beside its pictures."""

SAID = {REPORT: "all of this on one page, to read, to print and to send"}
"""What a record says of it."""

LONGEST_PICTURE = 1000  # pixels; a photo and a map of it then take about half a megabyte
QUALITY = 85  # of JPEG
MOST_ANSWERS = 5
KEPT = "Answers that were paid for are kept: the same again asks nothing twice."
NOT_KEPT = "This model says no version, so it may have changed: the same again asks everything anew."
NONE = "–"
"""In place of what is not known, or not there."""

DIGITS = 3  # of a mean price
SCORE = "{:.4g}"  # what is no probability, as it is
LONGEST_TEXT = 4000  # characters of a model's text

Tone: TypeAlias = Literal["good", "doubt", "bad", "none"]


@dataclass(frozen=True)
class Badge:
    """A few words on how it ended. tone: what colour they have."""

    text: str
    tone: Tone


@dataclass(frozen=True)
class Picture:
    """A picture inside the page. data: its URL. alt: what is seen on it, for whoever does not see it."""

    data: str
    alt: str
    width: int
    height: int


@dataclass(frozen=True)
class Line:
    """A line of a list: a term, and what is said of it."""

    term: str
    text: str


@dataclass(frozen=True)
class AnswerLine:
    """A label of an answer. number: as people read it. share: 0 to 1, for its bar; None without one.

    asked: whether it is the target.
    """

    label: str
    number: str
    share: float | None
    asked: bool


@dataclass(frozen=True)
class AnswerPart:
    """What a model answered: labels, the best first, or a text."""

    lines: tuple[AnswerLine, ...]
    text: str


@dataclass(frozen=True)
class Table:
    """A table. said: what it is of, or what its columns mean."""

    said: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Money:
    """What was spent, held and allowed, by unit, and remarks on it."""

    rows: tuple[tuple[str, str, str, str], ...]
    remarks: tuple[Line, ...]


@dataclass(frozen=True)
class Repeat:
    """How to do it again. command: as typed, a word an item. resume: the command that completes it.

    python: the call that did it, or the same as the command. Each is empty where there is none. again: what the same
    again would ask.
    """

    command: tuple[str, ...]
    resume: str
    python: str
    again: str


@dataclass(frozen=True)
class Record:
    """The record of the run. name: of its file beside the page. data: URL of a copy inside the page."""

    name: str
    data: str


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What stands on every page, around what only its kind has."""

    verb: str
    about: str
    verdict: str
    badges: tuple[Badge, ...]
    cautions: tuple[Warned | Finding, ...]
    money: Money
    repeat: Repeat
    record: Record
    details: tuple[Line, ...]


def frame(
    result: Result,
    record: tuple[str, bytes],
    *,
    about: str,
    verdict: str,
    badges: Sequence[Badge],
    cautions: Sequence[Warned | Finding],
    command: Sequence[str],
    resume: str,
) -> Frame:
    """Return the frame of a page. record: its file's name, and what is in it. resume: the command that completes it."""
    name, data = record
    plain = json.loads(data)
    return Frame(
        verb=plain["verb"],
        about=about,
        verdict=verdict,
        badges=tuple(badges),
        cautions=tuple(replace(each, text=in_words_of(result, each.text)) for each in cautions),
        money=money(result.budget, result.queries, result.oracle),
        repeat=repeat(result, command, resume),
        record=Record(name, _url("application/json", data)),
        details=tuple(details(plain)),
    )


def repeat(result: Result, command: Sequence[str], resume: str) -> Repeat:
    """Return how to do it again. command: as typed. resume: the command that completes it."""
    again = NOT_KEPT if is_unnamed(result.oracle.identity) else KEPT
    return Repeat(tuple(map(shlex.quote, command)), resume, python_call(command) or result.call, again)


def status(result: Result) -> list[Badge]:
    """Return whether a run asked all that it planned; nothing to add where it did."""
    return [Badge("partial: fewer answers than planned", "doubt")] if result.partial else []


def sentence_of(said: str) -> str:
    """Return words as a sentence; nothing of nothing."""
    return ended(f"{said[:1].upper()}{said[1:]}") if said else ""


# --- pictures ---


def picture(pixels: NDArray[np.uint8], alt: str, longest: int = LONGEST_PICTURE) -> Picture:
    """Return pixels (H, W, 3) as a picture without a side longer than this."""
    image = PIL.Image.fromarray(pixels)
    factor = -(-max(image.size) // longest)
    small = image.reduce(factor) if factor > 1 else image
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=QUALITY)
    return Picture(_url("image/jpeg", buffer.getvalue()), alt, *small.size)


def exact(pixels: NDArray[np.uint8], alt: str) -> Picture:
    """Return small pixels (H, W, 3) as a picture that keeps every one of them."""
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, "PNG")
    return drawn(buffer.getvalue(), alt)


def drawn(png: bytes, alt: str) -> Picture:
    """Return a PNG as a picture."""
    with PIL.Image.open(io.BytesIO(png)) as image:
        width, height = image.size
    return Picture(_url("image/png", png), alt, width, height)


def _url(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


# --- answers ---


def answer(given: Answer, oracle: Capabilities, targets: Sequence[str] = ()) -> AnswerPart:
    """Return an answer for people. targets: labels to be marked in it."""
    match given:
        case Vector():
            best = [Label(name, value) for name, value in top_classes(given, oracle, MOST_ANSWERS)]
            probabilities = oracle.answers == "probabilities"
            show = percent if probabilities else SCORE.format
            return _labels(best, targets, show, are_shares=probabilities)
        case Labels(labels):
            scores = [each.score for each in labels]
            are_shares = all(score is not None and 0 <= score <= 1 for score in scores)
            first = labels[:MOST_ANSWERS]
            return _labels(first, targets, SCORE.format, are_shares=are_shares)  # a vendor's score is no probability
        case Text():
            return AnswerPart((), given.spoken.text[:LONGEST_TEXT])
        case NoAnswer():
            return AnswerPart((), f"no answer: {given.reason}")


def _labels(
    labels: Sequence[Label],
    targets: Sequence[str],
    show: Callable[[float], str],
    *,
    are_shares: bool,
) -> AnswerPart:
    lines = tuple(
        AnswerLine(
            each.name if each.box is None else f"{each.name} {each.box}",
            "" if each.score is None else show(each.score),
            each.score if are_shares else None,
            asked=each.name in targets,
        )
        for each in labels
    )
    return AnswerPart(lines, "" if lines else "no label")


# --- money ---


def money(budget: BudgetState, queries: QueryCounts, oracle: Capabilities) -> Money:
    """Return what a budget has spent, and what this run asked."""
    return Money(tuple(_amounts(budget)), tuple(_remarks(budget, queries, oracle)))


def _amounts(budget: BudgetState) -> Iterator[tuple[str, str, str, str]]:
    for unit, word in (("queries", "queries"), ("tokens", "tokens"), ("picodollars", "dollars")):
        posted, held, cap = (getattr(kind, unit) for kind in (budget.posted, budget.held, budget.cap))
        if posted or held or cap is not None or unit == "queries":
            allowed = "no cap" if cap is None else _amount(unit, cap)
            yield word, _amount(unit, posted), _amount(unit, held), allowed


def _amount(unit: str, amount: int) -> str:
    return f"${dollars_up(amount)}" if unit == "picodollars" else f"{amount:,}"


def _remarks(budget: BudgetState, queries: QueryCounts, oracle: Capabilities) -> Iterator[Line]:
    yield Line("this run", f"{queries.asked:,} asked, {queries.sent:,} sent, {queries.from_store:,} from the store")
    if queries.unknown:
        yield Line("perhaps billed", f"{queries.unknown:,} queries without an answer")
    if any(budget.held.amounts):
        yield Line("held", HELD)
    if budget.posted.picodollars or budget.held.picodollars:
        yield Line("dollars", "rounded up; the record has them exactly")
    each = budget.picodollars_a_query
    if oracle.price.free:
        yield Line("price", "this model is free")
    elif each is not None:
        yield Line("price", f"${dollars(round(each, DIGITS - len(str(each))))} a query on average")
    if oracle.price.source:
        yield Line("prices", oracle.price.source)


# --- details ---


def details(record: Mapping[str, Any]) -> Iterator[Line]:
    """Give what is needed to repeat and audit a run, as its record says it."""
    for key in ("run", "finished", "seed", "method", "attack", "metric", "choice", "score"):
        if isinstance(record.get(key), str | int):
            yield Line(key, str(record[key]))
    oracle = record["oracle"]
    yield Line("model", oracle["name"])
    yield Line("model's identity", _pairs(oracle["identity"]))
    yield Line("model's fingerprint", oracle["fingerprint"])
    if image := record["image"]:
        yield Line("photo", f"{image['source']}, {image['width']} × {image['height']} pixels")
        yield Line("digest of the photo", image["pixels"])
        height, width = image["sent"]["size"]
        yield Line("sent", f"{width} × {height} pixels")
        yield Line("digest of what is sent", image["sent"]["pixels"])
    yield Line("budget", record["budget"]["name"])
    yield Line("seconds", _pairs(record["seconds"]))
    yield Line("versions", _pairs(record["versions"]))


def _pairs(found: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in found.items())
