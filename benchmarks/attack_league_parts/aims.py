"""The aims that were set, and what was measured beside each: met, missed, or not to be told.

An aim for a number is met where the whole 95 % interval keeps it, missed where none of it does, and cannot be told in
between or where there is no interval.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bbquery.jobs.attack import statistics
from bbquery.jobs.chance import OUTSIDE
from bbquery.specification import parse

from .players import OURS
from .tables import NONE, best, mcnemar, number, ratio, ratio_text, shown, within

if TYPE_CHECKING:
    from bbquery.jobs.intervals import Estimate

    from .tables import Distances, Game

NEW, OLD = "lr_boundary", "lr_mifgsm"
RATIO_TO_OLD = {1000: 0.40, 5000: 0.50, 10000: 0.50}
RATIO_TO_BEST = {1000: 0.45, 5000: 0.55, 10000: 0.60}
MEDIAN = {1000: 0.007, 5000: 0.005, 10000: 0.0035}
OTHER_NETWORKS = {"lite2": 0.40, "dogs": 0.50}
EARLY, LATE = 250, 1000
NARROW = 0.01  # RMSE within which the most successes are aimed at
THINKING = 2.0  # ms a query beside the network


class Aim(NamedTuple):
    """An aim, what was measured, and whether it is met."""

    aim: str
    measured: str
    verdict: str


def verdict(found: Estimate, most: float) -> str:
    """Return whether a number is at most what was aimed at."""
    if not found.known or math.isnan(found.low):
        return "cannot be told"
    if found.high <= most:
        return "met"
    return "missed" if found.low > most else "cannot be told"


def aims(games: dict[tuple[str, str], Game]) -> list[Aim]:
    """Return every aim of which anything can be said, or that nothing was measured."""
    found: list[Aim] = []
    lite0 = games.get(("lite0", "labels"))
    for mark, most in RATIO_TO_OLD.items():
        found.append(_ratio(f"`{NEW}` / `{OLD}`, {mark:,} queries", lite0, mark, OLD, most))
    for mark, most in RATIO_TO_BEST.items():
        found.append(_against_best(lite0, mark, most))
    for mark, most in MEDIAN.items():
        found.append(_median(lite0, mark, most))
    found.append(_early(lite0))
    found += [_successes(lite0, mark) for mark in RATIO_TO_OLD]
    for network, most in OTHER_NETWORKS.items():
        game = games.get((network, "labels"))
        found.append(_ratio(f"`{NEW}` / `{OLD}` on {network}, {LATE:,} queries", game, LATE, OLD, most))
    found.append(_thinking(lite0))
    return found


def aware(game: Game) -> list[str]:
    """Return the 8-bit aware baselines that were measured."""
    return [name for name in game.attacks if name not in OURS and parse(name)[1].get("eight_bit") != "false"]


def _ratio(aim: str, game: Game | None, mark: int, other: str, most: float) -> Aim:
    ours, theirs = _distances(game, NEW, mark), _distances(game, other, mark)
    return Aim(f"{aim}: ≤ {most:.2f}", ratio_text(ours, theirs), verdict(ratio(ours, theirs), most))


def _against_best(game: Game | None, mark: int, most: float) -> Aim:
    rival = best(game, mark, "S1", aware(game)) if game else None
    aim = f"`{NEW}` / the best 8-bit aware baseline, {mark:,} queries"
    if rival is None:
        return Aim(f"{aim}: ≤ {most:.2f}", NONE, "cannot be told")
    return _ratio(f"{aim} ({shown(rival)})", game, mark, rival, most)


def _median(game: Game | None, mark: int, most: float) -> Aim:
    found = statistics.median(list(_distances(game, NEW, mark).values()))
    measured = NONE if not found.known else f"{number(found.value)} [{number(found.low)}, {number(found.high)}]"
    return Aim(f"median RMSE, Lite0, {mark:,} queries: ≤ {number(most)}", measured, verdict(found, most))


def _early(game: Game | None) -> Aim:
    early, late = _distances(game, NEW, EARLY), _distances(game, OLD, LATE)
    aim = f"`{NEW}` at {EARLY} / `{OLD}` at {LATE:,}: no worse (≤ 1)"
    return Aim(aim, ratio_text(early, late), verdict(ratio(early, late), 1.0))


def _successes(game: Game | None, mark: int) -> Aim:
    aim = f"most successes at RMSE ≤ {number(NARROW)}, {mark:,} queries"
    ours = _distances(game, NEW, mark)
    others = {name: _distances(game, name, mark) for name in game.attacks if name != NEW} if game else {}
    others = {name: found for name, found in others.items() if len(found.keys() & ours.keys()) >= statistics.FEWEST}
    if not ours or not others:
        return Aim(aim, NONE, "cannot be told")
    compared = {name: _common(ours, found) for name, found in others.items()}
    rival = min(compared, key=lambda name: compared[name][0] - compared[name][1])
    mine, theirs = compared[rival]
    chance = mcnemar(ours, others[rival], NARROW)
    measured = f"{100 * mine:.0f} % against {100 * theirs:.0f} % ({shown(rival)}), McNemar p = {chance:.2g}"
    if mine < theirs:
        return Aim(aim, measured, "missed")
    return Aim(aim, measured, "met" if chance < OUTSIDE else "cannot be told")


def _common(one: Distances, other: Distances) -> tuple[float, float]:
    both = one.keys() & other.keys()
    shares = (within({photo: each[photo] for photo in both}, NARROW).value for each in (one, other))
    first, second = shares
    return first, second


def _thinking(game: Game | None) -> Aim:
    took = thinking(game, NEW) if game else math.nan
    aim = f"`{NEW}` thinks ≤ {THINKING:.0f} ms a query"
    if math.isnan(took):
        return Aim(aim, NONE, "cannot be told")
    return Aim(aim, f"{took:.2f} ms", "met" if took <= THINKING else "missed")


def thinking(game: Game, attack: str) -> float:
    """Return the median over runs of what an attack thinks a query, in ms of a processor; NaN without a run."""
    found = [1000 * row.thinking / row.queries for row in game.rows if row.attack == attack and row.queries]
    return float(np.median(found)) if found else math.nan


def _distances(game: Game | None, attack: str, mark: int) -> Distances:
    return game.distances(attack, mark, "S1") if game else {}
