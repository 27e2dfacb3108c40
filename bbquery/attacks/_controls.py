"""Controls: what changes of a photo do that no attack looked for, at the same distance and for as many queries.

An attack shows something only where chance does not: so each control asks, at every distance, as many changed photos as
an attack may ask in all, each of them drawn at random and brought to that distance. It begins with the smallest: what
changes the label there has changed it within the larger ones too, and it ends. The kinds are `_control_kinds`'.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bbquery.attacks import _control_kinds
from bbquery.attacks._control_kinds import Kind  # noqa: TC001 - options are made by their annotations
from bbquery.attacks._record import GREY_LEVELS, Record, rms
from bbquery.types import Decision

if TYPE_CHECKING:
    from bbquery.attacks import AttackResult
    from bbquery.attacks._control_kinds import Change
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image

BATCH = 16  # rows asked at once: what is asked beyond the first that changes the label
TRIES = 12  # of finding how strong a change must be
CLOSE = 0.99  # of the distance: near enough
AIM = 0.996  # of the distance, so that rounding seldom passes it

DRAWS = 0xC0417
"""Beside the seed, what changes are drawn from."""


@dataclass(frozen=True, kw_only=True)
class Control:
    """Randomly changed photos of one kind, `queries` in all, an equal share of them at each of the distances.

    kind: of change. distances: RMSE, 0 to 1.
    """

    queries: int
    kind: Kind
    distances: tuple[float, ...]

    def plan(
        self,
        x: Image,
        domain: Domain,
        seed: int,
        start: Image | None = None,  # noqa: ARG002 - every attack takes one
    ) -> Plan[AttackResult]:
        """Ask for changed copies of x (H, W, 3), the smallest distance first, until one changes the label.

        start: is not asked, since it is no random change.
        """
        record = Record(x, domain, self.queries)
        return (yield from record.run(self._search(record, seed)))

    def _search(self, record: Record, seed: int) -> Plan[None]:
        for place, distance in enumerate(sorted(self.distances)):
            changes = _control_kinds.changes(self.kind, record.x, distance * GREY_LEVELS)
            rows = range(self.queries // len(self.distances))
            for first in range(0, len(rows), BATCH):
                drawn = [np.random.default_rng((DRAWS, seed, place, row)) for row in rows[first : first + BATCH]]
                images = np.stack([brought(record, changes(rng), distance * GREY_LEVELS) for rng in drawn])
                scores = yield from record.ask(images)
                record.stepped(distance * GREY_LEVELS, scores)
                if np.equal(scores.decision, Decision.NOT_MET).any():
                    return


def brought(record: Record, change: Change, distance: float) -> Image:
    """Return the photo, changed by `distance` in grey levels RMS, or somewhat less: never by more.

    By less where the change has no more in it: a blur cannot change a photo of one colour.
    """
    nearest, found, strength = record.pixels(record.x), 0.0, 1.0
    for _ in range(TRIES):
        pixels = record.pixels(change.at(strength))
        size = rms(pixels - record.x)
        if found < size <= distance:
            nearest, found = pixels, size
        if CLOSE * distance <= size <= distance or (strength == change.most and size <= distance):
            break
        strength = min(strength * (AIM * distance / size if size else 2.0), change.most)
    return nearest
