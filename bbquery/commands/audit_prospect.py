"""Expected and worst cost of an audit, as lines for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bbquery.client import waiting
from bbquery.commands.output import NOTHING_ASKED, table
from bbquery.jobs.audit.admission import Room
from bbquery.jobs.audit.beforehand import unreadable
from bbquery.money import dollars, in_unit

if TYPE_CHECKING:
    from bbquery.jobs.audit.prospect import OracleProspect, Prospect
    from bbquery.units import Units

HEADER = ("oracle", "photos", "queries", "tokens", "at worst", "dollars", "at worst", "one photo", "fit", "at worst")
SECONDS_AN_HOUR = 3600.0
UNKNOWN = "unknown: no limits are known; state requests_per_minute of an oracle"
RULE = (
    "queries are at most so many: lost ones count, and answers that you have, as if asked anew; "
    "'one photo' is its worst case in dollars"
)
FIT = "'fit': photos that the caps admit, if each takes what is expected, and the fewest if each takes its worst case"


def lines(found: Prospect) -> list[str]:
    """Return what an audit would cost."""
    return list(_lines(found))


def _lines(found: Prospect) -> Iterator[str]:
    rows = [_row(oracle) for oracle in found.oracles]
    if len(rows) > 1:
        queries = sum(oracle.queries for oracle in found.oracles)
        rows.append(("all", "", f"{queries:,}", *_amounts(found.expected, found.worst), "", "", ""))
    yield from _photos(found)
    yield ""
    yield from table(HEADER, rows, words=1)
    yield ""
    yield RULE
    yield FIT
    yield f"caps         {_caps(found)}"
    yield from _above(found)
    for oracle in found.oracles:
        yield f"prices       {oracle.name}: {oracle.prices or 'none'}"
    yield from _time(found)
    yield NOTHING_ASKED


def _row(oracle: OracleProspect) -> tuple[str, ...]:
    return (
        oracle.name, f"{oracle.photos:,}", f"{oracle.queries:,}", *_amounts(oracle.expected, oracle.worst),
        dollars(oracle.of_a_photo.picodollars), f"{oracle.as_expected:,}", f"{oracle.at_worst:,}",
    )  # fmt: skip


def _amounts(expected: Units, worst: Units) -> tuple[str, ...]:
    tokens = (f"{expected.tokens:,}", f"{worst.tokens:,}")
    return *tokens, dollars(expected.picodollars), dollars(worst.picodollars)


def _photos(found: Prospect) -> Iterator[str]:
    """Say how many photos there are, and what became of others that are listed."""
    listed, damaged = found.photos, found.damaged
    yield f"photos       {len(listed.photos):,}"
    if listed.again:
        yield f"             {listed.again:,} were listed again, and count once"
    if listed.beyond:
        yield f"             {listed.beyond:,} more are beyond the limit of [photos]"
    if damaged:
        yield f"BEWARE       {len(damaged):,} of them cannot be read, and are not paid for:"
        yield from (f"             {line}" for line in unreadable(damaged))


def _above(found: Prospect) -> Iterator[str]:
    """Say which photos are not begun, since [caps.photo] allows less than they may take."""
    cap = found.plan.caps.photo.cap
    for oracle in found.oracles:
        if oracle.above:
            unit = Room(cap).lacks(oracle.needed)
            allows, takes = in_unit(getattr(cap, unit), unit), in_unit(getattr(oracle.needed, unit), unit)
            of = f"{oracle.above:,} of {oracle.above + oracle.photos:,} photos"
            yield f"BEWARE       {oracle.name}: {of} are not begun: [caps.photo] allows {allows}, one may take {takes}"
    if not any(oracle.photos for oracle in found.oracles):
        yield "BEWARE       nothing would be asked: raise [caps.photo], or ask less of each photo"


def _caps(found: Prospect) -> str:
    caps = found.plan.caps
    stated = [
        *([] if caps.max_queries is None else [f"{caps.max_queries:,} queries"]),
        *([] if caps.max_tokens is None else [f"{caps.max_tokens:,} tokens"]),
        *([] if caps.max_usd is None else [f"${dollars(caps.cap.picodollars or 0)}"]),
        *([] if caps.max_hours is None else [f"{caps.max_hours:g} hours of a run"]),
    ]
    return ", ".join(stated) or "none of the whole audit"


def _time(found: Prospect) -> Iterator[str]:
    if found.seconds is None:
        yield f"time         {UNKNOWN}"
        return
    yield f"time         at least {waiting.in_words(found.seconds)} at the limits that are known or stated"
    for oracle in found.oracles:
        if oracle.seconds is None:
            yield f"             {oracle.name}: {UNKNOWN}"
    hours = found.plan.caps.max_hours
    if hours is not None and found.seconds > hours * SECONDS_AN_HOUR:
        yield f"             more than the {hours:g} hours of one run: the same command then goes on"
