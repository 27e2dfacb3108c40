"""Results as notebooks, plots, folders and plain data: each kind by the writers and pictures of the command line."""

from __future__ import annotations

import contextlib
import html as escaping
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bbquery import option_types
from bbquery.errors import MissingExtra, UsageError
from bbquery.jobs.attack.result import Stress
from bbquery.jobs.compare.result import Comparison
from bbquery.jobs.evaluate.result import Evaluation
from bbquery.jobs.explain.result import Explanation
from bbquery.jobs.keywords import in_python, translate
from bbquery.report import attack, cautions, comparison, evaluation, explanation, folder, probe, sentence
from bbquery.report.attack_headline import headline
from bbquery.report.claim import ANOTHER, claimed
from bbquery.report.files import check_writable
from bbquery.report.map_picture import below_photo, map_pixels
from bbquery.report.pages import parts
from bbquery.report.spent import spent
from bbquery.shown import shown

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes

    from bbquery.errors import BbqueryError
    from bbquery.jobs.explain.result import TargetMap
    from bbquery.jobs.probe.result import Probe
    from bbquery.report.pages.parts import Picture
    from bbquery.report.record import OfOneImage

BOX = "max-width:60em;line-height:1.45"
ROW = "display:flex;flex-wrap:wrap;gap:.5em;margin:.5em 0"
PICTURE = "max-width:100%;height:auto;background:#fff"
LONGEST = 400  # pixels of a photo and of a map on it, which stand side by side
CELL = "text-align:left;padding:.1em 1em .1em 0;vertical-align:top"


@dataclass(frozen=True)
class Section:
    """A finding in words, and the pictures of it, which are drawn when they are called. below: what they mean."""

    said: str
    pictures: Sequence[Callable[[], Picture]] = ()
    below: str = ""


@dataclass(frozen=True)
class Shown:
    """What a notebook shows of a result: findings, figures by name, and what to beware of."""

    sections: Sequence[Section]
    figures: Sequence[tuple[str, str]]
    warnings: Sequence[str]


def html(result: OfOneImage) -> str:
    """Return HTML of a result, all that comes from outside escaped. It never raises: a cell shows what can be shown.

    Where a picture cannot be drawn, words say why.
    """
    try:
        return _page(_shown(result))
    except Exception as error:  # noqa: BLE001 - a result that was paid for is shown at least in a line
        return f"<p>{_text(repr(result))}</p><p>{_text(f'It cannot be shown in full: {error}')}</p>"


def html_of_part(said: str, result: OfOneImage | None, error: BbqueryError | None) -> str:
    """Return HTML of one of several results. said: which it is. error: what ended it early; None where nothing did."""
    head = f"<p><b>{_text(said)}</b></p>"
    return head + (f"<p>{_text(str(error))}</p>" if result is None else html(result))


def plot(result: OfOneImage, ax: Axes | None) -> Axes:
    """Draw a result; see `bbquery.jobs.presented.Presented.plot`."""
    try:
        from bbquery.report import axes  # noqa: PLC0415 - matplotlib is optional
    except ImportError as error:
        raise MissingExtra("report", "plotting a result", "matplotlib") from error
    if not (ax is None or hasattr(ax, "set_title")):
        raise UsageError(f"ax must be axes of matplotlib, or None for a figure of its own, not {ax!r}")
    return axes.draw(result, axes.new(result) if ax is None else ax)


def save(result: OfOneImage, place: str | os.PathLike[str], *, force: bool) -> list[Path]:
    """Write a result; see `bbquery.jobs.presented.Presented.save`."""
    with in_words_of_save(), claimed(option_types.folder("folder", place), result.run, force=force) as taken:
        return _written(result, check_writable(taken))


@contextlib.contextmanager
def in_words_of_save() -> Iterator[None]:
    """Let errors that are raised here name arguments of `save`."""
    try:
        yield
    except UsageError as error:
        error.args = (str(error).replace(ANOTHER, "choose another folder"),)
        translate(error, ("force",))
        raise


def to_dict(result: OfOneImage) -> dict[str, Any]:
    """Return the content of a result's record."""
    plain: dict[str, Any] = json.loads(_record(result))
    return plain


def _written(result: OfOneImage, place: Path) -> list[Path]:
    made: dict[str, Any] = {"command": (), "source": result.source}
    match result:
        case Explanation():
            return folder.write(result, folder.prepare(place), **made)
        case Comparison():
            return comparison.write(result, place, **made)
        case Evaluation():
            return evaluation.write(result, place, of=result.of, **made)
        case Stress():
            return attack.write(result, place, **made)
    return probe.write(result, place, following=(), **made)


def _record(result: OfOneImage) -> bytes:
    made: dict[str, Any] = {"command": (), "source": result.source, "files": {}}
    match result:
        case Explanation():
            return explanation.record(result, **made)
        case Comparison():
            return comparison.record(result, **made)
        case Evaluation():
            return evaluation.record(result, of=result.of, **made)
        case Stress():
            return attack.record(result, **made)
    return probe.record(result, following=(), **made)


def _shown(result: OfOneImage) -> Shown:
    match result:
        case Explanation():
            return _explanation(result)
        case Comparison():
            return _comparison(result)
        case Evaluation():
            return _evaluation(result)
        case Stress():
            return _stress(result)
    return _probe(result)


def _explanation(found: Explanation) -> Shown:
    return Shown(
        [*(_map(found, m) for m in found.maps), Section(below_photo(found))],
        [*_verified(found), ("spent", _spent(found)), *_ended(found)],
        [f"{each.kind}: {each.target}: {each.text}" for each in cautions.of_maps(found)],
    )


def _verified(found: Explanation) -> list[tuple[str, str]]:
    """Return what was asked of parts of the photo by themselves, for each target."""
    return [(f"verified of {m.target}", says) for m in found.maps if m.verified is not None for says in m.verified.says]


def _map(found: Explanation, m: TargetMap) -> Section:
    said, unit = sentence.caption(found, m), sentence.plain_unit(m)

    def photo() -> Picture:
        return parts.picture(found.photo, "the photo", LONGEST)

    def on_photo() -> Picture:
        return parts.picture(map_pixels(found, m, LONGEST), f"the map on the photo: {said}", LONGEST)

    return Section(said, [photo, on_photo], unit)


def _comparison(found: Comparison) -> Shown:
    rows = [(each.method, _compared(each.status, each.queries.answered, each.curves)) for each in found.results]
    said = f"{len(found.results)} methods on one photo, {found.oracle.name}"
    return Shown(
        [
            Section(
                said, [lambda: parts.drawn(comparison.sheet_png(found), "each method's map, and how much they agree")]
            )
        ],
        [*rows, ("spent", _spent(found)), *_ended(found)],
        [f"{each.kind}: {each.text}" for each in comparison.warnings(found)],
    )


def _compared(status: str, queries: int, curves: Any) -> str:
    srg = "" if curves is None else f", SRG {curves.srg:z.3f}"
    return f"{status}, {queries:,} queries{srg}"


def _evaluation(found: Evaluation) -> Shown:
    rows = [(each.metric, f"{each.value:.4g} ({each.better} is better)") for each in found.measurements]
    said, curves = f"How good the map of {sentence.quoted(found.target)} is, asked of {found.oracle.name}", found.curves
    drawn = [] if curves is None else [lambda: parts.drawn(evaluation.picture(found, curves), "deletion and insertion")]
    return Shown([Section(said, drawn)], [*rows, ("spent", _spent(found)), *_ended(found)], found.warnings)


def _stress(found: Stress) -> Shown:
    seen = found.found is not None and found.found.best is not None
    about = "the clean image, the image that was found, and their difference"
    return Shown(
        [Section(headline(found), [lambda: parts.drawn(attack.overview(found), about)] if seen else [])],
        [("true label", found.bound.target), ("spent", _spent(found)), *_ended(found)],
        [f"{each.kind}: {each.text}" for each in cautions.of_votes(found)],
    )


def _probe(found: Probe) -> Shown:
    advice = found.advice
    said = f"How {found.oracle.name} is best explained" if advice.queries else "Do not spend more on this photo"
    return Shown(
        [Section(said, [lambda: parts.drawn(probe.picture(found), "answers against what was visible")])],
        [("method", advice.method), ("score", advice.score), ("queries", f"{advice.queries:,}")]
        + [("because", each) for each in advice.reasons]
        + [("spent", _spent(found)), *_ended(found)],
        advice.warnings,
    )


def _spent(result: OfOneImage) -> str:
    return spent(result.budget, result.queries.from_store, result.queries.sent).removeprefix("spent: ")


def _ended(result: OfOneImage) -> list[tuple[str, str]]:
    return [("PARTIAL", str(result.error))] if result.partial else []


def _page(shown_as: Shown) -> str:
    sections = "".join(map(_section, shown_as.sections))
    rows = "".join(
        f'<tr><th style="{CELL}">{_text(name)}</th><td style="{CELL}">{_text(value)}</td></tr>'
        for name, value in shown_as.figures
    )
    warned = "".join(f"<p>⚠ {_text(in_python(line))}</p>" for line in shown_as.warnings)
    return f'<div style="{BOX}">{sections}<table>{rows}</table>{warned}</div>'


def _section(section: Section) -> str:
    said = f"<p><b>{_text(section.said)}</b></p>"
    try:
        pictures = "".join(_picture(draw()) for draw in section.pictures)
    except MissingExtra as missing:
        return f"{said}<p>{_text(f'No picture: {missing}')}</p>"
    below = f"<p>{_text(section.below)}</p>" if section.below else ""
    return f'{said}<div style="{ROW}">{pictures}</div>{below}' if pictures else said


def _picture(picture: Picture) -> str:
    size = f'width="{picture.width}" height="{picture.height}"'
    return f'<img style="{PICTURE}" {size} alt="{_text(picture.alt)}" src="{picture.data}">'


def _text(text: str) -> str:
    return escaping.escape(shown(text))
