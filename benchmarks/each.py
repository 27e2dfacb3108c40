"""Does every target get the right map from one set of queries? `python benchmarks/each.py IMAGES`.

Four photos that EfficientNet-Lite0 knows with confidence, no class twice, stand in a 2 × 2 montage of 224 × 224 pixels,
and the montage is explained with `--target each`, asked three ways:

numbers    of the network: a map for every class with 1 % or more
sentence   of the OpenAI emulator, which says the three likeliest classes in a sentence: a map for every noun phrase
boxes      of the Google Vision emulator, which relays a detector: the network, shown each quarter by itself, says its
           first label with the quarter's box. A map for every box

Judged is each map whose target is one of the four classes: whether the highest place lies in that photo's quarter. One
in four would by chance. A row is written for each map, so that an interrupted run goes on. Printed is the share that
points right with Wilson's 95 % interval, over all maps and over those that are not stamped.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np

QUERIES = 400
MONTAGES = 10
HALF = 112  # pixels of a photo in the montage
PADDING = 16  # pixels, which the network's own crop takes away again
CONFIDENT = 0.7
WAYS = ("numbers", "sentence", "boxes")


class Montage:
    """Four photos. pixels: (224, 224, 3) uint8. classes: the index of each, row by row."""

    def __init__(self, photos: list[tuple[Any, int]]) -> None:
        from bbquery.metrics.grid_pointing import montage
        from bbquery.types import UINT8

        halves = [x.reshape(HALF, 2, HALF, 2, 3).mean(axis=(1, 3)) for x, _ in photos]
        self.pixels = UINT8.realise(montage(halves))
        self.classes = [label for _, label in photos]


def montages(images: Path, network: Any, view: Any, count: int) -> list[Montage]:
    """Return montages of photos that the network is sure of, drawn once and for all."""
    from bbquery.images import reading
    from bbquery.images.placement import fit
    from bbquery.types import UINT8

    every = sorted(images.glob("*.jpg"))
    found: dict[int, Any] = {}
    for place in np.random.default_rng(0).permutation(len(every)).tolist():
        x = fit(reading.load(every[place]), view, UINT8)[0]
        values = network(x).values
        if values.max() > CONFIDENT:
            found.setdefault(int(values.argmax()), x)
        if len(found) == 4 * count:
            break
    photos = [(x, label) for label, x in found.items()]
    return [Montage(photos[at : at + 4]) for at in range(0, len(photos) // 4 * 4, 4)]


@contextlib.asynccontextmanager
async def asked(way: str, base: Any, network: Any) -> AsyncIterator[Any]:
    """Give the oracle of a way to ask."""
    if way == "numbers":
        yield base
        return
    if way == "sentence":
        from oracles import openai
        from oracles.emulators.openai import OpenAIEmulator

        async with OpenAIEmulator(base).running() as url:
            oracle = openai.connect(
                model="gpt-4o-mini", base_url=url, key_env=None, height=2 * HALF, width=2 * HALF, temperature=0.0,
                prompt="What does the image show?",
            )  # fmt: skip
            yield oracle
            await oracle.aclose()
        return
    from oracles import function, google_vision
    from oracles.emulators.google_vision import GoogleVisionEmulator

    detector = function.connect(lambda image: _detected(image, base, network), answers="labels", version="1")
    async with GoogleVisionEmulator(detector).running() as url:
        oracle = google_vision.connect(feature="OBJECT_LOCALIZATION", endpoint=url.removeprefix("http://"))
        yield oracle
        await oracle.aclose()


def _detected(image: Any, base: Any, network: Any) -> list[dict[str, Any]]:
    """Return the first label of each quarter of an image (224, 224, 3), with its probability and box, best first."""
    found = []
    for place in range(4):
        down, across = divmod(place, 2)
        quarter = image[down * HALF : (down + 1) * HALF, across * HALF : (across + 1) * HALF]
        values = network(quarter.repeat(2, axis=0).repeat(2, axis=1)).values
        box = [across / 2, down / 2, (across + 1) / 2, (down + 1) / 2]
        name = base.capabilities.classes.show(int(values.argmax()))
        found.append({"name": name, "score": float(values.max()), "box": box})
    return sorted(found, key=lambda each: -each["score"])


async def explained(way: str, montage: Montage, oracle: Any, queries: int) -> Any:
    """Return the explanation of a montage, every target of it."""
    import bbquery
    from bbquery.ledger.ledger import Ledger

    pixels = montage.pixels
    if way == "numbers":
        pixels = np.pad(pixels, ((PADDING, PADDING), (PADDING, PADDING), (0, 0)), mode="edge")
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "ledger.sqlite3") as ledger:
        return await bbquery.explain_async(
            pixels, oracle, target="each", max_queries=queries, max_usd=None if way == "numbers" else "100", verify=0,
            ledger=ledger,
        )  # fmt: skip


def rows(explanation: Any, montage: Montage, classes: Any) -> list[dict[str, Any]]:
    """Return a row for each map whose target is one of the four classes."""
    from bbquery.report.sentence import stamp
    from bbquery.types import folded

    names = [{folded(name) for name in classes.names[index]} for index in montage.classes]
    found = []
    for m in explanation.maps:
        own = m.target.partition("#")[0]
        places = [place for place, known in enumerate(names) if folded(own) in known]
        if not places:
            continue
        values = m.sent.values
        down, across = np.unravel_index(int(np.argmax(values)), values.shape)
        pointed = 2 * int(down >= values.shape[0] / 2) + int(across >= values.shape[1] / 2)
        found.append({"target": m.target, "quarter": places[0], "pointed": pointed, "stamp": stamp(explanation, m)})
    return found


async def run(images: Path, kept: Path, count: int, queries: int, ways: list[str]) -> None:
    """Explain what is not yet kept."""
    from oracles import efficientnet

    base = efficientnet.connect()
    network = next(value for value in vars(base).values() if hasattr(value, "session"))
    whole = montages(images, network, base.capabilities.view, count)
    done = {(row["way"], row["montage"], row["queries"]) for row in _rows(kept)}
    for way in ways:
        async with asked(way, base, network) as oracle:
            for place, montage in enumerate(whole):
                if (way, place, queries) in done:
                    continue
                explanation = await explained(way, montage, oracle, queries)
                found = rows(explanation, montage, base.capabilities.classes)
                row = {
                    "way": way, "montage": place, "queries": queries, "sent": explanation.queries.sent,
                    "maps": len(explanation.maps), "judged": found,
                }  # fmt: skip
                with kept.open("a") as file:
                    file.write(f"{json.dumps(row)}\n")
                print(way, place, len(found), "of", len(explanation.maps), "maps judged", flush=True)


def table(kept: Path) -> None:
    """Print what was measured."""
    print("| asked | queries | montages | maps judged | points right | not stamped | points right |")
    print("|---|---|---|---|---|---|---|")
    every = _rows(kept)
    for way, queries in sorted({(row["way"], row["queries"]) for row in every}, key=lambda each: WAYS.index(each[0])):
        own = [row for row in every if (row["way"], row["queries"]) == (way, queries)]
        judged = [each for row in own for each in row["judged"]]
        clear = [each for each in judged if not each["stamp"]]
        print(f"| {way} | {queries} | {len(own)} | {len(judged)} | {_share(judged)} | {len(clear)} | {_share(clear)} |")


def _share(judged: list[dict[str, Any]]) -> str:
    from bbquery.jobs.intervals import rate

    right = rate(sum(each["pointed"] == each["quarter"] for each in judged), len(judged))
    return f"{right.value:.2f} [{right.low:.2f}, {right.high:.2f}]"


def _rows(kept: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="a folder of photos of ImageNet classes")
    parser.add_argument("--rows", type=Path, default=Path(__file__).with_suffix(".jsonl"), help="where rows are kept")
    parser.add_argument("--montages", type=int, default=MONTAGES)
    parser.add_argument("--queries", type=int, default=QUERIES, help="of each montage and way (default: %(default)s)")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    chosen = parser.parse_args()
    asyncio.run(run(chosen.images, chosen.rows, chosen.montages, chosen.queries, chosen.ways))
    table(chosen.rows)


if __name__ == "__main__":
    main()
