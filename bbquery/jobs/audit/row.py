"""Row: what an audit keeps of one photo on one oracle. It is small, plain, and holds no array.

The files of the photo (arrays, pictures, pages) lie in its own folder; a row names them by paths within the audit's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bbquery.jobs.intervals import UNBOUNDED, Bounds, widest
from bbquery.jobs.parts import Status  # noqa: TC001 - rows are read from files by their types
from bbquery.units import NOTHING, Units

GRID = 14
"""Cells along each side of a map's `grid`."""


@dataclass(frozen=True, kw_only=True)
class MapRow:
    """One map of a photo.

    method: its specification. unit: of its values. stamp: what is written across it, such as "COULD BE CHANCE"; empty
    where it stands out. verdict: what is seen on it, a sentence. facts: what was verified, a sentence each. enough: the
    share of the photo, 0 to 1, that was found to keep the answer alone; breaks: the share whose hiding changes it, and
    becomes: what the model answers then; None and empty where none was found. insertion, deletion: areas below the
    curves, in score, fidelity: their difference; None where that was not measured in full. bounds: the least and the
    most that fidelity can be, None where the score has none. grid: means of the map over 14 × 14 cells of the photo,
    row by row from the top left, None where the oracle saw nothing; empty where there is no map. picture, report:
    paths.
    """

    target: str
    method: str
    unit: str
    stamp: str
    verdict: str
    facts: tuple[str, ...] = ()
    enough: float | None = None
    breaks: float | None = None
    becomes: str = ""
    insertion: float | None = None
    deletion: float | None = None
    fidelity: float | None = None
    bounds: Bounds | None = None
    grid: tuple[tuple[float | None, ...], ...] = ()
    picture: str = ""
    report: str = ""


@dataclass(frozen=True, kw_only=True)
class AttackRow:
    """One attack on a photo.

    attack: its specification. outcome: adversarial, unverified, refuted, empty, not found, not attacked. rmse, linf:
    distance of a verified adversarial image, 0 to 1; None where there is none. became: what the oracle says of it most
    often. votes: how many of its answers, asked again, are of another label; asked: of so many. queries: of the attack.
    verdict: what came of it, a sentence. image: path of the picture that was found. report: path of its page.
    """

    attack: str
    outcome: str
    rmse: float | None
    linf: float | None
    became: str
    votes: int
    asked: int
    queries: int
    verdict: str = ""
    image: str = ""
    report: str = ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One photo on one oracle.

    photo: its name in the audit. source: as it was given. oracle: its name in the plan. identity: hash of all that is
    asked; a row of the same identity that is complete is not asked again. status: complete; partial: fewer answers than
    planned; failed: for a cause of its own; not begun. why: what ended it, empty where nothing did. label: what the
    plan says that it shows, None where it says nothing; right: whether the oracle said so first, None where that cannot
    be told. first: the first answer in words, first_value: its probability or score, None without one,
    first_bounds: the least and the most that it can be, None where that is not known. nothing: why the first answer
    holds nothing (refused, filtered, names nothing); empty where it does hold something. repeats: how
    often the clean photo was asked again, flips: how many of these answers named another label first. asked: different
    questions, unanswered: how many of them were answered without an answer, kinds: of these, by kind. drifted: whether
    the model changed meanwhile, None where that was not looked for; unwatched: whether answers that this rests on came
    after its last check, or from the store beside others that were asked anew; served: model versions that answered.
    queries: attempts that were sent in this run, from_store: answers for which nothing was sent. posted, held: of the
    photo's budget, in every run; unknown: how many attempts may have been billed without an answer. seconds: of the
    last run. versions: of bbquery and of the oracle's model. folder, thumbnail: paths within the audit's folder, with
    "/".
    unreadable: whether its file cannot be read, so that asking again helps only once it is mended.
    """

    photo: str
    source: str
    oracle: str
    identity: str
    status: Status
    why: str = ""
    label: str | None = None
    right: bool | None = None
    first: str = ""
    first_value: float | None = None
    first_bounds: Bounds | None = None
    nothing: str = ""
    repeats: int = 0
    flips: int = 0
    maps: tuple[MapRow, ...] = ()
    attacks: tuple[AttackRow, ...] = ()
    asked: int = 0
    unanswered: int = 0
    kinds: Mapping[str, int] = field(default_factory=dict)
    drifted: bool | None = None
    unwatched: bool = False
    served: tuple[str, ...] = ()
    queries: int = 0
    from_store: int = 0
    posted: Units = NOTHING
    held: Units = NOTHING
    unknown: int = 0
    seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)
    folder: str = ""
    thumbnail: str = ""
    unreadable: bool = False

    @property
    def complete(self) -> bool:
        """Whether all was asked that was planned."""
        return self.status == "complete"

    @property
    def stored(self) -> bool | None:
        """Whether the store gave all its answers, and nothing was sent; None where it has none."""
        return not self.queries if self.queries or self.from_store else None

    @property
    def changed(self) -> bool | None:
        """Whether the model changed; None where that is not known: it was not looked for, or not to the last answer."""
        return None if self.drifted is False and (self.stored or self.unwatched) else self.drifted

    @property
    def fidelity(self) -> float | None:
        """The mean fidelity of its maps; None where none was measured."""
        measured = [m.fidelity for m in self.maps if m.fidelity is not None]
        return sum(measured) / len(measured) if measured else None

    @property
    def fidelity_bounds(self) -> Bounds:
        """The least and the most that its fidelity can be."""
        return widest(*(m.bounds or UNBOUNDED for m in self.maps if m.fidelity is not None))

    def robust(self, rmse: float) -> bool | None:
        """Whether no attack found a verified adversarial image within a distance; None where nothing was attacked."""
        ended = [a for a in self.attacks if a.outcome != "not attacked"]
        if not ended:
            return None
        return not any(a.rmse is not None and a.rmse <= rmse for a in ended)
