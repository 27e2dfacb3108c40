"""The part "games": how near each method comes to the exact effects, and how well it ranks cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbquery.plan import replay
from bbquery.types import UINT8

from . import games
from .players import GRID_ONLY, PEERS
from .setting import GAME_BUDGETS, seed_of
from .shapiq_rivals import RIVALS, installed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .games import Game
    from .setting import Setting

PART = "games"
OURS = {"designed": "designed:cells=7,shape=grid,fill=black", "occlusion": "occlusion:window=1,stride=1,fill=black"}
"""By name in the table; what hides is black, which a game reads as hidden, and no side has more cells than pixels."""
CEILING = "exact main effects"
SHAPLEY = "exact Shapley values"
BY_SHAPLEY = "games, by Shapley values"  # the part that holds the methods of AFTER_SHAPLEY against these
AFTER_SHAPLEY = (*RIVALS, "KernelSHAP", "designed")


def run(setting: Setting) -> None:
    """Measure what is missing."""
    for game in games.read(setting.shared / "games"):
        truths = {PART: game.main_effects(), BY_SHAPLEY: game.shapley_values()}
        for name, truth in ((CEILING, truths[PART]), (SHAPLEY, truths[BY_SHAPLEY])):
            if setting.missing(PART, game.name, name, 0):
                setting.keep(PART, game.name, name, 0, _measures(game, truths[PART], truth, 0, 0))
        for seed in range(setting.tier.game_seeds):
            for name in (*PEERS, *RIVALS, *OURS):
                _play(setting, game, truths, name, seed)


def _play(setting: Setting, game: Game, truths: dict[str, NDArray[np.float64]], name: str, seed: int) -> None:
    for budget in GAME_BUDGETS:
        parts = truths if name in AFTER_SHAPLEY else (PART,)
        missing = [part for part in parts if setting.missing(part, game.name, name, budget, seed=seed)]
        if not missing or _beyond(name, budget, seed):
            continue
        counted = _Counted(game)
        drawn = seed_of(game.name, seed)
        effects = _effects(setting, counted, name, budget, drawn)
        if effects is not None:
            for part in missing:
                measures = _measures(game, truths[part], effects, counted.asked, drawn)
                setting.keep(part, game.name, name, budget, measures, seed=seed)


def _beyond(name: str, budget: int, seed: int) -> bool:
    """Whether a rival does not play with so many queries, or so few, or with this seed."""
    rival = RIVALS.get(name)
    return rival is not None and not (rival.least <= budget <= rival.most and seed < rival.seeds)


class _Counted:
    """A game that counts what it is asked."""

    def __init__(self, game: Game) -> None:
        self.game, self.asked = game, 0

    def __call__(self, visible: NDArray[np.bool_]) -> NDArray[np.float64]:
        self.asked += len(visible)
        return self.game.ask(visible)


def _effects(setting: Setting, counted: _Counted, name: str, budget: int, seed: int) -> NDArray[np.float64] | None:
    """Return the method's effect of each cell; None where it does not apply."""
    game = counted.game
    if name in RIVALS:
        return _of_rival(setting, counted, name, budget, seed)
    if name in PEERS:
        if name in GRID_ONLY and game.cells != 16:
            return None
        return PEERS[name](counted, games.SIZES[game.cells], budget, seed)
    method = setting.made(OURS[name], budget)
    if method is None:
        return None
    counted.asked = method.queries
    return replay(method.plan(game.image, UINT8, seed), game.answer).values.ravel()


def _of_rival(setting: Setting, counted: _Counted, name: str, budget: int, seed: int) -> NDArray[np.float64] | None:
    if not installed():
        setting.note(f"left out: {', '.join(RIVALS)}: shapiq is not installed (league_parts/shapiq_rivals.py)")
        return None
    return RIVALS[name](counted, games.SIZES[counted.game.cells], budget, seed)


def _measures(
    game: Game, truth: NDArray[np.float64], effects: NDArray[np.float64], asked: int, seed: int
) -> dict[str, float]:
    return {
        "correlation": games.correlation(effects, truth),
        "SRG": game.srg(effects, seed),
        "asked": float(asked),
    }
