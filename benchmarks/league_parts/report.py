"""Write docs/league.md, docs/reproduction.md and their pictures, every figure from a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import ceilings, four, intervals, labels, montages, peers, photos, play, reproduction, sanity
from .picture import drawn
from .rows import table
from .words import against, against_one, by_budget

if TYPE_CHECKING:
    from pathlib import Path

    from .rows import Results

OURS, ALONE = "designed", four.ALONE
FALLBACK = "RISE, centred"
GREY = "designed, hiding with grey"
LONG = 8000
MODELS = {"vit_b32_grid16": "ViT-B/32 on 4 × 4 cells", "resnet18_superpixel14": "ResNet-18 on 14 superpixels"}

OPENING = """# The league: maps at equal queries

Written by `python benchmarks/league.py report` from the rows that `python benchmarks/league.py run` measured.

How to read it: **n** is how many photos (or games) a mean is over; brackets hold its 95 % interval, bootstrapped over
them. Methods differ less than photos do, so judge by the tables of *paired* differences; what is bold there is unlikely
to be chance, one comparison at a time. A budget is the number of images a method asked for, the unperturbed one not
counted. Every method ran with its defaults but for the fill, once a photo, with a seed of that photo's own.

![SRG by queries](images/league.png)
"""

GAMES = """## Complete games

For {n} real games every one of the 2^k masked answers is known (the shapiq project's precomputed games), so a map can
be held against the exact main effects, and its deletion and insertion curves are exact as well. RISE's masks are
drawn cell by cell here. KernelSHAP, Partition and LIME are their own libraries; Partition needs a grid, and stops
asking when all its rectangles are cells, as occlusion does after each cell. SRG is insertion minus deletion. A map's
correlation with the exact effects is Pearson's.

KernelSHAP-IQ, LeverageSHAP, OddSHAP, PolySHAP, ProxySHAP and ShaplEIG are shapiq's newest (1.8), as that library sets
them by default. They are after Shapley values, whose own correlation with the main effects is the line "{shapley}":
a last table holds them, and `designed`, against the exact Shapley values instead. PolySHAP plays where there are more
queries than its terms; ShaplEIG with one seed and at most 64 queries, since it thinks for a tenth of a second to
seconds about each. OddSHAP's paper wants ten queries a cell: its figures at 32 and 64 are of the library alone.
"""

PHOTOS = """## Photos under EfficientNet-Lite0

The probability of the class that comes first is explained. Methods hide with grey 127, LIME with each superpixel's mean
colour, `designed` with the photo's mean colour, its default, and once with grey; maps are judged with none of these:
deletion to black, insertion from a blur (σ = 10 pixels), 56 steps. White-box methods, by backpropagation, ask nothing
and see everything; a random order is the floor. Means are comparable only between methods with the same n. The defaults
of `designed` were chosen on photos of the same collection: refinement, over what an effect is taken, and detail, on 36
that are not among these, grid and fill on up to 16, some of which are. All are compared at 64, 256 and 1,000 queries,
RISE and `designed` at 2,000 as well; but random windows and Bayesian optimisation, whose time grows much faster than
queries do, and `designed` hiding with grey at 64 and 256 alone.

SRG is insertion minus deletion, and the two need not agree. `designed` as it comes shares the effect of a place out by
how far its pixels are from their blur, bGEEX multiplies its map by that: insertion gains much by it, deletion loses,
and none of it is an answer of the network. So the others are held against `designed` without detail: answers alone.
What the photo does by itself is `detail alone`, a constant map with that weight; what scatter does, a map of answers
alone times a random texture, one for all photos.
"""

LABELS = """## Poorer answers

The same measure for maps made from what an API may say instead of probabilities: 1 while its first label is the target,
or a list of ten labels, each weighted by its score and its WordNet similarity to the target.
"""

MONTAGES = """## Montages

Four photos in a square, explained for the class of one: r_sal is the share of the map's positive side in that photo's
cell (chance: 0.25), pointing whether its highest pixel lies there.
"""


def write(results: Results, docs: Path) -> None:
    """Write both pages and both pictures into the folder of the documentation."""
    (docs / "images").mkdir(parents=True, exist_ok=True)
    (docs / "league.md").write_text(league(results), encoding="utf-8")
    (docs / "reproduction.md").write_text(reproduction.page(results), encoding="utf-8")
    (docs / "images" / "league.png").write_bytes(drawn(results))
    (docs / "images" / "league_peers.png").write_bytes(peers.drawn(results))


def league(results: Results) -> str:
    """Return the league as Markdown; parts of which nothing was measured are left out."""
    sections = [OPENING, four.section(results), _games(results), _photos(results), _labels(results), _montages(results)]
    sections += [ceilings.section(results), sanity.section(results), intervals.section(results)]
    return "\n".join(section for section in sections if section)


def _games(results: Results) -> str:
    rows = results.of(play.PART)
    if not rows:
        return ""
    told = [GAMES.format(n=len({row.subject for row in rows}), shapley=play.SHAPLEY)]
    for prefix, name in MODELS.items():
        of_model = [row for row in rows if row.subject.startswith(prefix)]
        correlations, srg = table(of_model, "correlation"), table(of_model, "SRG")
        told += [f"### {name}: correlation with the exact main effects\n", by_budget(correlations)]
        told += [f"### {name}: SRG\n", by_budget(srg), against(srg, _reference(srg))]
        by_shapley = [row for row in results.of(play.BY_SHAPLEY) if row.subject.startswith(prefix)]
        if by_shapley:
            title = f"### {name}: correlation with the exact Shapley values\n"
            told += [title, by_budget(table(by_shapley, "correlation"))]
    return "\n".join(told)


def _photos(results: Results) -> str:
    srg = photos.measured(results, "SRG")
    if not srg:
        return ""
    beside_long = (ALONE, OURS, GREY, "Partition/Owen", FALLBACK)
    few = {entry: values for entry, values in srg.items() if entry[0] in beside_long}
    long = (photos.RISE, LONG)
    beside = against_one(few | {long: srg[long]}, long) if long in srg else ""
    told = [PHOTOS, "### SRG\n", by_budget(srg), against(srg, _reference(srg)), beside]
    told += ["### Deletion: lower is better\n", by_budget(photos.measured(results, "deletion"), lowest=True)]
    told += ["### Insertion: higher is better\n", by_budget(photos.measured(results, "insertion"))]
    return "\n".join(told)


def _labels(results: Results) -> str:
    srg = table(results.of(labels.PART), "SRG")
    if not srg:
        return ""
    first = f"{_reference({(name.split(';')[0], b): v for (name, b), v in srg.items()})}; first label"
    long = (f"{labels.PUBLISHED}; probability", LONG)
    beside = against_one(srg, long) if long in srg else ""
    return "\n".join([LABELS, by_budget(srg), against(srg, first), beside])


def _montages(results: Results) -> str:
    rows = results.of(montages.PART)
    if not rows:
        return ""
    ratio = table(rows, "r_sal")
    told = [MONTAGES, "### r_sal\n", by_budget(ratio), against(ratio, _reference(ratio))]
    return "\n".join([*told, "### Pointing\n", by_budget(table(rows, "pointing"))])


def _reference(measured: dict[tuple[str, int], dict[str, float]]) -> str:
    """Return whom all others are held against: `designed`, by answers alone where detail is another; or else RISE."""
    names = {name for name, _ in measured}
    return next((name for name in (ALONE, OURS) if name in names), FALLBACK)
