"""Does the score matter? Maps from poor answers against maps from probabilities: `python benchmarks/scores.py`.

Every image is asked twice 2,000 masked copies (RISE's, centred) of EfficientNet-Lite0, in this process; only its ten
best classes and the target's probability are kept, in `--data`, so that an interrupted run goes on. The first 2,000
answers are then made poorer, as an API would: the top label alone; a list of ten labels with their scores; a sentence.
Each is scored as `bbquery` scores it, and its map compared, by rank correlation over pixels, with the map from the
probabilities of the *other* 2,000 copies, which shares no noise with it. Printed are means over images with 95 %
bootstrap intervals, and paired differences to the plain 0/1 score of the same answers.

    python benchmarks/scores.py ask IMAGES --data DIR      # half an hour of one core; IMAGES is a folder of photos
    python benchmarks/scores.py table --data DIR
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any

import numpy as np

QUERIES = 2000
KEPT = 10  # labels, as Google Vision gives by default
IMAGES = 40
TOGETHER = 16  # queries in an oracle's batch
BUDGETS = (500, 2000)


async def ask(photos: list[Path], data: Path) -> None:
    """Ask what is not yet in `data`."""
    from bbquery.images import reading
    from bbquery.images.placement import fit
    from bbquery.perturb.masks import MaskedCopies, Upsampling
    from oracles import efficientnet

    oracle: Any = efficientnet.connect()
    chosen = np.random.default_rng(0).permutation(len(photos))[:IMAGES]
    capabilities = oracle.capabilities
    for place in sorted(chosen.tolist()):
        path = data / f"{photos[place].stem}.npz"
        if path.exists():
            continue
        x, _ = fit(reading.load(photos[place]), capabilities.view, capabilities.domain)
        upsampling = Upsampling(x.shape[:2], 7)
        ((clean,),) = [[reply.answer.values for reply in await oracle.answer([x])]]
        target = int(np.argmax(clean))
        kept: dict[str, Any] = {"clean": clean, "target": target}
        for half in (0, 1):
            copies = MaskedCopies(
                x, upsampling, capabilities.domain, p=0.5, fill=127.0, rows=QUERIES, key=(place, half)
            )
            answers = [
                reply.answer.values
                for start in range(0, QUERIES, TOGETHER)
                for reply in await oracle.answer([copies[i] for i in range(start, min(start + TOGETHER, QUERIES))])
            ]
            vectors = np.array(answers, dtype=np.float32)
            best = np.argsort(-vectors, axis=1, kind="stable")[:, :KEPT]
            grids, shifts = copies.drawn(range(QUERIES))
            kept |= {
                f"labels{half}": best.astype(np.int16),
                f"scores{half}": np.take_along_axis(vectors, best, axis=1),
                f"probability{half}": vectors[:, target],
                f"grids{half}": grids,
                f"shifts{half}": shifts,
            }
        with path.with_suffix(".part").open("wb") as file:
            np.savez_compressed(file, **kept)
        path.with_suffix(".part").rename(path)
        print(path.stem, flush=True)
    await oracle.aclose()


def answers(kept: Any, names: list[str]) -> dict[str, list[Any]]:
    """Return the first half's answers as three poorer APIs would give them, each with the clean one in front."""
    from bbquery.types import Label, Labels, Text

    clean = np.argsort(-kept["clean"], kind="stable")[:KEPT]
    best = np.vstack([clean, kept["labels0"]])
    scores = np.vstack([kept["clean"][clean], kept["scores0"]])
    made: dict[str, list[Any]] = {"hard label": [], "label list": [], "sentence": []}
    for labels, weights in zip(best.tolist(), scores.tolist(), strict=True):
        first, second = (f"{'an' if names[i][0].lower() in 'aeiou' else 'a'} {names[i]}" for i in labels[:2])
        made["hard label"].append(Labels((Label(names[labels[0]]),)))
        made["label list"].append(Labels(tuple(Label(names[i], w) for i, w in zip(labels, weights, strict=True))))
        made["sentence"].append(Text(f"This is {first}. It could also be {second}."))
    return made


SCORES = {
    "hard label": {"0/1": "decision", "WordNet similarity": "hard", "WordNet distance": "hard:form=distance"},
    "label list": {"0/1": "decision", "WordNet list": "hard:form=list", "the label's own score": "soft"},
    "sentence": {"0/1": "mention", "cosine": "text"},
}
"""For each kind of answer its scores; "decision" is whether the target is the first label."""


def correlations(path: Path, names: list[str]) -> dict[tuple[str, str, int], float]:
    """Return the rank correlation of each score's map with the probabilities' from the other half, for one image."""
    from bbquery import load
    from bbquery.perturb.masks import Upsampling
    from bbquery.saliency.rise import MaskEvidence
    from bbquery.types import Decision

    kept, upsampling = np.load(path), Upsampling((224, 224), 7)

    def made(half: int, values: Any, rows: int) -> Any:
        evidence, known = MaskEvidence(upsampling), np.flatnonzero(~np.isnan(values[:rows]))
        evidence.add(kept[f"grids{half}"][known], kept[f"shifts{half}"][known], np.asarray(values)[known])
        return evidence.centred(0.5)

    reference = made(1, kept["probability1"].astype(float), QUERIES).ravel()
    target, found = names[int(kept["target"])], {}
    for kind, given in answers(kept, names).items():
        scored = {("all", "probability"): kept["probability0"].astype(float)}
        for name, specification in SCORES[kind].items():
            bound = load.score("soft" if specification == "decision" else specification).bind(
                given[0], None if specification == "text" else target, None
            )
            decisions, values = bound(given[1:])
            values = (decisions == Decision.MET).astype(float) if specification == "decision" else values
            scored[kind, name] = values if bound.about.direction == "higher" else -values
        for (of, name), values in scored.items():
            for rows in BUDGETS:
                map_ = made(0, values, rows).ravel()
                found[of, name, rows] = rank_correlation(map_, reference) if map_.any() else 0.0
    return found


def rank_correlation(a: Any, b: Any) -> float:
    """Return Spearman's correlation of two vectors without ties."""
    ranks = [np.argsort(np.argsort(values)) for values in (a, b)]
    matrix: Any = np.corrcoef(np.array(ranks))
    return float(matrix[0, 1])


def table(data: Path) -> None:
    """Print means over images, with intervals."""
    from oracles._local.efficientnet.labels import classes

    known = classes()
    names = [known.show(index) for index in range(len(known))]
    each = [correlations(path, names) for path in sorted(data.glob("*.npz"))]
    print(f"n = {len(each)} images; rank correlation with the map from the probabilities of 2,000 other copies\n")
    print(
        "| answer | score | 500 queries | 2,000 queries | more than 0/1 at 500 | at 2,000 |\n|---|---|---|---|---|---|"
    )
    for kind, name in dict.fromkeys((kind, name) for kind, name, _ in each[0]):
        cells = [interval([found[kind, name, rows] for found in each]) for rows in BUDGETS]
        plain = [[found[kind, "0/1", rows] for found in each] if kind != "all" else None for rows in BUDGETS]
        gains = [
            ""
            if base is None or name == "0/1"
            else interval([found[kind, name, rows] - b for found, b in zip(each, base, strict=True)])
            for rows, base in zip(BUDGETS, plain, strict=True)
        ]
        print(f"| {kind} | {name} | {' | '.join(cells + gains)} |")


def interval(values: list[float]) -> str:
    """Return the mean with its 95 % interval, by 10,000 bootstrap samples of the images."""
    sample = np.array(values)
    means = np.random.default_rng(0).choice(sample, (10_000, len(sample))).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{sample.mean():.3f} [{low:.3f}, {high:.3f}]"


def main() -> None:
    """Ask, or print the table."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    asking = commands.add_parser("ask")
    asking.add_argument("images", type=Path)
    for command in (asking, commands.add_parser("table")):
        command.add_argument("--data", type=Path, required=True)
    chosen = parser.parse_args()
    if chosen.command == "ask":
        photos = sorted(path for path in chosen.images.iterdir() if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
        chosen.data.mkdir(parents=True, exist_ok=True)
        asyncio.run(ask(photos, chosen.data))
    else:
        table(chosen.data)


if __name__ == "__main__":
    main()
