"""Sections of docs/reproduction.md for which a small network, a drawn picture or an emulator is enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import closed_questions, digit_gradients, digit_noise, window_picture, windows
from .rows import table
from .statistics import mean
from .words import NONE, by_budget, estimate, markdown

if TYPE_CHECKING:
    from .rows import Results, Table

COPIES = """### Tables 4 and 5 where copies outnumber values

A photo of 150,528 values would need millions of copies. A digit of scikit-learn's has 64, so the same can be looked at
up to 100,000 copies. The network has one hidden layer of 32; noise is in grey levels of 0 to 255, in blocks 16 of them;
figures are in % as above. Read blocks beside noise of 16 everywhere: at equal queries they win nothing, as theory says.
Noise of 64 stays below however many copies there are, as its gradient is a smoothed one.
"""

NOISE = """### GEEX's ablation: noise σ and resized masks r, on the digits

iGEEX of 50 points, AOPC as above. σ is what is added to a pixel, in grey levels; GEEX's masks have variance ¼ of the
whole range, which is 127. r is the masks' side over the photo's, enlarged bilinearly. We lack the paper's figures.
It finds that smaller masks pay on large photos; on 8 × 8 pixels there is little to smooth, and they lose. r on
photos is not measured here: each setting would take thousands of queries.
"""

WINDOWS = """### The timing table, and figure 4

The paper: 401,408 queries (224² places, eight windows), time O(m n l), for exhaustive search; 200 queries, O(N³), for
Bayesian optimisation. Here: CPU seconds of the methods alone, since the score costs next to nothing, with the paper's
eight windows in proportion. Ours stay inside the photo, so there are fewer than m n l. Exhaustive search is cheap to
think and dear to ask: a model adds its queries times the time of one. Larger photos than these are not timed; of 224
pixels
the paper's own count of queries says it. n is photos.
"""

FIGURE_4 = """The 200 windows that were asked for on one photo (left: middle and side; colour: what hiding lost), the
photo, and the map. As in the paper most points lie where hiding costs most.

![Windows of Bayesian optimisation and their map](images/{name})
"""

GALLERY = """## Zhang et al., figure C1: right and wrong targets, from hard labels

The paper explains GPT-Vision for three right and three wrong targets, without figures. Here the emulated language model
(EfficientNet-Lite0 behind the protocol of OpenAI) must name one of six classes; its one word is scored by WordNet's
path to the target, and RISE asks {queries} copies. Right and wrong target are read from the *same* answers. Of {n}
photos {right} maps of the right class and {wrong} of the wrong class are stamped as no evidence: single words out of a
short list change too seldom. A map that is not stamped shows by which parts the answer comes nearer to the target in
WordNet, not that the photo holds it; a gallery of wrong targets, read without a check against chance, shows noise.
"""

GALLERY_PICTURE = """Above: the right class; below: a wrong one.

![Six photos for their right class and for a wrong one](images/{name})
"""

LIGHTS = """## Zhang et al., figure 3: a closed question about two things

The paper asks GPT-Vision which of two cars is slower, gets the wrong one, sees no attention on the other, and infers
that the model cannot compare. No emulator here knows cars or speed; one can answer "Which of the two lights is
brighter?" from pixels. Two models are behind it, of which it is known where they look: one compares both lights, one
looks at the left one alone. Occlusion (64 windows) explains the answer; the score is its one word, or its
log-probability, not a distance of embeddings. Shown is the share of the map on the light that was *not* named.

{table}
So the paper's inference does not hold: the map of a model that compares both lies on the light that it names, as hiding
the other changes nothing about the answer. What tells the two models apart is the answer "right": the model that never
looks there has a map that says nothing (stamped) or lies on the left. n is pictures; few have no interval.
"""


def copies(results: Results) -> str:
    """Return tables 4 and 5 on digits; nothing where they were not measured."""
    found = table(results.of(digit_gradients.PART), "cosine")
    percent = {entry: {s: 100 * value for s, value in values.items()} for entry, values in found.items()}
    return COPIES + "\n" + by_budget(percent, 1) if percent else ""


def noise(results: Results) -> str:
    """Return GEEX's ablation."""
    found = table(results.of(digit_noise.PART), "AOPC")
    if not found:
        return ""
    shown = sorted({budget for _, budget in found})
    lines = [
        [name, str(max(len(found.get((name, b), {})) for b in shown)), *_cells(found, name, shown)]
        for name in digit_noise.METHODS
    ]
    return NOISE + "\n" + markdown(("setting", "n", *map(str, shown)), lines)


def _cells(found: Table, name: str, shown: list[int]) -> list[str]:
    return [estimate(mean(found.get((name, budget), {})), 3) for budget in shown]


def timed(results: Results) -> str:
    """Return the timing table and figure 4."""
    rows = results.of(windows.PART)
    if not rows:
        return ""
    lines = []
    for side in sorted({row.subject.partition("-")[0] for row in rows}, key=int):
        of_side = [row for row in rows if row.subject.startswith(f"{side}-")]
        seconds, asked = table(of_side, "seconds"), table(of_side, "asked")
        for entry in sorted(seconds, key=lambda entry: (entry[0], entry[1])):
            queries = f"{mean(asked[entry]).mean:,.0f}"
            lines.append([side, entry[0], queries, estimate(mean(seconds[entry]), 2), str(len(seconds[entry]))])
    header = ("side, pixels", "search", "queries", "CPU seconds", "n")
    return "\n".join([WINDOWS, markdown(header, lines), FIGURE_4.format(name=window_picture.NAME)])


def gallery(results: Results) -> str:
    """Return figure C1."""
    found = table(results.of(closed_questions.PART), "stamped")
    entries = [(name, closed_questions.GALLERY_QUERIES) for name in (closed_questions.RIGHT, closed_questions.WRONG)]
    if any(entry not in found for entry in entries):
        return ""
    right, wrong = (round(sum(found[entry].values())) for entry in entries)
    told = GALLERY.format(queries=entries[0][1], n=len(found[entries[0]]), right=right, wrong=wrong)
    return told + "\n" + GALLERY_PICTURE.format(name=closed_questions.GALLERY)


def lights(results: Results) -> str:
    """Return figure 3's question."""
    rows = [row for row in results.of(closed_questions.PART) if row.subject.startswith("lights-")]
    if not rows:
        return ""
    lines = []
    for method in dict.fromkeys(row.method for row in rows):
        for side in closed_questions.SIDES:
            own = [row for row in rows if row.method == method and _named(row.subject, row.measures["right"]) == side]
            if own:
                share = {row.subject: row.measures["share"] for row in own if "share" in row.measures}
                stamped = f"{sum(row.measures['stamped'] for row in own):.0f}"
                right = f"{sum(row.measures['right'] for row in own):.0f}"
                told = estimate(mean(share), 3) if share else NONE
                lines.append([method, side, str(len(own)), right, stamped, told])
    header = ("model, read as", "named", "n", "right", "stamped", "share on the other light")
    return LIGHTS.format(table=markdown(header, lines))


def _named(subject: str, right: float) -> str:
    """Return which light was named, as the picture says which one is brighter."""
    _, left = closed_questions.lights(int(subject.rpartition("-")[2]))
    return closed_questions.SIDES[left != bool(right)]
