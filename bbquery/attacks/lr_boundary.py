"""LR-Boundary: textures to begin with, then a race of moves along the boundary, likelihood-ratio normals among them.

For a model that only names a label. Three facts about image networks and 8-bit pixels carry it:

1. A random sinusoid of 16 to 70 cycles across the photo changes the label at a fraction of the strength of noise. So
   it begins with waves: each is asked once, a little below the best strength so far; one that works is followed
   towards the clean photo; half of the draws vary the last that worked (`_textures`).
2. Let x + r u be adversarial. On the circle whose diameter is from x to there, in the plane of u and some direction,
   every adversarial point is nearer (`_arc`). A direction is worth the square of what it shares with the boundary's
   normal n: over a plane the best angle θ has tan θ = (t · n) / (u · n), and 1 / r² grows by (t · n)² / d², with d the
   distance of the plane. So directions come from where n is: the change u itself, reweighted by smooth masks, shifted
   and cut out; patches of new textures in the colours that networks react to (`_moves`).
3. Instead of trying one direction after another, n can be estimated from many answers at once, by the likelihood ratio
   of the labels of noisy copies (Zhang et al., "Forward Learning for Gradient-based Black-box Saliency Map Generation",
   eq. 2) around a base where half of them change (`_balanced`). Per query it wins about as much as trying; which of the
   two wins more depends on the photo and on how near one is.

So all of them race: each gets queries after what it has lately won per query, and at first after what it has won on
other photos (`_race`). The angles are adapted: larger
after a success, smaller after a failure, so that about a third of the pairs ±θ succeed, as in evolution strategies
(Rechenberg, 1973, the one-fifth rule).

That ends where single directions win less than rounding decides: a point that is nearer by a lucky rounding, by 1 or
2 %, is passed by nothing that wins .1 %. So after 2,000 queries at least four fifths go to estimates, with more copies,
at right angles to the change, and a base that settles; those at one point add up until a step along them succeeds.

Nothing depends on how many queries are allowed, so a run is the beginning of any longer one. Distances are those of
rounded pixels throughout. Where moves fail for long, the last point's neighbourhood is asked anew, and the attack goes
back until that is adversarial, or begins anew, so that a lone wrong answer does not hold it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bbquery.attacks import _moves
from bbquery.attacks._arc import Position
from bbquery.attacks._balanced import Balance, Settling, normal
from bbquery.attacks._race import Race
from bbquery.attacks._record import Record, rms
from bbquery.attacks._textures import aside, unit, wave
from bbquery.perturb.checks import at_least_one

if TYPE_CHECKING:
    from bbquery.attacks import AttackResult
    from bbquery.attacks._moves import Direction
    from bbquery.attacks._textures import Texture, Wave
    from bbquery.plan import Plan
    from bbquery.types import Domain, Image

KEY = 0x1B0D  # beside the seed, what everything is drawn from
CYCLES = (16.0, 70.0)  # across the photo, of the first waves
WAVES = 60  # queries for them, once one has worked
FIRST, STRONGEST = 32.0, 128.0  # grey levels RMS
STRONGER, PATIENCE = 1.5, 10  # where none has worked: by how much, after how many
BELOW = 0.92  # of the best strength, at which a new wave is asked
FOLLOW, FOLLOWED = 0.75, 0.97  # shares of its strength at which one that worked is asked: the first, and the end

TRIAL_ANGLE, NORMAL_ANGLE = 0.15, 0.4  # radians, to begin with
WIDER, NARROWER = 1.3, 0.87  # after a success and a failure: about a third succeed
NARROWEST, WIDEST = 0.01, 0.6  # radians
TRIAL_COST, SEARCH_COST = 2.0, 8.0  # queries
LATE = 2000  # queries, after which estimates get a share of their own
ESTIMATES = 4.0  # queries for them to one for any other move, at least
COPIES = 160  # of each of those
LOST = 12  # failures in a row, after which the last point is doubted
EXHAUSTED = 1000  # moves in a row that leave nothing to ask: no image is nearer
NEAR_ENOUGH = 0.001  # grey levels RMS: nothing that is sent as whole levels is nearer


class _Move:
    """A way to move. copies: for an estimate of the normal; 0 tries single directions. worth: see `Race`."""

    def __init__(self, direction: Direction, copies: int = 0, worth: float = 1.0) -> None:
        self.direction, self.copies, self.worth = direction, copies, worth
        self.angle = NORMAL_ANGLE if copies else TRIAL_ANGLE
        self.cost = copies + SEARCH_COST if copies else TRIAL_COST


def _moves_of_a_run() -> list[_Move]:
    """Return the ways that race. Their worths: after what each won per query in the 300 queries after the start."""
    return [
        _Move(_moves.reweighted(7), worth=1.1),
        _Move(_moves.shifted(7), worth=1.5),
        _Move(_moves.shifted(14)),
        _Move(_moves.shifted(28)),
        _Move(_moves.spot, worth=1.2),
        _Move(_moves.fine_patch, worth=1.4),
        _Move(_moves.coarse_patch, worth=0.8),
        _Move(_moves.smooth_noise, worth=0.4),
        _Move(_moves.chroma_noise, worth=0.4),
        _Move(_moves.shifted(28), copies=80, worth=0.4),
    ]


@dataclass(frozen=True, kw_only=True)
class LrBoundary:
    """LR-Boundary: the smallest change of a photo, by RMSE, that changes its label, within `queries`.

    Args:
        queries: images to ask at most; at least 1.

    Raises:
        UsageError: queries below 1.
    """

    queries: int = 10_000

    def __post_init__(self) -> None:
        at_least_one("queries", self.queries)

    def plan(self, x: Image, domain: Domain, seed: int, start: Image | None = None) -> Plan[AttackResult]:
        """Ask for copies of x (H, W, 3) and return the nearest adversarial one; see `bbquery.attacks.Attack`."""
        record = Record(x, domain, self.queries)
        return record.run(_search(record, np.random.default_rng((KEY, seed)), start))


def _search(record: Record, rng: np.random.Generator, start: Image | None) -> Plan[None]:
    position = None if start is None else (yield from _from_image(record, start))
    while True:
        if position is None:
            position = yield from _from_waves(record, rng)
        if (yield from _Walk(position, rng).is_over()):
            return
        position = None  # it was never adversarial


def _from_image(record: Record, start: Image) -> Plan[Position | None]:
    """Stand at the start image, as near to the clean photo as a straight line allows; None where it is not one."""
    change = record.pixels(start).astype(np.float32) - record.x.astype(np.float32)
    radius = rms(change)
    position = Position(record, change, radius)
    if not (yield from position.offer(position.way, radius)):
        return None
    yield from _followed(position)
    return position


def _from_waves(record: Record, rng: np.random.Generator) -> Plan[Position]:
    """Ask waves, and stand at the one that works at the least strength."""
    shape = record.x.shape
    best: Wave | None = None
    position = Position(record, np.zeros(shape, np.float32), FIRST)
    asked, end = 0, record.queries + WAVES
    while best is None or record.queries < end:
        fresh = best is None or rng.random() < 0.5
        drawn = wave(rng, shape, CYCLES) if best is None or fresh else best.mutated(rng)
        way = _noise(rng, record) if best is None and asked % PATIENCE == PATIENCE - 1 else drawn.image(shape)
        asked += 1
        if (yield from position.offer(way, position.radius * BELOW)):
            best = drawn
            yield from _followed(position)
        elif best is None and asked % PATIENCE == 0:
            position.radius = min(position.radius * STRONGER, STRONGEST)
        if position.distance <= NEAR_ENOUGH:
            break
    return position


def _noise(rng: np.random.Generator, record: Record) -> Texture:
    """Draw the way to uniform noise, which differs from any photo."""
    return unit(rng.uniform(0, 255, record.x.shape) - record.x)


def _followed(position: Position) -> Plan[None]:
    """Go towards the clean photo, in steps that are halved at each failure."""
    share = FOLLOW
    while share < FOLLOWED:
        if not (yield from position.offer(position.way, position.radius * share)):
            share = math.sqrt(share)
        elif position.distance <= NEAR_ENOUGH:
            return


class _Estimates:
    """Late estimates of the normal, added up while the way stays the same."""

    def __init__(self) -> None:
        self._balance = Settling()
        self._way: Texture | None = None
        self._sum: Texture | None = None

    def another(self, position: Position, direction: Direction, rng: np.random.Generator) -> Plan[Texture]:
        """Make one more estimate, and return the sum."""
        way = position.way
        fresh = yield from normal(position, self._balance, lambda: aside(direction(rng, way), way), COPIES)
        self._sum = fresh if self._sum is None or self._way is not way else self._sum + fresh
        self._way = way
        return self._sum


class _Walk:
    """The race of moves, from a position on."""

    def __init__(self, position: Position, rng: np.random.Generator) -> None:
        self._position, self._rng = position, rng
        self._moves = _moves_of_a_run()
        self._estimate = next(place for place, move in enumerate(self._moves) if move.copies)
        self._race = Race([move.cost for move in self._moves], [move.worth for move in self._moves])
        self._balance = Balance()
        self._estimates, self._owed = _Estimates(), 0.0
        self._successes = self._failures = 0

    def is_over(self) -> Plan[bool]:
        """Move until nothing nearer can be asked; False where the way turns out not to be adversarial at all."""
        position, record, idle = self._position, self._position.record, 0
        while position.distance > NEAR_ENOUGH and idle < EXHAUSTED:
            chosen = self._chosen()
            before, asked = position.radius, record.queries
            yield from self._moved(self._moves[chosen])
            queries = record.queries - asked
            idle = 0 if queries else idle + 1
            if asked >= LATE:
                self._owed += -queries if chosen == self._estimate else ESTIMATES * queries
            self._race.learn(chosen, math.log(before / position.radius), queries)
            if self._failures >= LOST:
                self._failures = 0
                if not (yield from position.confirm()):
                    return False
        return True

    def _chosen(self) -> int:
        """Choose a move: late, an estimate where these have not had their share."""
        if self._position.record.queries >= LATE and self._owed >= 0:
            return self._estimate
        return self._race.choose(self._rng)

    def _moved(self, move: _Move) -> Plan[None]:
        position, before = self._position, self._position.radius
        if move.copies:
            yield from self._by_normal(move)
        else:
            direction = move.direction(self._rng, position.way)
            moved = yield from position.either_side(direction, move.angle)
            move.angle = min(max(move.angle * (WIDER if moved else NARROWER), NARROWEST), WIDEST)
        if position.radius == before:
            self._failures += 1
            return
        self._failures, self._successes = 0, self._successes + 1
        if not move.copies and self._successes % 2:
            yield from position.shrink()

    def _by_normal(self, move: _Move) -> Plan[None]:
        position, rng = self._position, self._rng
        if position.record.queries < LATE:
            estimate = yield from normal(
                position, self._balance, lambda: unit(move.direction(rng, position.way)), move.copies
            )
        else:
            estimate = yield from self._estimates.another(position, move.direction, rng)
        if not estimate.any():
            return
        reached = yield from position.along(estimate, move.angle)
        move.angle = reached or max(move.angle / 2, 5 * NARROWEST)


ATTACK = LrBoundary
