"""Results as notebooks, plots, folders and plain data: each kind by the writers and pictures of the command line."""

from __future__ import annotations

import base64
import html as escaping
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bbquery.errors import MissingExtra
from bbquery.jobs.attack.result import Stress
from bbquery.jobs.compare.result import Comparison
from bbquery.jobs.evaluate.result import Evaluation
from bbquery.jobs.explain.findings import findings
from bbquery.jobs.explain.result import Explanation
from bbquery.report import attack, comparison, evaluation, explanation, folder, probe, sentence
from bbquery.report.attack_headline import headline
from bbquery.report.claim import claimed
from bbquery.report.files import check_writable
from bbquery.report.map_picture import below_photo, map_png
from bbquery.report.spent import spent
from bbquery.shown import shown

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes

    from bbquery.jobs.probe.result import Probe
    from bbquery.report.record import OfOneImage

BOX = "max-width:60em;line-height:1.45"
PICTURE = "display:block;max-width:100%;height:auto;background:#fff;margin:.5em 0"
CELL = "text-align:left;padding:.1em 1em .1em 0;vertical-align:top"


@dataclass(frozen=True)
class Picture:
    """A picture of a result. about: what it shows, in words. draw: returns a PNG."""

    about: str
    draw: Callable[[], bytes]


@dataclass(frozen=True)
class Shown:
    """What a notebook shows of a result: what it came to, figures by name, what to beware of, and pictures."""

    said: str
    figures: Sequence[tuple[str, str]]
    warnings: Sequence[str]
    pictures: Sequence[Picture]


def html(result: OfOneImage) -> str:
    """Return HTML of a result, all that comes from outside escaped. It never raises: a cell shows what can be shown.

    Where a picture cannot be drawn, words say why.
    """
    try:
        return _page(_shown(result))
    except Exception as error:  # noqa: BLE001 - a result that was paid for is shown at least in a line
        return f"<p>{_text(repr(result))}</p><p>{_text(f'It cannot be shown in full: {error}')}</p>"


def plot(result: OfOneImage, ax: Axes | None) -> Axes:
    """Draw a result; see `bbquery.jobs.presented.Presented.plot`."""
    try:
        from bbquery.report import axes  # noqa: PLC0415 - matplotlib is optional
    except ImportError as error:
        raise MissingExtra("report", "plotting a result", "matplotlib") from error
    return axes.draw(result, axes.new(result) if ax is None else ax)


def save(result: OfOneImage, place: str | os.PathLike[str], *, force: bool) -> list[Path]:
    """Write a result; see `bbquery.jobs.presented.Presented.save`."""
    with claimed(Path(place), result.run, force=force) as taken:
        return _written(result, check_writable(taken))


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
    captions = [sentence.caption(found, m) for m in found.maps]
    pictures = [Picture(said, lambda m=m: map_png(found, m)) for said, m in zip(captions, found.maps, strict=True)]  # type: ignore[misc] # a default binds the map of this turn
    return Shown(
        "\n".join([*captions, below_photo(found)]),
        [("spent", _spent(found)), *_ended(found)],
        [f"{each.kind}: {each.target}: {each.text}" for each in findings(found)],
        pictures,
    )


def _comparison(found: Comparison) -> Shown:
    rows = [(each.method, _compared(each.status, each.queries.asked, each.curves)) for each in found.results]
    return Shown(
        f"{len(found.results)} methods on one photo, {found.oracle.name}",
        [*rows, ("spent", _spent(found)), *_ended(found)],
        [f"{each.kind}: {each.text}" for each in comparison.warnings(found)],
        [Picture("the photo, the map of each method, and how much they agree", lambda: comparison.sheet_png(found))],
    )


def _compared(status: str, queries: int, curves: Any) -> str:
    srg = "" if curves is None else f", SRG {curves.srg:z.3f}"
    return f"{status}, {queries:,} queries{srg}"


def _evaluation(found: Evaluation) -> Shown:
    rows = [(each.metric, f"{each.value:.4g} ({each.better} is better)") for each in found.measurements]
    drawn = "the curves of deletion and insertion"
    curves = found.curves
    return Shown(
        f"How good the map of {sentence.quoted(found.target)} is, asked of {found.oracle.name}",
        [*rows, ("spent", _spent(found)), *_ended(found)],
        found.warnings,
        [] if curves is None else [Picture(drawn, lambda: evaluation.picture(found, curves))],
    )


def _stress(found: Stress) -> Shown:
    seen = found.found is not None and found.found.best is not None
    return Shown(
        headline(found),
        [("true label", found.bound.target), ("spent", _spent(found)), *_ended(found)],
        [f"{each.kind}: {each.text}" for each in attack.warnings(found)],
        [Picture("the clean image, the image that was found, and their difference", lambda: attack.overview(found))]
        if seen
        else [],
    )


def _probe(found: Probe) -> Shown:
    advice = found.advice
    return Shown(
        f"How {found.oracle.name} is best explained"
        if advice.queries
        else "Do not spend more on this photo and target",
        [("method", advice.method), ("score", advice.score), ("queries", f"{advice.queries:,}")]
        + [("because", each) for each in advice.reasons]
        + [("spent", _spent(found)), *_ended(found)],
        advice.warnings,
        [Picture("answers against what was visible", lambda: probe.picture(found))],
    )


def _spent(result: OfOneImage) -> str:
    return spent(result.budget, result.queries.from_store, result.queries.sent).removeprefix("spent: ")


def _ended(result: OfOneImage) -> list[tuple[str, str]]:
    return [("PARTIAL", str(result.error))] if result.partial else []


def _page(shown_as: Shown) -> str:
    said = "".join(f"<p><b>{_text(line)}</b></p>" for line in shown_as.said.split("\n"))
    pictures = "".join(map(_picture, shown_as.pictures))
    rows = "".join(
        f'<tr><th style="{CELL}">{_text(name)}</th><td style="{CELL}">{_text(value)}</td></tr>'
        for name, value in shown_as.figures
    )
    warned = "".join(f"<p>⚠ {_text(line)}</p>" for line in shown_as.warnings)
    return f'<div style="{BOX}">{said}{pictures}<table>{rows}</table>{warned}</div>'


def _picture(picture: Picture) -> str:
    try:
        drawn = base64.b64encode(picture.draw()).decode()
    except MissingExtra as missing:
        return f"<p>{_text(f'No picture: {missing}')}</p>"
    return f'<img style="{PICTURE}" alt="{_text(picture.about)}" src="data:image/png;base64,{drawn}">'


def _text(text: str) -> str:
    return escaping.escape(shown(text))
