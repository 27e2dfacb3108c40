"""Photos of an audit for its page: the state of each, what is remarkable, small pictures, and the nearest changes."""

from __future__ import annotations

import math
import urllib.parse
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import PIL.Image

from bbquery.jobs.percent import percent
from bbquery.report.pages import parts
from bbquery.report.pages.parts import Badge, Picture

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bbquery.jobs.audit.row import AttackRow, Row
    from bbquery.jobs.audit.summary import Summary
    from bbquery.report.pages.parts import Tone

FEW, MANY = 200, 1000  # lines: with larger thumbnails, and with any
LONGEST_THUMBNAIL, SMALL_THUMBNAIL = 240, 120  # pixels
MOST_NEAREST = 6  # changed photos that are shown by themselves

MEANINGS = {
    "broke a gate": "it is among the photos for which a gate failed",
    "failed": "there is nothing of it, for a cause that lies in this photo",
    "partial": "fewer answers than planned: what is said of it rests on those",
    "not begun": "nothing was asked of it: its worst case did not fit, or the run ended before",
    "no answer": "the model gave no answer to the photo as it is, or names nothing in it",
    "could be chance": "all was asked that was planned, but none of its maps stands out from chance",
    "done": "all was asked that was planned",
}
"""What each state of a photo means, the worst first."""

TONES: Mapping[str, Tone] = {
    "broke a gate": "bad", "failed": "bad", "partial": "doubt", "no answer": "doubt", "could be chance": "doubt",
    "done": "good",
}  # fmt: skip

MEASURED: Mapping[str, Callable[[float], str]] = {
    "fidelity": lambda value: f"{value:z.2f}".replace("-", "−"), "enough": percent,
    "nearest change": lambda value: f"{value:.4f}",
}  # fmt: skip
"""What may be measured of a photo on a model, and how it is shown."""

Broken: TypeAlias = Mapping[tuple[str, str], Sequence[str]]
"""Gates that each photo broke, by the photo's name and the oracle's."""


@dataclass(frozen=True)
class Entry:
    """One photo on one model. numbers: by the names of `MEASURED`. notes: what is remarkable, the worst first."""

    photo: str
    oracle: str
    state: Badge
    link: str
    pictures: tuple[Picture, ...]
    first: str
    label: str
    numbers: Mapping[str, float | None]
    notes: tuple[str, ...]

    def key(self, name: str) -> float | str:
        """Return the number to sort by; empty where it was not measured."""
        value = self.numbers[name]
        return "" if value is None else value

    def said(self, name: str) -> str:
        """Return the number for people."""
        value = self.numbers[name]
        return parts.NONE if value is None else MEASURED[name](value)


@dataclass(frozen=True)
class Nearest:
    """A change that was found. said: what the model makes of it, and how far it is."""

    photo: str
    oracle: str
    picture: Picture
    link: str
    said: str


@dataclass(frozen=True)
class Gallery:
    """Every photo on every oracle, the worst first.

    measured: which numbers any photo has. counts: of each state, with its meaning.
    """

    entries: tuple[Entry, ...]
    measured: tuple[str, ...]
    counts: tuple[tuple[Badge, int, str], ...]
    nearest: tuple[Nearest, ...]


def gallery(summary: Summary) -> Gallery:
    """Return every row of an audit for people, the worst first."""
    broken = _broken(summary)
    total = sum(each.complete + each.partial + each.failed for each in summary.oracles)
    longest = LONGEST_THUMBNAIL if total <= FEW else SMALL_THUMBNAIL if total <= MANY else 0
    found = [(_rank(row, broken), _entry(row, summary, broken, longest), _nearest(row)) for row in summary.rows()]
    found.sort(key=lambda each: each[0])
    entries = tuple(entry for _, entry, _ in found)
    counts = Counter(entry.state for entry in entries)
    examples = [each for _, _, each in found if each is not None]
    return Gallery(
        entries,
        tuple(name for name in MEASURED if any(entry.numbers[name] is not None for entry in entries)),
        tuple((state, counts[state], MEANINGS[state.text]) for state in sorted(counts, key=_order)),
        tuple(_examples(examples, summary)),
    )


def _broken(summary: Summary) -> Broken:
    """Return the gates that each photo broke, by the photo's name and the oracle's."""
    found = defaultdict[tuple[str, str], list[str]](list)
    for gate in summary.gates:
        for photo in gate.photos if gate.verdict == "failed" else ():
            for oracle in gate.oracle.split(" and "):
                found[photo, oracle].append(gate.name)
    return found


def _state(row: Row, broken: Broken) -> str:
    if (row.photo, row.oracle) in broken:
        return "broke a gate"
    if row.status != "complete":
        return row.status
    if row.nothing:
        return "no answer"
    return "could be chance" if row.maps and all(m.stamp for m in row.maps) else "done"


def _order(state: Badge) -> int:
    return list(MEANINGS).index(state.text)


def _rank(row: Row, broken: Broken) -> tuple[float, ...]:
    """Return by what photos are ordered, the worst first: gates broken, state, distance of a change, fidelity."""
    gates, state = broken.get((row.photo, row.oracle), ()), _state(row, broken)
    nearest, fidelity = _distance(row), row.fidelity
    return (
        -len(gates), list(MEANINGS).index(state), math.inf if nearest is None else nearest,
        math.inf if fidelity is None else fidelity,
    )  # fmt: skip


def _distance(row: Row) -> float | None:
    """Return how far the nearest verified adversarial image is; None where there is none."""
    return min((attack.rmse for attack in row.attacks if attack.rmse is not None), default=None)


def _entry(row: Row, summary: Summary, broken: Broken, longest: int) -> Entry:
    state = _state(row, broken)
    shown = [(row.thumbnail, f"the photo {row.photo}"), *((m.picture, f"the map for {m.target}") for m in row.maps[:1])]
    pictures = [_picture(summary.folder, path, alt, longest) for path, alt in shown if longest]
    shares = [m.enough for m in row.maps if m.enough is not None]
    return Entry(
        photo=row.photo, oracle=row.oracle, state=Badge(state, TONES.get(state, "none")),
        link=_link(row, summary.folder),
        pictures=tuple(filter(None, pictures)), first=row.first or row.nothing or parts.NONE,
        label=row.label or "",
        numbers={"fidelity": row.fidelity, "enough": min(shares, default=None), "nearest change": _distance(row)},
        notes=tuple(_notes(row, broken)),
    )  # fmt: skip


def _notes(row: Row, broken: Broken) -> Iterator[str]:
    yield from (f"broke {gate}" for gate in broken.get((row.photo, row.oracle), ()))
    if row.why:
        yield row.why
    if row.right is False:
        yield f"the plan says {row.label}"
    if row.flips:
        yield f"asked again {row.repeats} times, {row.flips} named another label"
    if row.drifted:
        yield "the model changed meanwhile"
    elif row.drifted is False and row.changed is None:
        yield "whether the model changed was not seen to the end"
    for m in row.maps:
        yield from filter(None, (f"map of {m.target}: {m.stamp.lower()}" if m.stamp else "", *m.facts))
    yield from map(_came_of, row.attacks)


def _came_of(attack: AttackRow) -> str:
    if attack.rmse is None:
        return attack.verdict or f"{attack.attack}: {attack.outcome}"
    votes = f"in {attack.votes} of {attack.asked} answers"
    return f"called {attack.became} {votes}, changed by RMSE {attack.rmse:.4f}"


def _link(row: Row, folder: Path) -> str:
    """Return a link to the photo's own page, the map's before an attack's; empty where there is none."""
    pages = [*(m.report for m in row.maps), *(attack.report for attack in row.attacks)]
    return next((_quoted(page) for page in pages if page and (folder / page).exists()), "")


def _quoted(path: str) -> str:
    return "./" + urllib.parse.quote(path, errors="surrogateescape")


def _picture(folder: Path, path: str, alt: str, longest: int) -> Picture | None:
    """Return a picture of the audit's folder as a thumbnail; None where it is not there any more, or lies elsewhere."""
    place = (folder / path).resolve()
    if not path or not place.is_file() or not place.is_relative_to(folder.resolve()):
        return None
    with PIL.Image.open(place) as image:
        image.draft("RGB", (longest, longest))
        pixels = np.asarray(image.convert("RGB"))
    return parts.picture(pixels, alt, longest)


def _nearest(row: Row) -> tuple[Row, AttackRow] | None:
    found = [attack for attack in row.attacks if attack.rmse is not None and attack.image]
    return (row, min(found, key=lambda attack: attack.rmse or 0.0)) if found else None


def _examples(found: list[tuple[Row, AttackRow]], summary: Summary) -> Iterator[Nearest]:
    """Give the changed photos that lie nearest."""
    for row, attack in sorted(found, key=lambda each: each[1].rmse or 0.0)[:MOST_NEAREST]:
        alt = f"{row.photo}, changed so that {row.oracle} calls it {attack.became}"
        picture = _picture(summary.folder, attack.image, alt, LONGEST_THUMBNAIL)
        if picture is not None:
            distance = f"RMSE {attack.rmse:.4f} after {attack.queries:,} queries"
            said = f"called {attack.became} in {attack.votes} of {attack.asked} answers; {distance}"
            link = _quoted(attack.report) if attack.report else ""
            yield Nearest(row.photo, row.oracle, picture, link, said)
