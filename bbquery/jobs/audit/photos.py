"""Photos of an audit: which there are, in what order, and what is said of them; names only, no pixel is read.

1. A file counts once, however often and by whatever name it is listed (links are followed); what a CSV file says of it
   is joined: boxes are added, and a second label must be the first.
2. A file lies in the plan's folder, links followed, unless the plan allows others.
3. An order by chance is that of hashes of seed and path: a photo that is added moves no other.
4. A name is that of the file; where several are alike, each gets a hash of its path, so that none ever gets another's.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from blake3 import blake3

from bbquery import load
from bbquery.errors import UsageError, did_you_mean, encodable
from bbquery.images import folders, samples
from bbquery.jobs.audit import table
from bbquery.jobs.names import stem

if TYPE_CHECKING:
    from bbquery.jobs.audit.faults import Faults
    from bbquery.jobs.audit.locate import KeyPath
    from bbquery.jobs.audit.plan import OraclePlan, Plan
    from bbquery.jobs.audit.reading import PlanFile
    from bbquery.metrics import Box

LABEL = "{label}"
"""The target that stands for a photo's own label."""
CSV = ".csv"
MAGIC = frozenset("*?[")
OUTSIDE = "lies outside the plan's folder: allow_outside = true in [photos] allows that"
LONGEST_NAME = 100  # bytes; file systems take 255
MOST_LISTED = 1000  # files of a folder among which one that was meant is looked for


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo of an audit.

    name: of its budget and its folder; no two are alike. source: what is read, an absolute path or "sample:NAME".
    given: its path from the plan's folder, with "/"; an absolute one where it lies outside; what is not UTF-8 is
    written out. label: what the CSV file says that it shows, None where it says nothing. boxes: around that, in pixels
    of the photo; none where none is given. line: where its label stands, such as "photos.csv:7"; empty without one.
    """

    name: str
    source: str
    given: str
    label: str | None = None
    boxes: tuple[Box, ...] = ()
    line: str = ""

    def targets(self, oracle: OraclePlan) -> tuple[str, ...]:
        """Return what an oracle is to explain in it; none means the top class."""
        return tuple(str(self.label) if target == LABEL else target for target in oracle.targets)


@dataclass(frozen=True)
class Listing:
    """The photos of a plan, in the order in which they are begun.

    again: how many were listed that were there already, and count once. beyond: how many the limit leaves out.
    """

    photos: tuple[Photo, ...]
    again: int
    beyond: int


def listing(file: PlanFile) -> Listing:
    """Return the photos that a plan lists.

    Raises:
        UsageError: there is none; or one cannot be found, lies outside, or is said to show two things; or a target or
            a metric needs a label or a box that is missing; says every fault.
    """
    faults = file.faults()
    gathered = _Gathering(file, faults)
    for place, given in enumerate(file.plan.photos.from_):
        gathered.take(given, ("photos", "from", place))
    faults.check()
    if not gathered.entries:  # as of a table with no row: an audit of nothing would pass
        faults.add(("photos", "from"), "lists no photo")
    faults.check()
    plan, entries = file.plan, list(gathered.entries.values())
    if plan.photos.order == "random":
        entries.sort(key=lambda entry: _hash(f"{plan.seed} {entry.given}"))
    entries = entries[: plan.photos.limit]
    _check_complete(plan, entries, faults)
    names = _names(entries)
    photos = [
        Photo(name, entry.source, encodable(entry.given), entry.label, tuple(entry.boxes), entry.line)
        for name, entry in zip(names, entries, strict=True)
    ]
    return Listing(tuple(photos), gathered.again, len(gathered.entries) - len(entries))


@dataclass(slots=True)
class _Entry:
    """A photo that was found."""

    source: str
    given: str
    label: str | None = None
    boxes: list[Box] = field(default_factory=list)
    line: str = ""


class _Gathering:
    """Photos found so far, by the one name of each. again: how many were found again."""

    def __init__(self, file: PlanFile, faults: Faults) -> None:
        self._folder, self._faults = os.path.realpath(file.folder), faults
        self._outside = file.plan.photos.allow_outside
        self.entries: dict[str, _Entry] = {}
        self.again = 0

    def take(self, given: str, path: KeyPath) -> None:
        """Take what an item of the list names."""
        try:
            if given.startswith(samples.PREFIX):
                self._sample(given)
            elif given.lower().endswith(CSV):
                self._table(self._inside(Path(self._folder, given), given), path)
            else:
                for found in self._files(given):
                    self._add(self._inside(found, os.path.relpath(found, self._folder)))
        except UsageError as error:
            self._faults.add(path, str(error))
        except (OSError, ValueError) as error:  # a null character, a name that is too long, a loop of links
            self._faults.add(path, f"cannot be looked up ({getattr(error, 'strerror', None) or error})")

    def _sample(self, given: str) -> _Entry:
        samples.path(given.removeprefix(samples.PREFIX))  # there is one
        return self._entry(given, given, given)

    def _files(self, given: str) -> Iterator[Path]:
        """Give the files that a path or a pattern names."""
        path = Path(self._folder, given)
        if path.is_dir():
            yield from folders.photos(path)
        elif path.exists() or not MAGIC & set(given):
            yield path
        else:
            yield from self._matching(given)

    def _matching(self, pattern: str) -> Iterator[Path]:
        """Give the photos that match a pattern by name, but those that are hidden; "**" follows no link to a folder.

        Raises:
            UsageError: there is none, or the pattern leads outside.
        """
        path = Path(f"{pattern}/*" if pattern.endswith("**") else pattern)
        if not self._outside and (path.is_absolute() or ".." in path.parts):
            raise UsageError(f"{pattern} {OUTSIDE}")
        base = Path(path.anchor or self._folder)
        found = sorted(base.glob(str(path.relative_to(path.anchor))))
        hidden = {file for file in found if any(_hides(part, path) for part in file.relative_to(base).parts)}
        photos = [file for file in found if folders.is_photo(file) and file.is_file() and file not in hidden]
        if not photos:
            raise UsageError(f"no photo matches {pattern}")
        yield from photos

    def _inside(self, path: Path, given: str) -> Path:
        """Return a path with its links followed, if it may be used.

        Raises:
            UsageError: there is none, or it lies outside.
        """
        real = Path(os.path.realpath(path))
        if not self._outside and not real.is_relative_to(self._folder):
            raise UsageError(f"{given} {OUTSIDE}")
        if not real.is_file():
            near = did_you_mean(given, [given.removesuffix(path.name) + name for name in _beside(path)])
            raise UsageError(f"there is no file {given}{near}")
        return real

    def _add(self, real: Path) -> _Entry:
        inside = real.is_relative_to(self._folder)
        given = real.relative_to(self._folder).as_posix() if inside else real.as_posix()
        return self._entry(str(real), str(real), given)

    def _entry(self, key: str, source: str, given: str) -> _Entry:
        if key in self.entries:
            self.again += 1
        return self.entries.setdefault(key, _Entry(source, given))

    def _table(self, path: Path, at: KeyPath) -> None:
        for row in table.rows(path, lambda message: self._faults.add(at, message)):
            try:
                self._row(row, path)
            except (UsageError, OSError, ValueError) as error:
                self._faults.add(at, f"{path.name}:{row.line}: {error}")

    def _row(self, row: table.TableRow, path: Path) -> None:
        sample = row.photo.startswith(samples.PREFIX)
        entry = self._sample(row.photo) if sample else self._add(self._inside(path.parent / row.photo, row.photo))
        if None is not entry.label != row.label is not None:
            raise UsageError(f"{row.photo} is said to show {entry.label!r} and {row.label!r}: leave one of them")
        if entry.label is None and row.label is not None:
            entry.label, entry.line = row.label, f"{path.name}:{row.line}"
        entry.boxes += [box for box in row.boxes if box not in entry.boxes]


def _hides(part: str, pattern: Path) -> bool:
    """Whether a part of a path hides what lies there from a pattern that does not name it itself."""
    return part.startswith(".") and part not in pattern.parts


def _beside(path: Path) -> list[str]:
    try:
        return [each.name for each, _ in zip(path.parent.iterdir(), range(MOST_LISTED), strict=False)]
    except OSError:
        return []


def _check_complete(plan: Plan, entries: list[_Entry], faults: Faults) -> None:
    """See that each photo has the label or the box that is needed of it."""
    unlabelled = [entry for entry in entries if entry.label is None]
    for place, oracle in enumerate(plan.oracles):
        if LABEL in oracle.targets and unlabelled:
            faults.add(("oracles", place, "target"), _lacks(unlabelled, "label"))
    metrics = () if plan.explain is None else plan.explain.metrics
    unboxed = [entry for entry in entries if not entry.boxes]
    for place, metric in enumerate(metrics):
        if unboxed and "boxes" in load.metric(metric).needs:
            faults.add(("explain", "metrics", place), _lacks(unboxed, "box"))
    faults.check()


def _lacks(entries: list[_Entry], what: str) -> str:
    more = f" and {len(entries) - 1:,} more" if len(entries) > 1 else ""
    return f"needs a {what} of each photo, and none is known of {entries[0].given}{more}: list them in a CSV file"


def _names(entries: list[_Entry]) -> list[str]:
    """Return a name for each photo, which no photo beside it decides but by being called alike."""
    plain = [stem(entry.source).encode(errors="replace")[:LONGEST_NAME].decode(errors="ignore") for entry in entries]
    alike = Counter(map(str.casefold, plain))
    return [
        name if alike[name.casefold()] == 1 else f"{name}~{_hash(entry.given)[:8]}"
        for name, entry in zip(plain, entries, strict=True)
    ]


def _hash(text: str) -> str:
    return blake3(text.encode(errors="surrogateescape")).hexdigest()
