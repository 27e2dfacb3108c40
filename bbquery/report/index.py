"""One page on all images of a run: what was found in each, what it cost, and what casts doubt on it.

It is one file that fetches nothing: its pictures are small and inside it, its links lead to the folders beside it.
"""

from __future__ import annotations

import base64
import html
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from string import Template
from typing import TYPE_CHECKING

from bbquery.jobs.explain.findings import doubts
from bbquery.money import dollars
from bbquery.report.files import write_bytes
from bbquery.report.overlay import thumbnail_jpeg
from bbquery.report.spent import of_allowed
from bbquery.shown import shown

if TYPE_CHECKING:
    from pathlib import Path

    from bbquery.jobs.explain.result import Explanation, TargetMap
    from bbquery.jobs.explain.series import ImageResult
    from bbquery.ledger.records import BudgetState

NAME = "index.html"
NONE = "–"
COLUMNS = ("photo", "map", "image", "status", "queries", "cost", "drift")


@dataclass(frozen=True)
class Entry:
    """An image's line on the page, as HTML; holds no array, so that a thousand of them are small."""

    status: str
    cells: str


def entry(result: ImageResult, source: str, pictures: Sequence[Path]) -> Entry:
    """Return an image's line. pictures: one for each map, in the folder `result.name`; none without an explanation."""
    explanation = result.explanation
    if explanation is None:
        cells = ("", "", _image(result, source), _status(result), NONE, NONE, NONE)
    else:
        cells = (
            f'<img src="{_data(thumbnail_jpeg(explanation.photo))}" alt="the photo {_text(result.name)}"/>',
            "".join(_map(explanation, m, result.name, p) for m, p in zip(explanation.maps, pictures, strict=True)),
            _image(result, source),
            _status(result),
            *_totals(explanation),
        )
    return Entry(result.status, "".join(f"<td>{cell}</td>" for cell in cells))


def write(folder: Path, entries: Sequence[Entry], *, budget: BudgetState, command: Sequence[str]) -> Path:
    """Write the page into the folder that has the images' folders; return its path. budget: the run's.

    Raises:
        UsageError: it cannot be written.
    """
    rows = "\n".join(f'<tr class="{each.status.replace(" ", "-")}">{each.cells}</tr>' for each in entries)
    states = [each.status for each in entries]
    counts = ", ".join(f"{states.count(status)} {status}" for status in dict.fromkeys(states))
    page = PAGE.substitute(
        title=f"{len(entries)} images: {counts}",
        budget=_text(budget.name),
        spent=", ".join(of_allowed(budget)),
        command=_text(" ".join(command)),
        columns="".join(f"<th>{column}</th>" for column in COLUMNS),
        rows=rows,
    )
    path = folder / NAME
    write_bytes(path, page.encode())
    return path


def _map(explanation: Explanation, m: TargetMap, name: str, picture: Path) -> str:
    """Return a map's thumbnail, which leads to its picture, with the target below."""
    jpeg = thumbnail_jpeg(explanation.photo, m.values, signed=m.sent.signed)
    image = f'<img src="{_data(jpeg)}" alt="the map of {_text(m.target)}"/>'
    counted = f"{m.sent.answered:,} of {m.sent.rows:,} answered"
    doubted = "".join(f'<br/><span class="doubt">{doubt}</span>' for doubt in doubts(explanation, m))
    caption = f"<figcaption>{_text(m.target)}<br/><small>{counted}</small>{doubted}</figcaption>"
    return f'<figure><a href="{_link(name, picture.name)}">{image}</a>{caption}</figure>'


def _image(result: ImageResult, source: str) -> str:
    title = _text(result.name)
    if result.explanation is not None:
        title = f'<a href="{_link(result.name, "run.json")}">{title}</a>'
    return f"<b>{title}</b><br/><small>{_text(source)}</small>"


def _status(result: ImageResult) -> str:
    why = "" if result.status == "complete" else f"<br/><small>{_text(str(result.error))}</small>"
    return f'<span class="status">{result.status}</span>{why}'


def _totals(explanation: Explanation) -> tuple[str, str, str]:
    """Return what was asked, what the image's budget has paid, and whether the model drifted."""
    q, budget = explanation.queries, explanation.budget
    unknown = f", {q.unknown:,} unknown" if q.unknown else ""
    asked = f"{q.asked:,}<br/><small>{q.sent:,} sent, {q.from_store:,} from the store{unknown}</small>"
    held = f"<br/><small>${dollars(budget.held.picodollars)} held</small>" if budget.held.picodollars else ""
    cost = "free" if explanation.oracle.price.free else f"${dollars(budget.posted.picodollars)}{held}"
    if not explanation.drift.drifted:
        return asked, cost, "no" if len(explanation.drift.checks) > 1 else "not checked"
    reasons = "; ".join(_text(reason) for reason in explanation.drift.reasons)
    return asked, cost, f'<span class="drifted">drifted</span><br/><small>{reasons}</small>'


def _text(text: str) -> str:
    """Return text as HTML that shows all of it: a mark that turns the direction of writing would mislead."""
    return html.escape(shown(text))


def _link(name: str, file: str) -> str:
    """Return a link relative to the page; "./", or a name with a colon would be read as a scheme."""
    return html.escape("./" + urllib.parse.quote(f"{name}/{file}", errors="surrogateescape"))


def _data(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<title>$title</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem; color: #222; background: #fff; }
h1 { font-size: 1.3rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }
dt { color: #666; }
dd { margin: 0; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; margin-top: 1.5rem; }
th { text-align: left; color: #666; font-weight: normal; }
th, td { padding: .6rem 1rem .6rem 0; border-top: 1px solid #ddd; vertical-align: top; overflow-wrap: anywhere; }
img { display: block; max-width: 240px; }
figure { display: inline-block; margin: 0 .6rem .4rem 0; }
small { color: #666; }
.status, .drifted, .doubt { padding: .05rem .5rem; border-radius: .6rem; background: #dcefdc; white-space: nowrap; }
.partial .status, .drifted, .doubt { background: #fbe6b8; }
.failed .status { background: #f6d0cc; }
.not-begun .status { background: #e4e4e4; }
</style>
</head>
<body>
<h1>$title</h1>
<dl>
<dt>budget</dt><dd>$budget</dd>
<dt>spent so far</dt><dd>$spent</dd>
<dt>command</dt><dd><code>$command</code></dd>
</dl>
<table>
<thead><tr>$columns</tr></thead>
<tbody>
$rows
</tbody>
</table>
</body>
</html>
""")
