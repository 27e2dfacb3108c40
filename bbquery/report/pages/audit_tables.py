"""Tables of an audit in words: its gates, its oracles side by side, agreement, what changed, and what was spent."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bbquery.jobs.percent import percent
from bbquery.money import dollars_up
from bbquery.report.pages.parts import NONE, Table
from bbquery.report.spent import LAST_RUN, of_allowed, taken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bbquery.jobs.audit.summary import OracleSummary, Summary
    from bbquery.jobs.intervals import Estimate

MOST_NAMED = 8  # photos that one line names
OF_FIGURES = (
    "Each figure with its 95 % interval over the photos it rests on, n. It speaks of photos like these, not of others. "
    "Fidelity: area below the insertion curve less that below the deletion curve, in score; more is better. Enough: "
    "share of the photo that was found to keep the answer alone. Breaks: share whose hiding was found to change it."
)
OF_ATTACKS = (
    " Kept: photos whose label withstood every attack within the distance and the queries; no proof that none succeeds."
)
OF_AGREEMENT = (
    "Labels: photos that both named the same first. Maps: mean rank correlation of the two maps of a photo, from −1 to "
    "1; 0 is what unrelated maps have."
)
OF_CHANGES = "Paired by photo: only photos that both audits have count. An interval that holds 0 may be chance."


def share(found: Estimate) -> str:
    """Return a share for people: "62 % [44 %, 77 %], n = 32"."""
    return _with_interval(found, percent)


def number(found: Estimate) -> str:
    """Return a number for people: "0.41 [0.30, 0.52], n = 12"."""
    return _with_interval(found, lambda value: f"{value:z.2f}".replace("-", "−"))


def _with_interval(found: Estimate, show: Callable[[float], str]) -> str:
    if not found.known:
        return NONE
    between = "" if math.isnan(found.low) else f" [{show(found.low)}, {show(found.high)}]"
    return f"{show(found.value)}{between}, n = {found.n:,}"


def oracles(summary: Summary) -> Table:
    """Return every figure of every oracle, an oracle a column."""
    found = summary.oracles
    lines = [line for line in _lines(found) if any(cell != NONE for cell in line[1:])]
    said = OF_FIGURES + (OF_ATTACKS if any(each.robust for each in found) else "")
    return Table(said, ("figure", *(each.name for each in found)), tuple(lines))


def _lines(found: Sequence[OracleSummary]) -> Iterator[tuple[str, ...]]:
    yield "model", *(each.model for each in found)
    yield "versions that answered", *(", ".join(each.served) or NONE for each in found)
    yield "photos done", *(_done(each) for each in found)
    yield "ended early", *(each.ended or NONE for each in found)
    for name, figure, show in (
        ("right label", "right", share), ("label flips, asked again", "flipped", share), ("refused", "refused", share),
        ("fidelity of maps", "fidelity", number), ("maps that could be chance", "chance", share),
        ("enough", "enough", share), ("breaks", "breaks", share),
    ):  # fmt: skip
        yield name, *(show(getattr(each, figure)) for each in found)
    for distance in sorted({at.rmse for each in found for at in each.robust}, reverse=True):
        yield f"label kept, RMSE ≤ {distance:g}", *(_robust(each, distance) for each in found)
    yield "photos with drift", *(f"{each.drifted:,}" for each in found)
    yield "copies without an answer", *(_unanswered(each) for each in found)
    yield "cost of a photo, by all runs", *(_a_photo(each) for each in found)


def _done(each: OracleSummary) -> str:
    others = ((each.partial, "partial"), (each.failed, "failed"), (each.not_begun, "not begun"))
    more = "".join(f", {count:,} {what}" for count, what in others if count)
    return f"{each.complete:,} of {each.photos:,}{more}"


def _robust(each: OracleSummary, distance: float) -> str:
    return next((share(at.share) for at in each.robust if at.rmse == distance), NONE)


def _unanswered(each: OracleSummary) -> str:
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in each.kinds.items() if count)
    return f"{each.unanswered:,} of {each.asked:,}" + (f" ({kinds})" if kinds else "")


def _a_photo(each: OracleSummary) -> str:
    spent = each.of_a_photo
    return f"{spent.queries:,} queries, ${dollars_up(spent.picodollars)}" if spent.queries else NONE


def budgets(summary: Summary) -> Table:
    """Return what the whole and each oracle have spent, hold and may spend; and what the last run took, if known."""
    named = [("all", "", summary.budget), *((each.name, each.name, each.budget) for each in summary.oracles)]
    lately = [summary.taken(budget, of) for _, of, budget in named]
    rows = [
        [name, ", ".join(of_allowed(budget, dollars_up)) or "nothing", taken(amount, dollars_up)]
        for (name, _, budget), amount in zip(named, lately, strict=True)
    ]
    columns = ("budget", "spent, of what is allowed", LAST_RUN)
    shown = len(columns) if any(amount is not None for amount in lately) else len(columns) - 1
    unknown = sum(each.unknown for each in summary.oracles)
    said = (
        "By all runs of this audit together, in whichever folder. Stored answers are free, and not counted. Dollars "
        "are rounded up: audit.json has them exactly."
    )
    if unknown:
        said += f" {unknown:,} queries may have been billed without an answer, so their money stays held."
    return Table(said, columns[:shown], tuple(tuple(row[:shown]) for row in rows))


def agreement(summary: Summary) -> Table | None:
    """Return how far each two oracles agree; None where there is no pair."""
    rows = tuple(
        (" and ".join(each.oracles), share(each.labels), number(each.maps), named(each.apart))
        for each in summary.agreements
    )
    return Table(OF_AGREEMENT, ("models", "same label", "maps", "named differently"), rows) if rows else None


def changes(summary: Summary) -> Table | None:
    """Return what changed since a baseline; None without one."""
    rows = tuple(
        (each.oracle, each.figure, number(each.before), number(each.after), number(each.difference), named(each.photos))
        for each in summary.changes
    )
    header = ("model", "figure", "before", "now", "difference", "photos")
    return Table(OF_CHANGES, header, rows) if summary.baseline else None


def named(photos: Sequence[str]) -> str:
    """Return names of photos, the first few, and how many more there are."""
    if not photos:
        return NONE
    more = f", and {len(photos) - MOST_NAMED:,} more" if len(photos) > MOST_NAMED else ""
    return ", ".join(photos[:MOST_NAMED]) + more
