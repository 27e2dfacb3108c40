"""docs/reproduction.md: the papers' numbers beside ours, and what could not be reproduced, with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import cosines, digits, montages, photos, reproduction_small
from .rows import table
from .statistics import mean
from .words import NONE, by_budget, markdown

if TYPE_CHECKING:
    from .rows import Results, Table

OPENING = """# What we could and could not reproduce

Written by `python benchmarks/league.py report` from measured rows. The papers' numbers are quoted; none of them was
measured on the network that stands beside them here, so read the order of methods and the sizes of effects, not the
values. The network is EfficientNet-Lite0, the one that the project can carry along; the papers' ResNets, DenseNets,
Inception and ViT would have to be downloaded. Photos are ImageNet samples, of which the network's first class is
explained, right or wrong; the papers take a thousand that all their networks get right.
"""

TABLE_1 = """## Zhang et al., table 1: deletion (lower is better) and insertion (higher is better), in %

Paper: ResNet-18, 1,000 photos, RISE with 8,000 masks, the likelihood ratio with 1,000 copies, 3 × 3 blocks and noise
of variance 1, 50 steps of integrated gradients, deletion to a blank image. Whether the copies are those of each step,
which makes 50,000 queries, or of all of them together is not said. Here: black-box maps at {queries} queries in all,
as a budget is what a user pays, deletion to black, insertion from a blur, 56 steps; all lines are of the same photos.
"""

TABLE_4 = """## Zhang et al., table 4: cosine between estimated and backpropagated gradient, in %, by copies

For n directions in d = 150,528 values the best expectable cosine is about √(n / (n + d)): 0.8 % at 10 copies, 2.6 % at
100, 8.1 % at 1,000, 25 % at 10,000. The paper reports 2.6 % at 10 copies, above that bound, so what it measures must
differ (a smaller image, a mean of magnitudes, or gradients that share a large common part); it does not say. Noise
that is small enough to see the gradient, and not a smoothed one, is what matters here.
"""

TABLE_5 = """## Zhang et al., table 5: the same with noise in blocks

The paper's relative sizes are of "the sampled boxes and the original image"; the number of copies is not stated, and
blocks of 10 % at equal copies *for each pixel* ask at least ten times as much. Ours are at {copies} queries in all, at
which blocks win nothing in theory (`bbquery.estimators.blr`).
"""

GEEX = """## GEEX: area over the perturbation curve (higher is better)

Its notebooks report 0.9483 on MNIST (integrated gradients by backpropagation 0.9463), and 0.8256 on five photos for
bGEEX (0.8132). MNIST and its network would have to be downloaded: here are scikit-learn's digits, 8 × 8 pixels, and a
small network trained on half of them. The published code goes half of the path only; ours goes all of it.
"""

RISE = """## RISE's notebook: 8,000 masks, ResNet-50

Deletion 0.1048, insertion 0.7719 there, in steps of 224 pixels, deletion to black, insertion from a blur of 5 pixels.
"""

BAYES = """## Mokuwe et al.: 200 windows by Bayesian optimisation beside exhaustive occlusion

The paper's figure 6 shows r_sal of annotated boxes over 500 ImageNet photos, without figures in the text: Bayesian
optimisation with 200 queries lies above exhaustive search with 401,408. Our photos have no boxes: here the box is a
photo's cell in a montage of four. Exhaustive search at every pixel and window would take an hour a montage: ours has
one window and a stride of several pixels.
"""

PAPER_1 = {
    "RISE, published": (13.3, 60.3),
    "vanilla gradient, white-box": (15.7, 58.2),
    "LR, vanilla": (15.4, 58.7),
    "SmoothGrad, white-box": (13.9, 60.9),
    "LR, SmoothGrad": (12.4, 61.3),
    "VarGrad, white-box": (12.1, 61.3),
    "LR, VarGrad": (11.2, 61.9),
    "integrated gradients, white-box": (11.9, 62.2),
    "LR, integrated": (10.3, 64.8),
}
"""ResNet-18: deletion and insertion, %."""
OURS_BESIDE = ("LR, blockwise", "NES, integrated (iGEEX)", "bGEEX", "designed")
PAPER_4 = {10: 2.6, 100: 3.1, 1000: 7.8, 10_000: 11.4, 100_000: 20.5}
PAPER_5 = {
    "LR in blocks of 1/10 of a side": "10 %: 38.5",
    "LR in blocks of 1/5 of a side": "20 %: 26.3",
    "LR in blocks of 1/3 of a side": "30 %: 22.1, 40 %: 17.5",
    "LR in blocks of 1/2 of a side": "50 %: 14.8",
}


def page(results: Results) -> str:
    """Return the page as Markdown; what was not measured is left out."""
    sections = [OPENING, _deletion(results), _copies(results), _blocks(results)]
    sections += [reproduction_small.copies(results), reproduction_small.lights(results)]
    sections += [reproduction_small.gallery(results), _digits(results), reproduction_small.noise(results)]
    sections += [_rise(results), _montages(results), reproduction_small.timed(results)]
    return "\n".join(section for section in sections if section)


def _deletion(results: Results) -> str:
    rows = results.of(photos.PART)
    deletion, insertion = table(rows, "deletion"), table(rows, "insertion")
    asked = [budget for name, budget in deletion if name == "LR, vanilla"]
    queries = max(asked, key=lambda budget: (len(_shared(deletion, budget)), budget), default=0)
    entries, photographed = _entries(deletion, queries), _shared(deletion, queries)
    if not queries or not photographed:
        return ""
    lines = []
    for entry in entries:
        paper = [f"{value}" for value in PAPER_1.get(entry[0], (NONE, NONE))]
        here = [_percent(_only(measured, entry, photographed), entry) for measured in (deletion, insertion)]
        lines.append([entry[0], *paper, *here, str(len(photographed))])
    header = ("map", "deletion, paper", "insertion, paper", "deletion, here", "insertion, here", "n")
    return TABLE_1.format(queries=f"{queries:,}") + "\n" + markdown(header, lines)


def _entries(measured: Table, queries: int) -> list[tuple[str, int]]:
    """Return what stands beside the paper's table: at so many queries, or without any."""
    found = [(name, queries) if (name, queries) in measured else (name, 0) for name in (*PAPER_1, *OURS_BESIDE)]
    return [entry for entry in found if entry in measured]


def _shared(measured: Table, queries: int) -> set[str]:
    """Return the photos on which all of that was measured."""
    each = [set(measured[entry]) for entry in _entries(measured, queries)]
    return set.intersection(*each) if each else set()


def _copies(results: Results) -> str:
    found = table(results.of(cosines.PART), "cosine")
    names = [name for name in cosines.COPIES if any(name == other for other, _ in found)]
    shown = sorted({budget for name, budget in found if name in names})
    if not shown:
        return ""
    lines = [["paper", NONE, *(str(PAPER_4.get(copies, NONE)) for copies in shown)]]
    for name in names:
        n = max(len(found[name, copies]) for copies in shown if (name, copies) in found)
        lines.append([name, str(n), *(_percent(found, (name, copies), 2) for copies in shown)])
    return TABLE_4 + "\n" + markdown(("", "n", *(f"{copies:,}" for copies in shown)), lines)


def _blocks(results: Results) -> str:
    found = table(results.of(cosines.PART), "cosine")
    entries = [(name, cosines.BLOCK_COPIES) for name in ("LR, 16 grey levels", *cosines.BLOCKS, *cosines.BASES)]
    lines = [
        [name, PAPER_5.get(name, NONE), _percent(found, (name, copies), 2), str(len(found[name, copies]))]
        for name, copies in entries
        if (name, copies) in found
    ]
    if not lines:
        return ""
    header = ("estimator", "paper, %", "here, %", "n")
    return TABLE_5.format(copies=f"{cosines.BLOCK_COPIES:,}") + "\n" + markdown(header, lines)


def _digits(results: Results) -> str:
    small, large = table(results.of(digits.PART), "AOPC"), photos.measured(results, "AOPC")
    told = [GEEX] if small or large else []
    if small:
        told += ["### Digits, deletion of one pixel a step to black\n", by_budget(small)]
    if large:
        told += ["### Photos, deletion to black in 56 steps\n", by_budget(large)]
    return "\n".join(told)


def _rise(results: Results) -> str:
    rows = [row for row in results.of(photos.PART) if row.method == photos.RISE]
    if not rows:
        return ""
    deletion, insertion = table(rows, "deletion"), table(rows, "insertion")
    lines = [
        [f"{budget:,}", mean(deletion[name, budget]).told(3), mean(insertion[name, budget]).told(3), str(len(values))]
        for (name, budget), values in sorted(deletion.items())
    ]
    return RISE + "\n" + markdown(("masks, EfficientNet-Lite0", "deletion", "insertion", "n"), lines)


def _montages(results: Results) -> str:
    ratio = table(results.of(montages.PART), "r_sal")
    return BAYES + "\n" + by_budget(ratio) if ratio else ""


def _only(found: Table, entry: tuple[str, int], subjects: set[str]) -> Table:
    """Return an entry for these subjects alone, so that all lines of a table are of the same photos."""
    return {entry: {subject: value for subject, value in found[entry].items() if subject in subjects}}


def _percent(found: Table, entry: tuple[str, int], decimals: int = 1) -> str:
    """Return a mean with its interval in %; a dash where it was not measured."""
    if entry not in found:
        return NONE
    estimate = mean({subject: 100 * value for subject, value in found[entry].items()})
    return estimate.told(decimals)
