"""The page on several attacks on several photos: which succeed within which distance, and each photo's report."""

from __future__ import annotations

import urllib.parse
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bbquery.report import attacks_table
from bbquery.report.attack_headline import TOO_FAR, counted_labels, is_beyond
from bbquery.report.pages import attack, parts
from bbquery.report.pages.parts import Badge, Picture, Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bbquery.jobs.attack.result import Stress
    from bbquery.jobs.attack.summary import Finding, Summary
    from bbquery.jobs.attack.whole import Attacks
    from bbquery.report.pages.parts import Frame, Tone

NAME = "index.html"
LONGEST_THUMBNAIL = 240  # pixels

MEANINGS = {
    "adversarial": "an image was found that the model takes for something else, again when it was asked again",
    TOO_FAR: "an image was found, and lies beyond every distance that was asked about",
    "unverified": "an image was found, but chance could explain it, or it was not asked again",
    "refuted": "an image was found that has its label when it is asked again",
    "empty": "an image was found of which most answers name nothing",
    "not found": "no image that was asked lost the label: not a proof that there is none",
    "not attacked": "the model does not give the clean image its label, or gives it the target class already",
    "partial": "it ended before all was asked",
    "failed": "there is no result, for a cause that lies in this photo",
    "not begun": "the run ended before it",
}
"""What each outcome means."""

TONES: Mapping[str, Tone] = {**attack.TONES, "failed": "bad", "partial": "doubt"}


@dataclass(frozen=True)
class Line:
    """One attack on one photo. link: to its report; empty without one. distance: to sort by; empty where infinite."""

    image: str
    attack: str
    outcome: Badge
    status: str
    link: str
    picture: Picture | None
    rmse: str
    linf: str
    sorted_rmse: str
    sorted_linf: str
    queries: int
    called: str


@dataclass(frozen=True)
class AttacksPage:
    """All that the page shows. tables: what all come to. notes: what they do not count, and what can be told apart."""

    TEMPLATE: ClassVar[str] = "attacks.html"

    frame: Frame
    tables: tuple[Table, ...]
    notes: tuple[str, ...]
    counts: tuple[tuple[Badge, int, str], ...]
    lines: tuple[Line, ...]
    distances: Picture


def thumbnail(stress: Stress) -> Picture:
    """Return a small picture of what was found, or else of the clean image."""
    found = None if stress.found is None else stress.found.best
    what, pixels = ("the clean image", stress.x) if found is None else ("the image that was found", found)
    return parts.picture(pixels, what, LONGEST_THUMBNAIL)


def page(
    attacks: Attacks,
    record: bytes,
    distances: bytes,
    *,
    thumbnails: Mapping[tuple[str, str], Picture],
    command: Sequence[str],
    resume: str,
) -> AttacksPage:
    """Return what index.html shows. record: attacks.json. distances: the PNG of distances against queries.

    thumbnails: of photos under attacks, by their folders' names. The rest as of `bbquery.report.pages.explain.page`.
    """
    summary = attacks.summary
    lines = tuple(_line(each, thumbnails.get((each.image, each.attack)), summary) for each in attacks.findings)
    counts = Counter(line.outcome for line in lines)
    frame = parts.frame(
        attacks,
        ("attacks.json", record),
        about=f"{len(attacks.images)} photos, asked of {attacks.oracle.name}",
        verdict=_verdict(counts),
        badges=parts.status(attacks),
        cautions=(),
        command=command,
        resume=resume,
    )
    tables = [Table(attacks_table.COUNTED, attacks_table.header(summary), tuple(attacks_table.rows(summary)))]
    if summary.pairs:
        pairs = tuple(attacks_table.pair_rows(summary))
        tables.append(Table(attacks_table.COMPARED, attacks_table.pair_header(summary), pairs))
    notes = [*attacks_table.left_out(summary), *attacks_table.preprocessed(summary), attacks_table.sentence(summary)]
    return AttacksPage(
        frame=frame, tables=tuple(tables), notes=tuple(filter(None, notes)),
        counts=tuple((badge, count, MEANINGS[badge.text]) for badge, count in counts.items()), lines=lines,
        distances=parts.drawn(distances, "the median distance against queries, for each attack"),
    )  # fmt: skip


def _verdict(counts: Counter[Badge]) -> str:
    total = sum(counts.values())
    said = ", ".join(f"{count} {badge.text}" for badge, count in counts.items())
    return f"{total} {'attack on a photo' if total == 1 else 'attacks on photos'}: {said}"


def outcome(found: Finding, summary: Summary) -> Badge:
    """Return what came of one attack on one photo, in a word or two. summary: has the distances asked about."""
    far = is_beyond(found.rmse, found.linf, summary.thresholds, summary.linf_thresholds)
    said = TOO_FAR if found.outcome == "adversarial" and far else found.outcome or found.status
    return Badge(said, TONES.get(said, "none"))


def _line(found: Finding, picture: Picture | None, summary: Summary) -> Line:
    link = "./" + urllib.parse.quote(f"{found.image}/{found.attack}/{parts.REPORT}", errors="surrogateescape")
    rmse, linf = attacks_table.distance(found.rmse), attacks_table.distance(found.linf)
    return Line(
        image=found.image, attack=found.given, outcome=outcome(found, summary),
        status="" if found.status == "complete" else found.status, link="" if found.outcome is None else link,
        picture=picture, rmse=rmse, linf=linf, sorted_rmse=_sorted(rmse), sorted_linf=_sorted(linf),
        queries=found.queries, called=counted_labels(found.labels),
    )  # fmt: skip


def _sorted(distance: str) -> str:
    """Return a distance as the page sorts it; nothing where there is none."""
    return "" if distance in (attacks_table.UNKNOWN, attacks_table.INFINITE) else distance
