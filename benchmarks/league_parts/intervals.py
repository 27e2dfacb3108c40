"""The part "intervals": how often the 90 % intervals of `designed` hold the truth where they were not calibrated.

Their width, in standard errors, was chosen on the complete games. So each game is judged by the width that the *other*
games would have chosen, and once by that of the other model's games alone. On photos there is no truth: a map is held
against one of 8,000 queries from other masks, whose own error counts as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbquery.plan import replay
from bbquery.saliency.designed import INTERVAL
from bbquery.types import UINT8

from . import games
from .network import Model, Subject, chosen
from .photos import SKIPPED
from .play import OURS
from .setting import seed_of
from .statistics import mean
from .words import estimate, markdown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from bbquery.types import SaliencyMap

    from .games import Game
    from .rows import Results, Row
    from .setting import Setting

PART = "intervals"
METHOD = "designed"
ON_PHOTOS = "designed:detail=false"
GAME_BUDGETS = (32, 64, 128, 256, 1024)
PHOTO_BUDGETS = (64, 256, 1000)
TRUTH = 8000
HELD = 0.9
OPENING = """## Do intervals hold the truth?

`designed` gives each value a standard error, and draws 90 % intervals of {width:g} of them. That width was chosen on
the complete games, so each game is judged here by the width that the other games would have chosen, and by the one that
the other model's games would have. Shares of cells within them, over games, up to three seeds each; the prior's odds
were chosen on the same games and are not left out.
"""
PHOTOS = """On photos of EfficientNet-Lite0 that are none of the first 20: the share of pixels at which a map lies
within its interval of one of {truth:,} queries from other masks, whose own error counts as well (without detail).
"""


def run(setting: Setting) -> None:
    """Measure what is missing: games, then photos."""
    for game in games.read(setting.shared / "games"):
        truth = game.main_effects()
        for seed in range(setting.tier.game_seeds):
            for budget in GAME_BUDGETS:
                if setting.missing(PART, game.name, METHOD, budget, seed=seed):
                    _play(setting, game, truth, budget, seed)
    found = chosen(setting.shared / "images", SKIPPED + setting.tier.interval_photos)[SKIPPED:]
    model: Model | None = None
    for photo in found:
        missing = [budget for budget in PHOTO_BUDGETS if setting.missing(PART, photo.stem, METHOD, budget)]
        if missing:
            model = model or Model(setting.threads)
            _look(setting, Subject(model, photo.stem, model.sent(photo), setting.data / "answers"), missing)
            print(f"{PART}: {photo.stem}", flush=True)


def _play(setting: Setting, game: Game, truth: NDArray[np.float64], budget: int, seed: int) -> None:
    """Keep how many of its standard errors each cell's value lies from the exact effect."""
    method = setting.made(OURS[METHOD], budget)
    if method is None:
        return
    found = replay(method.plan(game.image, UINT8, seed_of(game.name, seed)), game.answer)
    away = _away(found.values.ravel() - truth, _error(found).ravel())
    setting.keep(
        PART, game.name, METHOD, budget, {f"errors {cell:02}": value for cell, value in enumerate(away)}, seed=seed
    )


def _look(setting: Setting, subject: Subject, missing: Iterable[int]) -> None:
    """Keep the share of pixels within the interval."""
    truth = _map(setting, subject, TRUTH, 1)
    for budget in missing:
        found = _map(setting, subject, budget, 0)
        if truth is not None and found is not None:
            away = _away(found.values - truth.values, np.hypot(_error(found), _error(truth)))
            setting.keep(PART, subject.name, METHOD, budget, {"held": float((away <= INTERVAL).mean())})
    subject.save()


def _map(setting: Setting, subject: Subject, budget: int, seed: int) -> SaliencyMap | None:
    method = setting.made(ON_PHOTOS, budget)
    if method is None:
        return None
    return replay(method.plan(subject.x, UINT8, seed_of(subject.name, seed)), subject.answer)


def _error(found: SaliencyMap) -> NDArray[np.float64]:
    assert found.standard_error is not None
    return found.standard_error


def _away(difference: NDArray[np.float64], error: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return differences in standard errors; the largest float where the error is 0 and the difference is not."""
    with np.errstate(divide="ignore", invalid="ignore"):
        away = np.where(difference == 0, 0.0, np.abs(difference) / error)
    return np.minimum(away, np.finfo(np.float64).max)


def left_out(away: Mapping[str, NDArray[np.float64]], calibrating: Mapping[str, Iterable[str]]) -> dict[str, float]:
    """Return for each game the share of its cells within the width that other games would have chosen.

    away: of each game, distances in standard errors. calibrating: for each game those that choose the width, which is
    the 90 % quantile of theirs.
    """
    return {
        name: float((away[name] <= np.quantile(np.concatenate([away[other] for other in others]), HELD)).mean())
        for name, others in calibrating.items()
    }


def section(results: Results) -> str:
    """Return the section as Markdown; nothing where nothing was measured."""
    rows = results.of(PART)
    played = [row for row in rows if "held" not in row.measures]
    looked = [row for row in rows if "held" in row.measures]
    told = []
    if played:
        told += [OPENING.format(width=INTERVAL), _games(played)]
    if looked:
        told += [PHOTOS.format(truth=TRUTH), _photos(looked)]
    return "\n".join(told)


def _games(rows: list[Row]) -> str:
    lines = []
    for budget in GAME_BUDGETS:
        away = _by_game([row for row in rows if row.budget == budget])
        models = {name: games.Game(name, np.zeros(1)).model for name in away}
        for model in sorted(set(models.values())):
            mine = [name for name in away if models[name] == model]
            others = {name: [other for other in away if other != name] for name in mine}
            unlike = {name: [other for other in away if models[other] != model] for name in mine}
            own = {name: float((away[name] <= INTERVAL).mean()) for name in mine}
            columns = [own, left_out(away, others), left_out(away, unlike) if all(unlike.values()) else {}]
            lines.append([model, str(budget), str(len(mine)), *(estimate(mean(column), 2) for column in columns)])
    header = ("games", "queries", "n", f"within {INTERVAL:g}", "the other games' width", "the other model's width")
    return markdown(header, sorted(lines, key=lambda line: line[0]))


def _by_game(rows: list[Row]) -> dict[str, NDArray[np.float64]]:
    """Return the distances of each game, those of all its seeds."""
    found: dict[str, list[float]] = {}
    for row in rows:
        found.setdefault(row.subject, []).extend(row.measures.values())
    return {name: np.array(values) for name, values in sorted(found.items())}


def _photos(rows: list[Row]) -> str:
    lines = []
    for budget in sorted({row.budget for row in rows}):
        held = mean({row.subject: row.measures["held"] for row in rows if row.budget == budget})
        lines.append([str(budget), str(held.n), estimate(held, 2)])
    return markdown(("queries", "n", "within the interval"), lines)
