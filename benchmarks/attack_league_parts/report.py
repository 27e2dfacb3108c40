"""Write docs/attack_league.md, every figure from a row."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from networks import NAMES

from bbquery.jobs.attack import statistics

from . import paper
from .aims import NEW, OLD, aims, thinking
from .judge import CRITERIA, DRIVING
from .players import as_published
from .tables import (
    NONE,
    STALE,
    THRESHOLDS,
    Game,
    games,
    markdown,
    mcnemar,
    median_text,
    number,
    ratio_text,
    share_text,
    shown,
)

if TYPE_CHECKING:
    from pathlib import Path

    from .rows import Results

MARKS = (250, 500, 1000, 5000, 10000)
ANSWERS = {"labels": "one label", "lists": "lists of five labels with scores"}

OPENING = """# The attack league

Written by `python benchmarks/attack_league.py --report` from the rows of `benchmarks/attack_league.jsonl`, which
`python benchmarks/attack_league.py IMAGES` measures. For evaluating models that one owns or may test.

How to read it: a distance is the **RMSE** between the bytes that were asked and those of the clean image, 0 to 1,
measured by the league and not by the attack; nothing that was not asked counts. Columns are numbers of queries, the
clean image not counted. **n** is how many photos; brackets hold a 95 % interval. Photos differ more than attacks, so
judge by *paired* ratios: geometric means over the photos of both, bootstrapped over them; what is bold is unlikely to
be chance, one comparison at a time. A photo on which nothing was found is ∞ in medians, no success in rates, and left
out of ratios, which then say how many. Intervals of medians are those of order statistics, of rates Wilson's; where
fewer than six photos stand, there is none.

Each attack runs once a photo, with a seed of that photo's own. Anytime attacks are read at every mark of their longest
run; `lr_mifgsm`, `lr_mifgsm_paper` and `mig` plan their steps for a budget and run at each. The photos are those of
ImageNet samples that the network labels correctly, without every fourth, on which attacks were made; in a fixed random
order, so that those of an attack with fewer are the first of the others'. {dagger} marks what was measured before the
attack's code last changed.
"""

AIMS = """## Aims

Set before anything was measured here; all on EfficientNet-Lite0 with one label, unless they say otherwise. *Met*: the
whole interval keeps the aim; *missed*: none of it does.
"""

LISTS = """S1: the first label changed. S2: the first label is none of the clean answer's; this one drives the attack.
S3: none of the five labels is the clean one. Each distance is that of the nearest image asked that meets it, so those
for S1 and S3 are by-products.
"""

DOGS = """The network knows 19 breeds. Few of the photos show one of these ({known} of {n}), so the label that is
attacked is its own first one, on all photos of dogs, whatever the breed.
"""

LITE2 = """A photo of 224 × 224 is enlarged to 260 × 260 by the box.
"""


def write(results: Results, docs: Path) -> None:
    """Write the page into the folder of the documentation."""
    docs.mkdir(parents=True, exist_ok=True)
    (docs / "attack_league.md").write_text(page(results), encoding="utf-8")


def page(results: Results) -> str:
    """Return the page as Markdown; parts of which nothing was measured are left out."""
    found = games(results.rows.values())
    told = [OPENING.format(dagger=STALE), AIMS]
    told.append(markdown(("aim", "measured", "verdict"), aims(found)))
    asked = {key: game for key, game in found.items() if key[1] in ANSWERS}
    for (network, answers), game in sorted(asked.items(), key=lambda item: _place(*item[0])):
        told += _section(network, answers, game)
    told += [paper.section(found)]
    return "\n".join(told)


def _place(network: str, answers: str) -> tuple[int, int]:
    return list(NAMES).index(network), list(ANSWERS).index(answers)


def _section(network: str, answers: str, game: Game) -> list[str]:
    marks, driving = game.marks(MARKS), DRIVING[answers]
    told = [f"## {NAMES[network]}: {ANSWERS[answers]}\n"]
    if network == "dogs":
        known = {row.photo for row in game.rows if row.photo.split("_")[0] in paper.breeds()}
        told.append(DOGS.format(known=len(known), n=len({row.photo for row in game.rows})))
    if network == "lite2":
        told.append(LITE2)
    if answers == "lists":
        told.append(LISTS)
    told += ["Median RMSE:\n", _medians(game, marks, driving)]
    reference = NEW if NEW in game.attacks else OLD
    told += [f"Ratio of distances, {shown(reference)} / …:\n", _ratios(game, marks, driving, reference)]
    for mark in [mark for mark in marks if mark >= 1000]:
        told += [f"Successes after {mark:,} queries, in % of photos:\n", _successes(game, mark, driving, reference)]
    if published := _published(game, marks, driving):
        told += ["What awareness of 8 bits changes: ratio of distances, 8-bit aware / as published:\n", published]
    if answers == "lists":
        told += [f"Median RMSE by criterion, {_number(max(marks))} queries:\n", _criteria(game, max(marks))]
    if (network, answers) == ("lite0", "labels"):
        told += ["Time that attacks think beside the network, in ms of a processor a query:\n", _thinking(game)]
    return told


def _medians(game: Game, marks: list[int], measure: str) -> str:
    lines = []
    for attack in game.ranked(marks, measure):
        found = [game.distances(attack, mark, measure) for mark in marks]
        most = max(map(len, found))
        lines.append([shown(attack, game.rows), str(most), *(median_text(each, most) for each in found)])
    return markdown(("attack", "n", *map(_number, marks)), lines)


def _ratios(game: Game, marks: list[int], measure: str, reference: str) -> str:
    lines = []
    for attack in game.ranked(marks, measure):
        if attack != reference:
            pairs = [[game.distances(name, mark, measure) for name in (reference, attack)] for mark in marks]
            lines.append([shown(attack, game.rows), *(ratio_text(one, other) for one, other in pairs)])
    return markdown(("attack", *map(_number, marks)), lines)


def _successes(game: Game, mark: int, measure: str, reference: str) -> str:
    ours, lines = game.distances(reference, mark, measure), []
    for attack in game.ranked([mark], measure):
        found, largest = game.distances(attack, mark, measure), game.distances(attack, mark, "linf")
        if not found:
            continue
        chance = NONE if attack == reference else f"{mcnemar(ours, found, THRESHOLDS[-1]):.2g}"
        shares = [share_text(found, threshold) for threshold in THRESHOLDS]
        lines.append([shown(attack, game.rows), str(len(found)), *shares, chance, _largest(largest)])
    columns = [f"RMSE ≤ {number(threshold)}" for threshold in THRESHOLDS]
    return markdown(("attack", "n", *columns, f"McNemar p, {shown(reference)} at .01", "median L∞"), lines)


def _largest(distances: dict[str, float]) -> str:
    return number(statistics.median(list(distances.values())).value)


def _published(game: Game, marks: list[int], measure: str) -> str:
    lines = []
    for attack in game.ranked(marks, measure):
        if other := as_published(attack):
            pairs = [[game.distances(name, mark, measure) for name in (attack, other)] for mark in marks]
            cells = [ratio_text(one, theirs) for one, theirs in pairs]
            if any(cell != NONE for cell in cells):
                lines.append([shown(attack).removesuffix(", 8-bit aware"), *cells])
    return markdown(("attack", *map(_number, marks)), lines) if lines else ""


def _criteria(game: Game, mark: int) -> str:
    lines = []
    for attack in game.ranked([mark], DRIVING["lists"]):
        found = [game.distances(attack, mark, criterion) for criterion in CRITERIA["lists"]]
        if any(found):
            lines.append([shown(attack, game.rows), str(len(found[0])), *(median_text(f, len(f)) for f in found)])
    return markdown(("attack", "n", *CRITERIA["lists"]), lines)


def _thinking(game: Game) -> str:
    took = {attack: thinking(game, attack) for attack in game.attacks}
    lines = [[shown(name, game.rows), f"{ms:.2f}"] for name, ms in took.items() if not math.isnan(ms)]
    return markdown(("attack", "ms"), lines)


def _number(mark: int) -> str:
    return f"{mark:,}"
