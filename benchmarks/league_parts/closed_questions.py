"""The part "closed_questions": Zhang et al.'s figures C1 and 3, asked of the emulated language model over HTTP.

gallery    a photo and a closed set of classes; one map for the right class and one for a wrong one that was drawn, from
           the same answers, which are hard labels. Answers are EfficientNet-Lite0's, shared out among the set.
two lights "Which of the two is brighter?", answered from pixels by a model that compares both or by one that looks at
           the left one alone. A map's share on the light that was not named says whether it tells them apart.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np

from .network import chosen
from .setting import seed_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from bbquery.jobs.explain.result import Explanation
    from bbquery.types import Image

    from .setting import Setting

PART = "closed_questions"
GALLERY_QUERIES, QUERIES = 128, 65
GALLERY = "gallery_closed_set.jpg"
TILE, LINE = 190, 18  # pixels of a picture of the gallery, and of the line above it
RIGHT, WRONG = "right class", "wrong class"
QUESTION = "Which of the two lights is brighter?"
SIDES = ["left", "right"]  # that differ in their first piece, of which log-probabilities are read
SIDE, RADIUS = 64, 12
DARKEST, BRIGHTEST, APART = 90, 250, 60
STEEP = 24.0  # grey levels of a light's mean, for which the odds grow e-fold
READINGS = {"one word": "prompts", "log-probabilities": "prompts:read=probability"}


def run(setting: Setting) -> None:
    """Measure what is missing; draw what was looked at first."""
    asyncio.run(_all(setting))


async def _all(setting: Setting) -> None:
    for number in range(setting.tier.lights):
        for model, answer in MODELS.items():
            names = [f"{model}, {reading}" for reading in READINGS]
            if any(setting.missing(PART, f"lights-{number:02}", name, QUERIES) for name in names):
                await _lights(setting, number, model, answer)
    photos = chosen(setting.shared / "images", setting.tier.gallery)
    missing = any(setting.missing(PART, photo.stem, RIGHT, GALLERY_QUERIES) for photo in photos)
    if photos and (missing or not (setting.pictures / GALLERY).exists()):
        await _gallery(setting, photos)


def lights(number: int) -> tuple[Image, bool]:
    """Return a dark picture (64, 64, 3) with a light in each half, and whether the left one is brighter."""
    draw = np.random.default_rng(seed_of(f"lights-{number:02}", 0))
    darker = int(draw.integers(DARKEST, BRIGHTEST - APART))
    levels = [darker, int(draw.integers(darker + APART, BRIGHTEST + 1))]
    if number % 2 == 0:
        levels.reverse()
    picture = draw.integers(20, 40, size=(SIDE, SIDE, 3)).astype(np.uint8)
    down, across = np.mgrid[:SIDE, :SIDE]
    for level, middle in zip(levels, (SIDE // 4, 3 * SIDE // 4), strict=True):
        picture[(down - SIDE / 2) ** 2 + (across - middle) ** 2 < RADIUS**2] = level
    return picture, levels[0] > levels[1]


def _compares(image: NDArray[np.uint8]) -> float:
    return _level(image[:, : SIDE // 2]) - _level(image[:, SIDE // 2 :])


def _looks_left(image: NDArray[np.uint8]) -> float:
    return _level(image[:, : SIDE // 2]) - (DARKEST + BRIGHTEST) / 2


def _level(half: NDArray[np.uint8]) -> float:
    """Return the mean of what is brighter than the ground around the lights, in grey levels."""
    down, across = np.mgrid[:SIDE, : SIDE // 2]
    disc = (down - SIDE / 2) ** 2 + (across - SIDE / 4) ** 2 < RADIUS**2
    return float(half[disc].mean())


MODELS: dict[str, Callable[[NDArray[np.uint8]], float]] = {
    "compares both": _compares,
    "looks at the left one": _looks_left,
}


@contextlib.asynccontextmanager
async def asked(base: Any, classes: list[str], side: int, **options: Any) -> AsyncIterator[Any]:
    """Give an oracle that asks the emulator, behind which `base` answers."""
    from oracles import openai
    from oracles.emulators.openai import OpenAIEmulator

    async with OpenAIEmulator(base).running() as url:
        oracle = openai.connect(
            model="gpt-4o-mini", base_url=url, key_env=None, height=side, width=side, temperature=0.0,
            classes="|".join(classes), **options,
        )  # fmt: skip
        yield oracle
        await oracle.aclose()


async def explained(setting: Setting, image: Any, oracle: Any, **options: Any) -> Explanation:
    """Return an explanation, whose answers are kept with the league's."""
    import bbquery
    from bbquery.ledger.ledger import Ledger

    setting.data.mkdir(parents=True, exist_ok=True)
    with Ledger(setting.data / "closed_questions.sqlite3") as ledger:
        return await bbquery.explain_async(
            image, oracle, max_usd="100", verify=0, drift_every=0, spare=0, ledger=ledger, **options
        )


async def _lights(setting: Setting, number: int, model: str, answer: Callable[[NDArray[np.uint8]], float]) -> None:
    from oracles import function

    def probabilities(image: NDArray[np.uint8]) -> list[float]:
        left = 1 / (1 + np.exp(-answer(image) / STEEP))
        return [left, 1 - left]

    picture, left = lights(number)
    base = function.connect(probabilities, classes=SIDES, height=SIDE, width=SIDE, version=model)
    async with asked(base, SIDES, SIDE, prompt=QUESTION, top_logprobs=5) as oracle:
        for reading, score in READINGS.items():
            found = await explained(
                setting, picture, oracle, method="occlusion:fill=black", max_queries=QUERIES, score=score
            )
            measures = {"right": float(found.maps[0].target == SIDES[not left]), "stamped": float(bool(stamp(found)))}
            setting.keep(PART, f"lights-{number:02}", f"{model}, {reading}", QUERIES, measures | _on_other(found))


def _on_other(found: Explanation) -> dict[str, float]:
    """Return the share of a map's strength in the half that was not named; nothing of a map without any."""
    values = np.abs(np.nan_to_num(found.maps[0].sent.values))
    halves = [float(values[:, : SIDE // 2].sum()), float(values[:, SIDE // 2 :].sum())]
    return {"share": halves[found.maps[0].target == SIDES[0]] / sum(halves)} if sum(halves) else {}


async def _gallery(setting: Setting, photos: list[Path]) -> None:
    from bbquery import load

    base = await load.oracle("efficientnet")
    names = {photo.stem: photo.stem.partition("_")[2].replace("_", " ") for photo in photos}
    classes, tiles = list(names.values()), []
    async with asked(base, classes, 224) as oracle:
        for place, photo in enumerate(photos):
            others = [name for name in classes if name != names[photo.stem]]
            wrong = others[seed_of(photo.stem, place) % len(others)]
            found = await explained(
                setting, photo, oracle, method="rise", max_queries=GALLERY_QUERIES + 1,
                target=[names[photo.stem], wrong], score="hard",
            )  # fmt: skip
            for m, name in zip(found.maps, (RIGHT, WRONG), strict=True):
                setting.keep(PART, photo.stem, name, GALLERY_QUERIES, {"stamped": float(bool(stamp(found, m)))})
            tiles.append([(m.target, picture(found, m)) for m in found.maps])
            print(f"{PART}: {photo.stem}, wrong: {wrong}", flush=True)
    await base.aclose()
    save(setting.pictures / GALLERY, [list(row) for row in zip(*tiles, strict=True)])


def save(path: Path, rows: list[list[tuple[str, NDArray[np.uint8]]]]) -> None:
    """Write rows of pictures, each with a line above it, as one file."""
    from PIL import Image as Pictures
    from PIL import ImageDraw, ImageFont

    sheet = Pictures.new("RGB", (TILE * len(rows[0]), (TILE + LINE) * len(rows)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for down, row in enumerate(rows):
        for across, (line, pixels) in enumerate(row):
            left, top = TILE * across, (TILE + LINE) * down
            pen.text((left + 3, top + 2), line, fill="#006644" if down == 0 else "#AA2200", font=font)
            tile = Pictures.fromarray(pixels)
            tile.thumbnail((TILE - 4, TILE - 4))
            sheet.paste(tile, (left + 2, top + LINE))
    sheet.save(path, quality=85)


def stamp(explanation: Explanation, m: Any = None) -> str:
    """Return what is written across a map that is no evidence; nothing across another."""
    from bbquery.report import sentence

    return sentence.stamp(explanation, m or explanation.maps[0])


def picture(explanation: Explanation, m: Any) -> NDArray[np.uint8]:
    """Return a map on its photo, (224, 224, 3) at most, stamped where it is no evidence."""
    from bbquery.report.map_picture import map_pixels

    return map_pixels(explanation, m, 224)
