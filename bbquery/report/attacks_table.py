"""Tables of several attacks on several photos: in the form of papers, as text, Markdown and CSV."""

from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING

from bbquery.jobs.attack.statistics import FEWEST
from bbquery.jobs.chance import OUTSIDE
from bbquery.report.attack_headline import counted_labels
from bbquery.shown import cell, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bbquery.jobs.attack.summary import Finding, Pair, Row, Summary
    from bbquery.jobs.intervals import Estimate

LABEL_HEADER = ("photo", "attack", "outcome", "RMSE", "called when asked again")
UNKNOWN, INFINITE = "–", "∞"
COUNTED = (
    "Photos: those with their own label, on which the attack asked all that it planned. Successes: found, verified, "
    "and within the distance; in per cent, with Wilson's 95 % interval. Median: failures are infinitely far; with the "
    f"95 % interval of order statistics, from {FEWEST} photos on. A control is random change at these "
    "distances alone, at each as many queries as an attack asks in all, so it has no median."
)
COMPARED = (
    "Nearer: on how many photos the one is nearer, and the other; a failure is farther than any success. Chance: of "
    "that, by the exact sign test, raised for the number of pairs (Holm). Ratio: of distances where both found one, "
    f"geometric mean with a 95 % bootstrap interval, from {FEWEST} photos on. The last columns: photos on which the "
    "one alone succeeds, and the other alone; and the probability of chance by McNemar's exact test."
)


def header(summary: Summary) -> tuple[str, ...]:
    """Return the names of the columns of `rows`."""
    further = (f"L∞ ≤ {limit:g}" for limit in summary.linf_thresholds)
    return "attack", "photos", *(f"≤ {limit:g}" for limit in summary.thresholds), *further, "median RMSE"


def rows(summary: Summary) -> list[tuple[str, ...]]:
    """Return a line for each attack and control: photos, successes within each distance, median."""
    return [(row.given, str(row.photos), *map(_success, _successes(row)), _median(row)) for row in summary.rows]


def pair_header(summary: Summary) -> tuple[str, ...]:
    """Return the names of the columns of `pair_rows`."""
    return "attacks", "photos", "nearer", "chance", "ratio", *(f"≤ {limit:g} alone" for limit in summary.thresholds)


def pair_rows(summary: Summary) -> list[tuple[str, ...]]:
    """Return a line for each two attacks."""
    given = _given(summary)
    return [
        (
            f"{given[pair.one]} / {given[pair.other]}", str(pair.photos), "{} : {}".format(*pair.nearer),
            chance(pair.chance), _ratio(pair), *(_within(pair, threshold) for threshold in summary.thresholds),
        )
        for pair in summary.pairs
    ]  # fmt: skip


def sentence(summary: Summary) -> str:
    """Return which attacks cannot be told apart, in one sentence; nothing where there is but one."""
    if not summary.pairs:
        return ""
    test = f"by the sign test at {OUTSIDE * 100:g} %, raised for {_count(len(summary.pairs), 'pair')}"
    alike = [pair for pair in summary.alike if pair.enough]
    few = [pair for pair in summary.alike if not pair.enough]
    if not summary.alike:
        return f"Every two attacks can be told apart, {test}."
    said = [f"These cannot be told apart, {test}: {_named(summary, alike)}."] if alike else []
    if few:
        needed = f"at least {FEWEST} photos are needed on which one attack is nearer than the other"
        said.append(f"Too few photos to tell these apart, since {needed}: {_named(summary, few)}.")
    return " ".join(said)


def _named(summary: Summary, pairs: Sequence[Pair]) -> str:
    given = _given(summary)
    return "; ".join(
        f"{given[pair.one]} and {given[pair.other]} ({sum(pair.nearer)} of {_count(pair.photos, 'photo')}, "
        f"{chance(pair.chance)})"
        for pair in pairs
    )


def _given(summary: Summary) -> dict[str, str]:
    """Return the attacks as they were given, by what their folders are called."""
    return {row.attack: row.given for row in summary.rows}


def left_out(summary: Summary) -> list[str]:
    """Return what the table does not count, a line for each attack of which there is some."""
    lines = []
    for row in summary.rows:
        said = [
            f"{_count(number, 'photo')} {why}"
            for number, why in (
                (
                    row.not_attacked,
                    "not attacked: the oracle does not give them their label, or the target class already",
                ),
                (row.incomplete, "not complete"),
            )
            if number
        ]
        if said:
            lines.append(f"not counted of {row.given}: {', '.join(said)}")
    return lines


def preprocessed(summary: Summary) -> list[str]:
    """Return how many treatments the changes of each attack survive, in a line for each of which that was asked."""
    lines = []
    for row in summary.rows:
        asked = [finding.survived for finding in row.findings if finding.survived is not None]
        if asked:
            survived, telling = (sum(numbers) for numbers in zip(*asked, strict=True))
            lines.append(
                f"preprocessing of {row.given}: the changes of {_count(len(asked), 'photo')} survive {survived} of "
                f"{_count(telling, 'treatment')} under which the clean photos stay what they are"
            )
    return lines


def label_rows(findings: Sequence[Finding]) -> list[tuple[str, ...]]:
    """Return a line for each photo and attack: what came of it, how far, and what the found image is called now."""
    return [
        (each.image, each.given, each.outcome or each.status, distance(each.rmse), counted_labels(each.labels))
        for each in findings
    ]


def markdown(summary: Summary, findings: Sequence[Finding] = ()) -> str:
    """Return the tables and what they mean, as Markdown. findings: to list one by one."""
    parts = [
        *_lines(header(summary), rows(summary)),
        "",
        COUNTED,
        *(["", *left_out(summary)] if left_out(summary) else []),
        *(["", *preprocessed(summary)] if preprocessed(summary) else []),
    ]
    if summary.pairs:
        parts += ["", *_lines(pair_header(summary), pair_rows(summary)), "", sentence(summary), "", COMPARED]
    if findings:
        parts += ["", *_lines(LABEL_HEADER, label_rows(findings))]
    return "\n".join(parts) + "\n"


def _lines(names: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    lines = [names, ["---", *(["---:"] * (len(names) - 1))], *cells]
    return ["| " + " | ".join(shown(cell).replace("|", "\\|") for cell in line) + " |" for line in lines]


def table_csv(summary: Summary) -> str:
    """Return the first table with every number apart; infinite is "inf", and what is not known is empty."""
    file = io.StringIO()
    out = csv.writer(file, lineterminator="\n")
    ends = ("successes", "share", "low", "high")
    limits = [f"{limit:g}" for limit in summary.thresholds] + [f"linf_{limit:g}" for limit in summary.linf_thresholds]
    columns = [f"{end}_{limit}" for limit in limits for end in ends]
    median = ("median_rmse", "median_low", "median_high")
    out.writerow(("attack", "control", "photos", *columns, *median, "not_attacked", "incomplete"))
    for row in summary.rows:
        counted: list[object] = []
        for share in _successes(row):
            counted += [hits(share), *_numbers(share)]
        whole = (
            cell(row.given),
            row.control,
            row.photos,
            *counted,
            *_numbers(row.median),
            row.not_attacked,
            row.incomplete,
        )
        out.writerow(whole)
    return file.getvalue()


def _numbers(found: Estimate) -> list[object]:
    return ["" if math.isnan(value) else f"{value:.6g}" for value in (found.value, found.low, found.high)]


def distance(value: float) -> str:
    """Return a distance for people: infinite where there is none."""
    return UNKNOWN if math.isnan(value) else INFINITE if math.isinf(value) else f"{value:.4f}"


def chance(probability: float) -> str:
    """Return a probability of chance for people."""
    return f"P {probability:.2f}" if probability >= 0.095 else f"P {probability:.1g}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _successes(row: Row) -> list[Estimate]:
    return [*row.successes.values(), *row.linf_successes.values()]


def hits(share: Estimate) -> int:
    """Return the number of successes that a share is of."""
    return round(share.value * share.n) if share.known else 0


def _success(share: Estimate) -> str:
    if not share.known:
        return UNKNOWN
    ends = f"{100 * share.low:.0f}, {100 * share.high:.0f}"
    return f"{hits(share)}: {100 * share.value:.0f} % [{ends}]"


def _median(row: Row) -> str:
    median = row.median
    if math.isnan(median.low):
        return distance(median.value)
    return f"{distance(median.value)} [{distance(median.low)}, {distance(median.high)}]"


def _ratio(pair: Pair) -> str:
    found = pair.ratio
    if not found.n:
        return UNKNOWN
    ends = "" if math.isnan(found.low) else f" [{found.low:.2f}, {found.high:.2f}]"
    return f"{found.value:.2f}{ends}, n {found.n}"


def _within(pair: Pair, threshold: float) -> str:
    found = pair.within[threshold]
    return f"{found.one} : {found.other}, {chance(found.chance)}"
