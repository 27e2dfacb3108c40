"""The part "games": how near each method comes to the exact effects, and how well it ranks cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbquery.plan import replay
from bbquery.types import UINT8

from . import games
from .players import GRID_ONLY, PEERS
from .setting import GAME_BUDGETS, seed_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .games import Game
    from .setting import Setting

PART = "games"
OURS = {"designed": "designed:cells=7,shape=grid,fill=black", "occlusion": "occlusion:window=1,stride=1,fill=black"}
"""By name in the table; what hides is black, which a game reads as hidden, and no side has more cells than pixels."""
CEILING = "exact main effects"


def run(setting: Setting) -> None:
    """Measure what is missing."""
    for game in games.read(setting.shared / "games"):
        truth = game.main_effects()
        if setting.missing(PART, game.name, CEILING, 0):
            setting.keep(PART, game.name, CEILING, 0, _measures(game, truth, truth, 0, 0))
        for seed in range(setting.tier.game_seeds):
            for name in (*PEERS, *OURS):
                _play(setting, game, truth, name, seed)


def _play(setting: Setting, game: Game, truth: NDArray[np.float64], name: str, seed: int) -> None:
    for budget in GAME_BUDGETS:
        if not setting.missing(PART, game.name, name, budget, seed=seed):
            continue
        counted = _Counted(game)
        drawn = seed_of(game.name, seed)
        effects = _effects(setting, counted, name, budget, drawn)
        if effects is not None:
            setting.keep(
                PART, game.name, name, budget, _measures(game, truth, effects, counted.asked, drawn), seed=seed
            )


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
    if name in PEERS:
        if name in GRID_ONLY and game.cells != 16:
            return None
        return PEERS[name](counted, games.SIZES[game.cells], budget, seed)
    method = setting.made(OURS[name], budget)
    if method is None:
        return None
    counted.asked = method.queries
    return replay(method.plan(game.image, UINT8, seed), game.answer).values.ravel()


def _measures(
    game: Game, truth: NDArray[np.float64], effects: NDArray[np.float64], asked: int, seed: int
) -> dict[str, float]:
    return {
        "correlation": games.correlation(effects, truth),
        "SRG": game.srg(effects, seed),
        "asked": float(asked),
    }
