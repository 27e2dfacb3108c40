"""The section on four networks: the few methods that were measured on each, and whether the aims are met."""

from __future__ import annotations

from typing import TYPE_CHECKING

from networks import NAMES, shows_a_dog

from . import controls, photos
from .rows import LITE0, table
from .statistics import difference, mean
from .words import against, by_budget, estimate, markdown

if TYPE_CHECKING:
    from .rows import Results, Table

ALONE = "designed, without detail"
SHOWN = (*photos.CORE, *controls.ASK_NOTHING, *controls.OF_MAPS)
LONG = (photos.RISE, 8000)
AIMS = ((128, 1.0), (512, 1.1))
"""Queries of ours, and how many times the SRG of RISE with 8,000 they are to reach."""
AIM_QUERIES = tuple(queries for queries, _ in AIMS)
COLUMNS = ("network", "method", "queries", "aim", "difference", "n", "ratio", "verdict")

OPENING = """## Four networks

The same question of each network: answers alone (`detail=false`), and with detail, whose fine structure is the photo's
own. Photos of EfficientNet-Lite1 and 2 and of MobileNetV2 are none of the first 20 in the order in which photos are
taken, since what was chosen by looking was seen on these. MobileNetV2 was fine-tuned on 19 breeds of dogs: photos of
dogs come first, and what is explained is its own first label, right or wrong{dogs}.
"""

RULE = """Aims, set before anything was measured here: 128 queries reach RISE's 8,000, and 512 reach 1.1 times that. The
difference is that of the means, ours less so many times RISE's, over the photos that have both. *Met*: the whole
interval is above 0; *missed*: it is below; *open*: it has both, or there are fewer than five photos.
"""


def section(results: Results) -> str:
    """Return the section as Markdown; nothing where one network alone was measured."""
    measured = {name: _common(table(results.of(photos.PART, name), "SRG")) for name in NAMES}
    measured = {name: found for name, found in measured.items() if found}
    if set(measured) <= {LITE0}:
        return ""
    dogs = {subject for found in measured.get("dogs", {}).values() for subject in found}
    shown = f" ({sum(map(shows_a_dog, dogs))} of {len(dogs)} photos show a dog)" if dogs else ""
    told = [OPENING.format(dogs=shown), RULE, markdown(COLUMNS, _aims(measured))]
    for name, found in measured.items():
        told += [f"### {NAMES[name]}: SRG\n", by_budget(found), against(found, ALONE)]
        told += [f"### {NAMES[name]}: deletion, lower is better\n", _deletion(results, name, found)]
    return "\n".join(told)


def _common(found: Table) -> Table:
    """Return what the networks have in common: the methods of SHOWN, on photos that have an aim's budget."""
    subjects = {subject for queries, _ in AIMS for subject in found.get((ALONE, queries), {})}
    kept = {
        entry: {subject: value for subject, value in values.items() if subject in subjects}
        for entry, values in found.items()
        if entry[0] in SHOWN and (entry[1] in {0, *AIM_QUERIES} or entry == LONG)
    }
    return {entry: values for entry, values in kept.items() if values}


def _aims(measured: dict[str, Table]) -> list[list[str]]:
    lines = []
    for name, found in measured.items():
        for method in (ALONE, "designed"):
            for queries, factor in AIMS:
                ours, theirs = found.get((method, queries), {}), found.get(LONG, {})
                both = ours.keys() & theirs.keys()
                if both:
                    gain = difference(ours, {subject: factor * value for subject, value in theirs.items()})
                    ratio = mean({s: ours[s] for s in both}).mean / mean({s: theirs[s] for s in both}).mean
                    told = [estimate(gain, 3, signed=True), str(gain.n), f"{ratio:.2f}", _verdict(gain.low, gain.high)]
                    lines.append([NAMES[name], method, str(queries), f"{factor:g}", *told])
    return lines


def _verdict(low: float, high: float) -> str:
    if low > 0:
        return "met"
    return "missed" if high < 0 else "open"


def _deletion(results: Results, name: str, shown: Table) -> str:
    found = table(results.of(photos.PART, name), "deletion")
    kept = {entry: {s: v for s, v in found[entry].items() if s in values} for entry, values in shown.items()}
    return by_budget(kept, lowest=True)
